"""Write the model of a Hugging Face folder as GGUF, under llama.cpp's names and in its order.

For: serving a base, and exporting a merged model. Weights are read one at a time, so it takes
no more memory than its largest matrix. Not for: adapters, see `adapter_file`.

    write_gguf(folder, Path("model.gguf"))                      # 8 bits, as it is served
    write_gguf(folder, Path("model.gguf"), numbers="f32")       # as it is
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from gguf import (
    MODEL_ARCH,
    MODEL_ARCH_NAMES,
    GGMLQuantizationType,
    GGUFWriter,
    LlamaFileType,
    RopeScalingType,
    TensorNameMap,
    get_tensor_name_map,
    quants,
)

from helpers.backend.bases.families import Family, ModelShape, read_shape, rope_divisors
from helpers.backend.bases.vocabulary import write_vocabulary
from helpers.backend.bases.weights import FolderWeights
from helpers.backend.storage.gguf_files import permute
from helpers.base.errors import BackendError
from helpers.base.files import atomic_path

Numbers = Literal["f32", "f16", "q8_0"]
FILE_TYPES = {
    "f32": LlamaFileType.ALL_F32,
    "f16": LlamaFileType.MOSTLY_F16,
    "q8_0": LlamaFileType.MOSTLY_Q8_0,
}
MATRICES = {
    "f32": GGMLQuantizationType.F32,
    "f16": GGMLQuantizationType.F16,
    "q8_0": GGMLQuantizationType.Q8_0,
}
BLOCK = 32
"""Values that share a scale in 8 bits."""


class GGUFTensor(NamedTuple):
    """One tensor on its way."""

    source: str
    """Its name in the folder; empty for one that is worked out."""
    name: str
    """llama.cpp's."""
    shape: tuple[int, ...]
    kind: GGMLQuantizationType


def names_of(shape: ModelShape) -> TensorNameMap:
    """From transformers' names to llama.cpp's."""
    return get_tensor_name_map(_architecture(shape.family), shape.layers)


def _architecture(family: Family) -> MODEL_ARCH:
    return next(arch for arch, name in MODEL_ARCH_NAMES.items() if name == family.architecture)


def is_turned(shape: ModelShape, name: str) -> bool:
    """Whether the rows of a weight stand in another order in llama.cpp."""
    return shape.family.rotary_pairs and name.endswith(("q_proj.weight", "k_proj.weight"))


def write_gguf(
    folder: Path, target: Path, *, numbers: Numbers = "q8_0", template: str = "", end: str = ""
) -> Path:
    """Convert; `target` is there whole or not at all. A billion weights take about 20 s.

    `template` is the chat template, `end` the mark that ends a turn.
    Raises `BackendError` with the reason for a folder that cannot be converted.
    """
    shape = read_shape(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    weights = FolderWeights(folder)
    # Gone through before anything is written: what does not fit is said without a half file.
    pieces = list(_pieces(shape, weights, numbers))
    extra = _extra(shape)
    with atomic_path(target) as partial:
        writer = GGUFWriter(str(partial), shape.family.architecture)
        _describe(writer, shape, folder.name, numbers)
        write_vocabulary(writer, folder, size=shape.vocabulary, end=end or None)
        if template:
            writer.add_chat_template(template)
        # Header, names and values are written in three passes, each in the same order: extra first.
        for name, values in extra.items():
            writer.add_tensor_info(name, values.shape, values.dtype, values.nbytes)
        for piece in pieces:
            _announce(writer, piece)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for values in extra.values():
            writer.write_tensor_data(values)
        for piece in pieces:
            writer.write_tensor_data(_converted(shape, weights, piece))
        writer.close()
    return target


def check_names(shape: ModelShape, weights: FolderWeights) -> None:
    """Raise `BackendError` where a tensor lacks, or is there that the family does not have."""
    list(_pieces(shape, weights, "f32"))


def _pieces(shape: ModelShape, weights: FolderWeights, numbers: Numbers) -> Iterator[GGUFTensor]:
    names, seen = names_of(shape), set()
    for source in weights:
        # Worked out from the config, or the embedding once more.
        if source.endswith("rotary_emb.inv_freq") or (source == "lm_head.weight" and shape.tied):
            continue
        name = names.get_name(source, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise BackendError(
                f"holds {source!r}, which its family does not have", fix="take another release"
            )
        seen.add(name)
        size = weights.shape(source)
        # Blocks of 32 run along a row; a matrix with other rows is written in 16 bits.
        fits = len(size) == 2 and size[-1] % BLOCK == 0
        kind = MATRICES[numbers] if fits or numbers != "q8_0" else GGMLQuantizationType.F16
        yield GGUFTensor(source, name, size, kind if len(size) == 2 else GGMLQuantizationType.F32)
    if missing := sorted(_expected(shape) - seen):
        raise BackendError(
            f"lacks {len(missing)} of its weights, {missing[0]} among them",
            fix="get the folder again, to its end",
        )


THREE = ("attn_q", "attn_k", "attn_v")
MORE = {
    "qwen2": tuple(f"{name}.bias" for name in THREE),
    "qwen3": ("attn_q_norm.weight", "attn_k_norm.weight"),
    "gemma3_text": (
        "attn_q_norm.weight",
        "attn_k_norm.weight",
        "post_attention_norm.weight",
        "post_ffw_norm.weight",
    ),
}
"""What a block of these families has, and one of the others has not."""


def _expected(shape: ModelShape) -> set[str]:
    """All that must be there: transformers would draw at random what lacks."""
    joined = ("attn_qkv",) if shape.kind == "phi3" else (*THREE, "ffn_gate")
    parts = (*joined, "attn_output", "ffn_up", "ffn_down", "attn_norm", "ffn_norm")
    each = (*(f"{part}.weight" for part in parts), *MORE.get(shape.kind, ()))
    inside = {f"blk.{n}.{name}" for n in range(shape.layers) for name in each}
    top = {"token_embd.weight", "output_norm.weight"}
    return inside | top | (set() if shape.tied else {"output.weight"})


def _announce(writer: GGUFWriter, piece: GGUFTensor) -> None:
    size = quants.quant_shape_to_byte_shape(piece.shape, piece.kind)
    whole = piece.kind in (GGMLQuantizationType.F32, GGMLQuantizationType.F16)
    dtype = np.dtype(np.float32 if piece.kind == GGMLQuantizationType.F32 else np.float16)
    if whole:
        count = int(np.prod(piece.shape))
        writer.add_tensor_info(piece.name, piece.shape, dtype, count * dtype.itemsize)
    else:
        writer.add_tensor_info(
            piece.name, size, np.dtype(np.uint8), int(np.prod(size)), raw_dtype=piece.kind
        )


def _converted(shape: ModelShape, weights: FolderWeights, piece: GGUFTensor) -> np.ndarray:
    """The values as they are written."""
    values = weights[piece.source]
    if is_turned(shape, piece.source):
        values = permute(values, shape.heads if "q_proj" in piece.source else shape.groups)
    # Gemma multiplies by 1 + weight; llama.cpp expects the sum.
    if shape.family.norm_plus_one and piece.source.endswith("norm.weight"):
        values = values + 1
    return np.ascontiguousarray(quants.quantize(values, piece.kind))


def _extra(shape: ModelShape) -> dict[str, np.ndarray]:
    """Tensors that no folder holds: factors of stretched positions."""
    if shape.rope.kind == "llama3":
        return {"rope_freqs.weight": np.array(rope_divisors(shape), dtype=np.float32)}
    if shape.rope.kind == "longrope":
        return {
            f"rope_factors_{length}.weight": np.array(
                shape.rope.options[f"{length}_factor"], dtype=np.float32
            )
            for length in ("long", "short")
        }
    return {}


def _describe(writer: GGUFWriter, shape: ModelShape, name: str, numbers: Numbers) -> None:
    writer.add_name(name)
    writer.add_file_type(FILE_TYPES[numbers])
    writer.add_vocab_size(shape.vocabulary)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.groups)
    writer.add_key_length(shape.head_width)
    writer.add_value_length(shape.head_width)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_rope_dimension_count(shape.rotary_width)
    writer.add_rope_freq_base(shape.rope.theta)
    if shape.rope.local_theta:
        writer.add_rope_freq_base_swa(shape.rope.local_theta)
    if shape.kind in ("gemma3_text", "phi3"):
        writer.add_sliding_window(shape.window)
    if shape.rope.kind == "linear":
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(shape.rope.options["factor"]))
    if shape.rope.kind == "longrope":
        writer.add_rope_scaling_type(RopeScalingType.LONGROPE)
        writer.add_rope_scaling_orig_ctx_len(_own_length(shape))
        writer.add_rope_scaling_attn_factors(_long_attention(shape))


def _long_attention(shape: ModelShape) -> float:
    """By what a Phi with stretched positions multiplies its rotary values."""
    options = shape.rope.options
    given = options.get("attention_factor")
    if given is not None:
        return float(given)
    # What transformers takes for `longrope` where the config names no factor.
    length = _own_length(shape)
    factor = float(options["max_position_embeddings"]) / length
    return 1.0 if factor <= 1 else float(np.sqrt(1 + np.log(factor) / np.log(length)))


def _own_length(shape: ModelShape) -> int:
    """Tokens up to which positions are not stretched; a window may end the context before."""
    return int(shape.rope.options["original_max_position_embeddings"])
