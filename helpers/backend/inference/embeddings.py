"""Sentence vectors with all-MiniLM-L6-v2, run by llama.cpp.

For: the server's `/v1/embeddings`. The model's package holds safetensors; llama.cpp
reads GGUF, so the weights are written over once, into the cache folder, the matrices of
four layers in 8 bits: 1.3 times as fast as float32, and no vector's cosine with its
original was below 0.999 in the tests.

    server = load(cache, threads=2)
    embed(server, ["How do I reset my router?"]).shape      # (1, 384)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xllamacpp

from helpers.backend.inference.pool import common_params, start
from helpers.base.errors import BackendError
from helpers.base.files import atomic_path
from helpers.base.settings import EMBEDDING_MODEL, EMBEDDING_SHA256, embedding_folder

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType

WIDTH = 384
MAX_TOKENS = 512
BATCH = 64
"""Texts sent to llama.cpp in one request."""
SLOTS = 4
"""Texts that llama.cpp works on at the same time."""
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
FULL_LAYERS = ("blk.4.", "blk.5.")
"""Layers kept in float32: in 8 bits, the last ones cost the most accuracy."""
NORMAL, CONTROL = 1, 3
"""Token types of a GGUF vocabulary."""


def load(cache: Path, *, threads: int) -> xllamacpp.Server:
    """A llama.cpp instance that embeds. The first call writes the GGUF, in about a second."""
    params = common_params(converted(cache), threads=threads)
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
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
    target = cache / f"{EMBEDDING_MODEL}-mixed-{EMBEDDING_SHA256[:12]}.gguf"
    if target.is_file():
        return target
    folder = embedding_folder()
    if folder is None:
        raise BackendError(
            "the embedding model is not installed", fix="run: python3 -m helpers doctor"
        )
    with atomic_path(target) as partial:
        write_gguf(folder, partial)
    return target


def write_gguf(folder: Path, target: Path) -> None:
    """Write the BERT in `folder` as GGUF, with the names that llama.cpp gives its tensors."""
    from gguf import GGUFWriter, quants
    from safetensors import safe_open

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    writer = GGUFWriter(str(target), "bert")
    _write_shape(writer, config)
    _write_vocabulary(writer, (folder / "vocab.txt").read_text(encoding="utf-8").splitlines())
    with safe_open(str(folder / "model.safetensors"), "numpy") as weights:
        for name in weights.keys():  # noqa: SIM118 - not a dict, it cannot be iterated over
            if short := gguf_name(name):
                kind = storage(short)
                values = quants.quantize(weights.get_tensor(name).astype(np.float32), kind)
                writer.add_tensor(short, values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def storage(name: str) -> GGMLQuantizationType:
    """How a tensor is stored: matrices of the lower layers in 8 bits, the vocabulary in 16."""
    from gguf import GGMLQuantizationType

    if name == "token_embd.weight":
        return GGMLQuantizationType.F16
    matrix = name.startswith("blk.") and name.endswith(".weight") and "_norm" not in name
    lower = matrix and not name.startswith(FULL_LAYERS)
    return GGMLQuantizationType.Q8_0 if lower else GGMLQuantizationType.F32


def _write_shape(writer: Any, config: Mapping[str, Any]) -> None:
    from gguf import LlamaFileType, PoolingType

    writer.add_name("all-MiniLM-L6-v2")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(PoolingType.MEAN)
    writer.add_file_type(LlamaFileType.MOSTLY_Q8_0)


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
