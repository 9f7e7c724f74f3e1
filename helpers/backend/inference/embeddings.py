"""Sentence vectors with all-MiniLM-L6-v2, run by llama.cpp.

For: the server's `/v1/embeddings`. The model's package holds safetensors; llama.cpp
reads GGUF, so the weights are written over once, into the cache folder, the matrices of
four layers in 8 bits: 1.3 times as fast as float32, and no vector's cosine with its
original was below 0.999 in the tests.

    server = load(cache, threads=2)
    embed(server, ["How do I reset my router?"]).shape      # (1, 384)
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xllamacpp

from helpers.backend.inference.pool import common_params, start
from helpers.base.errors import BackendError
from helpers.base.files import atomic_path
from helpers.base.settings import EMBEDDING_MODEL, EMBEDDING_SHA256, embedding_folder

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WIDTH = 384
MAX_TOKENS = 512
BATCH = 64
"""Texts sent to llama.cpp in one request."""
SLOTS = 4
"""Texts that llama.cpp works on at the same time."""


def load(cache: Path, *, threads: int) -> xllamacpp.Server:
    """A llama.cpp instance that embeds. The first call writes the GGUF, in about a second."""
    params = common_params(converted(cache), threads=threads)
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    # A text has to come in one batch: its vector is the mean over all of its tokens.
    params.n_batch = params.n_ubatch = MAX_TOKENS
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * MAX_TOKENS
    return start(params, EMBEDDING_MODEL)


def embed(server: xllamacpp.Server, texts: Sequence[str]) -> np.ndarray:
    """Vectors of unit length, float32, shape (n, 384), in the order of the texts.

    Raises `BackendError`, for instance for a text of more than 512 tokens.
    """
    rows = [_request(server, texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)]
    vectors = np.concatenate(rows) if rows else np.empty((0, WIDTH), dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, 1e-12)


def token_count(texts: Sequence[str]) -> int:
    """Tokens that the model reads of all texts, with the two marks around each.

    Raises `BackendError` if it is not installed.
    """
    return sum(len(one.ids) for one in _tokenizer().encode_batch_fast(list(texts)))


@functools.cache
def _tokenizer() -> Tokenizer:
    from tokenizers import Tokenizer

    found = Tokenizer.from_file(str(_folder() / "tokenizer.json"))
    # Its file says to cut each text, and to fill up short ones.
    found.no_truncation()
    found.no_padding()
    return found


def _request(server: xllamacpp.Server, texts: Sequence[str]) -> np.ndarray:
    reply = server.handle_embeddings({"input": list(texts)})
    if error := reply.get("error"):
        message = str(error.get("message", "the texts could not be embedded"))
        if "too large" in message:
            raise BackendError(
                f"a text has more than {MAX_TOKENS} tokens", fix="split it into chunks"
            )
        raise BackendError(message)
    ordered = sorted(reply["data"], key=lambda item: item["index"])
    return np.array([item["embedding"] for item in ordered], dtype=np.float32)


def converted(cache: Path) -> Path:
    """The model as GGUF, made if it is not there."""
    # With the weights' hash in its name: another release is written over anew.
    target = cache / f"{EMBEDDING_MODEL}-mixed-{EMBEDDING_SHA256[:12]}.gguf"
    if target.is_file():
        return target
    from helpers.backend.storage.gguf_files import write_embedding_model

    folder = _folder()
    with atomic_path(target) as partial:
        write_embedding_model(folder, partial)
    return target


def _folder() -> Path:
    folder = embedding_folder()
    if folder is None:
        raise BackendError(
            "the embedding model is not installed", fix="run: python3 -m helpers doctor"
        )
    return folder
