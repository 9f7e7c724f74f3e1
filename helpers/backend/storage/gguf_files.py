"""Read and write the tensors of GGUF files, under llama.cpp's names and in its order.

For: all that trains or serves from a GGUF file. Not for: when and where a file is written,
which its user decides; nor metadata alone, see `base.gguf_header`.

    dict(read_llama(WeightReader(path), heads=9, groups=3))     # transformers' names
    write_padded(Path("adapter.gguf"), Path("padded.gguf"))
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from gguf import (
    GGMLQuantizationType,
    GGUFReader,
    GGUFValueType,
    GGUFWriter,
    LlamaFileType,
    PoolingType,
    ReaderTensor,
    quants,
)

LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""Names inside a block of a Llama: llama.cpp's, then transformers'."""
TOP_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
BERT_NAMES = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm.weight": "token_embd_norm.weight",
    "embeddings.LayerNorm.bias": "token_embd_norm.bias",
}
BERT_LAYER_NAMES = {
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
"""Layers of the BERT kept in float32: in 8 bits, the last ones cost the most accuracy."""
Q8_BLOCK = np.dtype([("scale", "<f2"), ("numbers", "i1", (32,))])
Q4_BLOCK = np.dtype([("scale", "<f2"), ("least", "<f2"), ("pairs", "u1", (16,))])
"""Thirty-two numbers as Q8_0 and Q4_1 store them; a pair has the first half's number in its lower
four bits, and the second half's in the upper ones."""
NORMAL, CONTROL = 1, 3
"""Token types of a GGUF vocabulary."""


class WeightReader(GGUFReader):
    """The library's reader, without lists in the metadata: the vocabulary alone takes it 2 s.

    For lists of texts and of numbers, in a little-endian file; lists of lists it cannot skip.
    """

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> Any:
        if raw_type != GGUFValueType.ARRAY:
            return super()._get_field_parts(orig_offs, raw_type)
        raw = self.data.data
        # The kind of the items, then their number; a text stands behind its length of eight bytes.
        inner, length = struct.unpack_from("<IQ", raw, orig_offs)
        end = orig_offs + struct.calcsize("<IQ")
        if inner == GGUFValueType.STRING:
            for _ in range(length):
                end += 8 + struct.unpack_from("<Q", raw, end)[0]
        else:
            end += length * np.dtype(self.gguf_scalar_to_np[GGUFValueType(inner)]).itemsize
        # What the library returns: size, parts, which of them are values, kinds. The parts stay
        # empty.
        return end - orig_offs, [], [], [GGUFValueType.ARRAY]


def read_llama(reader: GGUFReader, *, heads: int, groups: int) -> Iterator[tuple[str, np.ndarray]]:
    """Each weight of a Llama in float32, by its name in transformers.

    `heads` query heads read `groups` key heads. Raises `ValueError` for a tensor that a Llama
    does not have: without it, something else would be computed.
    """
    for tensor in reader.tensors:
        if tensor.name == "rope_freqs.weight":
            continue  # no weight of transformers' model: it divides the rotary frequencies
        name = transformers_name(tensor.name)
        if name is None:
            raise ValueError(f"{tensor.name!r} is no tensor of a Llama")
        values = dequantized(tensor)
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            values = unpermute(values, heads if "q_proj" in name else groups)
        # What still lies in the file cannot be written to; all else was made here, and for once.
        copy = True if np.may_share_memory(values, reader.data) else None
        yield name, np.array(values, dtype=np.float32, order="C", copy=copy)


def dequantized(tensor: ReaderTensor) -> np.ndarray:
    """The numbers of a tensor in float32; its shape, rows first."""
    # What the library does in several passes over the memory, in one or two: a fifth of its time.
    if tensor.tensor_type == GGMLQuantizationType.Q8_0:
        blocks = tensor.data.reshape(-1).view(Q8_BLOCK)
        scales = blocks["scale"].astype(np.float32)[:, None]
        values = np.multiply(blocks["numbers"], scales, dtype=np.float32)
    elif tensor.tensor_type == GGMLQuantizationType.Q4_1:
        blocks = tensor.data.reshape(-1).view(Q4_BLOCK)
        scales, least = (blocks[side].astype(np.float32)[:, None] for side in ("scale", "least"))
        values = np.empty((len(blocks), 32), np.float32)
        np.multiply(blocks["pairs"] & 15, scales, out=values[:, :16])
        np.multiply(blocks["pairs"] >> 4, scales, out=values[:, 16:])
        values += least
    else:
        values = quants.dequantize(tensor.data, tensor.tensor_type)
    return values.reshape(*tensor.data.shape[:-1], -1)


def transformers_name(name: str) -> str | None:
    """`blk.3.attn_q.weight` as `model.layers.3.self_attn.q_proj.weight`; None if unknown."""
    parts = name.split(".")
    if parts[0] == "blk":
        _, layer, inner, end = parts
        known = LAYER_NAMES.get(inner) if end == "weight" else None
        return f"model.layers.{layer}.{known}.{end}" if known else None
    return f"{TOP_NAMES[parts[0]]}.{parts[1]}" if parts[0] in TOP_NAMES else None


def unpermute(weight: np.ndarray, heads: int) -> np.ndarray:
    """Undo llama.cpp's order of the rotary halves; shape (heads * d, in) stays."""
    rows, columns = weight.shape
    # llama.cpp turns neighbours (2i, 2i + 1), transformers a place of the first half and its
    # counterpart in the second; so the rows of a head are interleaved there.
    grouped = weight.reshape(heads, rows // heads // 2, 2, columns)
    return grouped.swapaxes(1, 2).reshape(rows, columns)


def permute(weight: np.ndarray, heads: int) -> np.ndarray:
    """Put rows in llama.cpp's rotary order: the inverse of `unpermute`."""
    rows, columns = weight.shape
    grouped = weight.reshape(heads, 2, rows // heads // 2, columns)
    return grouped.swapaxes(1, 2).reshape(rows, columns)


@contextmanager
def written(path: Path, architecture: str) -> Iterator[GGUFWriter]:
    """What is added in the block is written when it ends well."""
    writer = GGUFWriter(str(path), architecture)
    yield writer
    # Only here is the file opened, so a block that raised has left none.
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def describe_adapter(writer: GGUFWriter, alpha: float) -> None:
    """What llama.cpp must read in an adapter's file."""
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)


def write_padded(source: Path, target: Path) -> Path:
    """Copy a GGUF adapter with a rank that four does not divide, by one more row of zeros.

    Raises `ValueError` for another file, `KeyError` or `StopIteration` for one that holds no
    adapter. Takes 0.05 s for rank 16.
    """
    reader = GGUFReader(source)
    alpha = float(reader.fields["adapter.lora.alpha"].contents())
    rank = next(t.data.shape[0] for t in reader.tensors if t.name.endswith(".lora_a"))
    more = int(rank % 4 == 0)
    with written(target, reader.fields["general.architecture"].contents()) as writer:
        # llama.cpp scales by alpha / rank, so alpha grows with the rank.
        describe_adapter(writer, alpha * (rank + more) / rank)
        for tensor in reader.tensors:
            # A is (rank, in), B is (out, rank).
            rows = tensor.name.endswith(".lora_a")
            padded = np.pad(tensor.data, ((0, more), (0, 0)) if rows else ((0, 0), (0, more)))
            writer.add_tensor(tensor.name, np.ascontiguousarray(padded))
    return target


def requantize(source: Path, target: Path) -> None:
    """Copy a GGUF, each Q4_1 matrix as Q8_0, all else as it is."""
    reader = GGUFReader(source)
    with written(target, reader.fields["general.architecture"].contents()) as writer:
        for name, field in reader.fields.items():
            # The writer sets these itself.
            if name.startswith("GGUF.") or name == "general.architecture":
                continue
            kind = field.types[0]
            inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), kind, inner)
        for tensor in reader.tensors:
            data, stored = tensor.data, tensor.tensor_type
            if stored == GGMLQuantizationType.Q4_1:
                stored = GGMLQuantizationType.Q8_0
                data = quants.quantize(quants.dequantize(data, tensor.tensor_type), stored)
            writer.add_tensor(tensor.name, data, raw_dtype=stored)


def write_embedding_model(folder: Path, target: Path) -> None:
    """Write the BERT in `folder` as GGUF, with the names that llama.cpp gives its tensors."""
    from safetensors import safe_open

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    with (
        written(target, "bert") as writer,
        safe_open(str(folder / "model.safetensors"), "numpy") as weights,
    ):
        _write_shape(writer, config)
        _write_vocabulary(writer, words)
        for name in weights.keys():  # noqa: SIM118 - not a dict, it cannot be iterated over
            if short := bert_name(name):
                kind = storage(short)
                values = quants.quantize(weights.get_tensor(name).astype(np.float32), kind)
                writer.add_tensor(short, values, raw_dtype=kind)


def storage(name: str) -> GGMLQuantizationType:
    """How a tensor is stored: matrices of the lower layers in 8 bits, the vocabulary in 16."""
    if name == "token_embd.weight":
        return GGMLQuantizationType.F16
    matrix = name.startswith("blk.") and name.endswith(".weight") and "_norm" not in name
    lower = matrix and not name.startswith(FULL_LAYERS)
    return GGMLQuantizationType.Q8_0 if lower else GGMLQuantizationType.F32


def _write_shape(writer: GGUFWriter, config: Mapping[str, Any]) -> None:
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


def _write_vocabulary(writer: GGUFWriter, words: Sequence[str]) -> None:
    """WordPiece in llama.cpp's form: a mark in front of word starts, none on continuations."""
    special = [word.startswith("[") and word.endswith("]") and len(word) > 2 for word in words]
    tokens = [
        # "##ing" is "ing" here, and "play" is "▁play".
        word if control else word[2:] if word.startswith("##") else f"\u2581{word}"
        for word, control in zip(words, special, strict=True)
    ]
    writer.add_tokenizer_model("bert")
    writer.add_token_list(tokens)
    writer.add_token_types([CONTROL if control else NORMAL for control in special])
    # BERT knows first and second sentences, although only first ones are embedded.
    writer.add_token_type_count(2)
    for name, word in (("unk", "[UNK]"), ("sep", "[SEP]"), ("pad", "[PAD]"), ("mask", "[MASK]")):
        getattr(writer, f"add_{name}_token_id")(words.index(word))
    writer.add_bos_token_id(words.index("[CLS]"))
    writer.add_eos_token_id(words.index("[SEP]"))


def bert_name(name: str) -> str | None:
    """llama.cpp's name of a tensor of transformers' BERT; None for one that is not used."""
    if name in BERT_NAMES:
        return BERT_NAMES[name]
    if not name.startswith("encoder.layer."):
        return None
    layer, rest = name.removeprefix("encoder.layer.").split(".", 1)
    inner, end = rest.rsplit(".", 1)
    return f"blk.{layer}.{BERT_LAYER_NAMES[inner]}.{end}"
