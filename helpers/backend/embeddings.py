"""Sentence vectors with all-MiniLM-L6-v2, run by llama.cpp.

For: the server's `/v1/embeddings`. The model's package holds safetensors; llama.cpp
reads GGUF, so the weights are written over once, into the cache folder.

    server = load(cache, threads=2)
    embed(server, ["How do I reset my router?"]).shape      # (1, 384)
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xllamacpp

from helpers.errors import BackendError
from helpers.settings import EMBEDDING_SHA256, embedding_folder

WIDTH = 384
MAX_TOKENS = 512
BATCH = 64
"""Texts sent to llama.cpp in one request."""
TOP_NAMES = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm.weight": "token_embd_norm.weight",
    "embeddings.LayerNorm.bias": "token_embd_norm.bias",
}
LAYER_NAMES = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
NORMAL, CONTROL = 1, 3
"""Token types of a GGUF vocabulary."""


def load(cache: Path, *, threads: int) -> xllamacpp.Server:
    """A llama.cpp instance that embeds. The first call writes the GGUF, in about a second."""
    params = xllamacpp.CommonParams()
    params.model.path = str(converted(cache))
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.n_ctx = params.n_batch = params.n_ubatch = 4 * MAX_TOKENS
    params.n_parallel = 4
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.verbosity = -1
    params.warmup = False
    return xllamacpp.Server(params)


def embed(server: xllamacpp.Server, texts: Sequence[str]) -> np.ndarray:
    """Vectors of unit length, float32, shape (n, 384), in the order of the texts.

    Raises `BackendError`, for instance for a text of more than 512 tokens.
    """
    rows = [_request(server, texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)]
    vectors = np.concatenate(rows) if rows else np.empty((0, WIDTH), dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, 1e-12)


def _request(server: xllamacpp.Server, texts: Sequence[str]) -> np.ndarray:
    reply = server.handle_embeddings({"input": list(texts)})
    if "error" in reply:
        raise BackendError(reply["error"].get("message", "the texts could not be embedded"))
    ordered = sorted(reply["data"], key=lambda item: item["index"])
    return np.array([item["embedding"] for item in ordered], dtype=np.float32)


def converted(cache: Path) -> Path:
    """The model as GGUF, made if it is not there."""
    target = cache / f"all-minilm-l6-v2-{EMBEDDING_SHA256[:12]}.gguf"
    if target.is_file():
        return target
    folder = embedding_folder()
    if folder is None:
        raise BackendError(
            "the embedding model is not installed", fix="run: python3 -m helpers doctor"
        )
    cache.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}.partial")
    write_gguf(folder, partial)
    os.replace(partial, target)
    return target


def write_gguf(folder: Path, target: Path) -> None:
    """Write the BERT in `folder` as GGUF, with the names that llama.cpp gives its tensors."""
    from gguf import GGUFWriter
    from safetensors import safe_open

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    writer = GGUFWriter(str(target), "bert")
    _write_shape(writer, config)
    _write_vocabulary(writer, (folder / "vocab.txt").read_text(encoding="utf-8").splitlines())
    with safe_open(str(folder / "model.safetensors"), "numpy") as weights:
        for name in weights.keys():  # noqa: SIM118 - not a dict, it cannot be iterated over
            if short := gguf_name(name):
                writer.add_tensor(short, weights.get_tensor(name).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_shape(writer: Any, config: Mapping[str, Any]) -> None:
    from gguf import PoolingType

    writer.add_name("all-MiniLM-L6-v2")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(PoolingType.MEAN)
    writer.add_file_type(0)


def _write_vocabulary(writer: Any, words: Sequence[str]) -> None:
    """WordPiece in llama.cpp's form: a mark in front of word starts, none on continuations."""
    special = [word.startswith("[") and word.endswith("]") and len(word) > 2 for word in words]
    tokens = [
        word if control else word[2:] if word.startswith("##") else f"\u2581{word}"
        for word, control in zip(words, special, strict=True)
    ]
    writer.add_tokenizer_model("bert")
    writer.add_token_list(tokens)
    writer.add_token_types([CONTROL if control else NORMAL for control in special])
    writer.add_token_type_count(2)
    for name, word in (("unk", "[UNK]"), ("sep", "[SEP]"), ("pad", "[PAD]"), ("mask", "[MASK]")):
        getattr(writer, f"add_{name}_token_id")(words.index(word))
    writer.add_bos_token_id(words.index("[CLS]"))
    writer.add_eos_token_id(words.index("[SEP]"))


def gguf_name(name: str) -> str | None:
    """llama.cpp's name of a tensor of transformers' BERT; None for one that is not used."""
    if name in TOP_NAMES:
        return TOP_NAMES[name]
    if not name.startswith("encoder.layer."):
        return None
    layer, rest = name.removeprefix("encoder.layer.").split(".", 1)
    inner, end = rest.rsplit(".", 1)
    return f"blk.{layer}.{LAYER_NAMES[inner]}.{end}"
