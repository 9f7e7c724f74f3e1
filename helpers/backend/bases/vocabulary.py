"""Write a Hugging Face tokenizer into a GGUF file, in the two forms that llama.cpp knows.

For: `convert`. Our own server hands llama.cpp token ids; what is written here is for the other
programs that load the file, and for what an answer's tokens are spelt as. Not for: making tokens,
see `helpers.base.tokens`.

    write_vocabulary(writer, folder, size=151_936, end="<|im_end|>")
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gguf import GGUFWriter, SpecialVocab, TokenType

from helpers.base.errors import BackendError

# A token for one byte, where SentencePiece has no letter: "<0x0A>".
BYTE = re.compile(r"<0x[0-9A-F]{2}>")
# English endings such as 's and 'll.
SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
# Line breaks with the space before them; space, all but its last; any other space.
SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
# Signs, with one space before them.
OTHER = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
# Words by their capitals: "HelloWorld" is two. The first form ends in small letters, the second
# begins with capitals.
SMALL = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
)
# As OTHER, with slashes behind them, as in addresses and code.
SLASH = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"
WORDS = {
    "llama-bpe": rf"{SHORT}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{OTHER}|{SPACES}",
    "qwen2": rf"{SHORT}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}|{OTHER}|{SPACES}",
    "gpt-4o": rf"{SMALL[0]}{SHORT}?|{SMALL[1]}{SHORT}?|\p{{N}}{{1,3}}|{SLASH}|{SPACES}",
    "tekken": rf"{SMALL[0]}|{SMALL[1]}|\p{{N}}|{SLASH}|{SPACES}",
}
"""How a text is split into words before byte pairs are joined: llama.cpp's name, and the pattern
in tokenizer.json. A test compares them with those that transformers knows."""
JOINED_ALL = {"llama-bpe": "dbrx"}
"""The same splitting without the rule that a word which is a token needs no merges."""


class Token(NamedTuple):
    """One entry of a vocabulary."""

    text: str
    kind: TokenType


def write_vocabulary(writer: GGUFWriter, folder: Path, *, size: int, end: str | None) -> None:
    """Tokens, merges or scores, the marks' ids, and the chat template.

    `size` is the number of rows of the embedding: what has no token is padding. `end` is the
    mark that ends a turn. Raises `BackendError` for a tokenizer of another form.
    """
    file = check_vocabulary(folder)
    model = file["model"]
    tokens = list(_tokens(file, size))
    pieces = bool(model.get("byte_fallback"))
    # llama.cpp's "llama" is SentencePiece with scores, its "gpt2" is byte pairs with merges.
    if pieces:
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_add_space_prefix(puts_a_space(file))
        writer.add_token_scores(_scores(model, tokens))
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(words_of(file))
    writer.add_token_list([token.text for token in tokens])
    writer.add_token_types([token.kind for token in tokens])
    special = SpecialVocab(folder, load_merges=not pieces, n_vocab=size)
    special.chat_template = None  # written by `convert`, as it is rendered here
    special.add_to_gguf(writer, quiet=True)
    if end is not None:
        by_text = {token.text: place for place, token in enumerate(tokens)}
        writer.add_eot_token_id(by_text[end])


def check_vocabulary(folder: Path) -> dict[str, Any]:
    """The folder's tokenizer.json. Raises `BackendError` for one of a form not tested here."""
    file: dict[str, Any] = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    model = file["model"]
    if model.get("type") != "BPE":
        raise BackendError(
            f"has a tokenizer of the kind {model.get('type')!r}, which is not tested here",
            fix="take a model with byte pairs",
        )
    if not model.get("byte_fallback"):
        words_of(file)
    return file


def _tokens(file: Mapping[str, Any], size: int) -> Iterator[Token]:
    by_id = {place: text for text, place in file["model"]["vocab"].items()}
    unknown = file["model"].get("unk_token")
    # Added tokens win where both have an id, as in the tokenizers library.
    added = {token["id"]: token for token in file.get("added_tokens", ())}
    for place in range(size):
        if place in added:
            mark = added[place]
            kind = TokenType.CONTROL if mark["special"] else TokenType.USER_DEFINED
            if mark["content"] == unknown:
                kind = TokenType.UNKNOWN
            yield Token(mark["content"], kind)
        elif place in by_id:
            text = by_id[place]
            is_byte = file["model"].get("byte_fallback") and BYTE.fullmatch(text)
            yield Token(text, TokenType.BYTE if is_byte else TokenType.NORMAL)
        else:
            yield Token(f"[PAD{place}]", TokenType.UNUSED)


def _scores(model: Mapping[str, Any], tokens: list[Token]) -> list[float]:
    """llama.cpp joins the pair with the highest score: what is merged first scores highest."""
    rank: dict[str, int] = {}
    for place, merge in enumerate(model["merges"]):
        joined = "".join(merge if isinstance(merge, list) else merge.split(" "))
        # A token may come about by several merges; the first is the one that counts.
        rank.setdefault(joined, place)
    last = len(model["merges"])
    return [-float(rank.get(token.text, last)) for token in tokens]


def puts_a_space(file: Mapping[str, Any]) -> bool:
    """Whether a text is read as if a space stood before it, as Llama 2 does."""
    parts = _parts(file.get("normalizer")), _parts(file.get("pre_tokenizer"))
    prepends = any(part["type"] == "Prepend" for part in parts[0])
    return prepends or any(
        part["type"] == "Metaspace" and part.get("prepend_scheme", "always") != "never"
        for part in parts[1]
    )


def words_of(file: Mapping[str, Any]) -> str:
    """llama.cpp's name of the way in which a byte-level tokenizer splits words.

    Raises `BackendError` for one that it has no name for here: other programs would read every
    text otherwise than the model was trained.
    """
    parts = _parts(file.get("pre_tokenizer"))
    patterns = [part["pattern"].get("Regex", "") for part in parts if part["type"] == "Split"]
    for name, pattern in WORDS.items():
        if patterns == [pattern]:
            return name if file["model"].get("ignore_merges") else JOINED_ALL.get(name, name)
    kinds = [part["type"] for part in parts]
    if kinds == ["Digits", "ByteLevel"] and parts[0].get("individual_digits"):
        return "smollm"
    if kinds == ["ByteLevel"]:
        return "gpt-2"
    raise BackendError(
        "has a tokenizer that splits words in a way that is not tested here",
        fix="take another model",
    )


def _parts(section: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The steps of a part of tokenizer.json, be it one or a sequence."""
    if not section:
        return []
    inner = section.get("pretokenizers") or section.get("normalizers")
    return list(inner) if section["type"] == "Sequence" and inner else [section]
