"""How much memory training takes, estimated from a model's shape before anything is loaded.

For: refusing a job that would be killed an hour later, and for saying what would fit. Not for:
what a server takes that answers. docs/measurements.md has estimates beside measured peaks.

    need = training_bytes(shape_of(gguf), rows=1024, longest=128, targets=400)
    need / 2**30      # GiB
"""

from __future__ import annotations

import json
from pathlib import Path

from helpers.backend.bases.families import ModelShape, Rope
from helpers.base.gguf_header import read_index
from helpers.base.template_tokenizer import folder_of

PROCESS = 450 << 20
"""Python with PyTorch, transformers and peft, before a model is there."""
ADAPTER_COPIES = 4
"""A matrix, its gradient, and the optimizer's two averages, in 32 bits each."""
PRODUCTS = 2
"""Of each frozen matrix: one prepared to multiply, one to multiply back."""
LOSS_COPIES = 3
"""Logits, their exponentials, and their gradient."""
TARGETS_AT_ONCE, KEPT_PROBS = 128, 1_000_000
"""As in `training.kernels`, which needs PyTorch: logits of more targets are never held, nor a
layer's attention if there is more of it."""
FAST_KINDS = ("llama", "mistral")
"""As in `training.networks`: trained by the course's kernels."""
PACKED = 0.53
"""Bytes of a weight in 4 bits: half a byte, and its part of the scales."""
SPARE = 1.15
"""What stays between two uses, and is not counted above; peaks of one job differ by 8%."""
SCORE_COPIES = 4
"""Of a layer's attention, as those work it out on the way back: itself and its gradient, twice."""


def shape_of(gguf: Path) -> ModelShape:
    """The shape of a base by its file, whether it came as a folder or as GGUF.

    Raises `BackendError` or `SetupError` for one that cannot be a base.
    """
    if folder := folder_of(gguf):
        from helpers.backend.bases.families import read_shape

        return read_shape(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    header, tensors, _ = read_index(gguf)
    said = {name.removeprefix("llama."): value for name, value in header.items()}
    heads = int(said["attention.head_count"])
    width = int(said["embedding_length"])
    head_width = int(said.get("attention.key_length", width // heads))
    return ModelShape(
        "llama",
        layers=int(said["block_count"]),
        width=width,
        inner=int(said["feed_forward_length"]),
        heads=heads,
        groups=int(said.get("attention.head_count_kv", heads)),
        head_width=head_width,
        rotary_width=head_width,
        vocabulary=len(header["tokenizer.ggml.tokens"]),
        context=int(said["context_length"]),
        epsilon=float(said["attention.layer_norm_rms_epsilon"]),
        rope=Rope("default", float(said.get("rope.freq_base", 10_000.0)), {}),
        # A tied output layer is left out of the file.
        tied="output.weight" not in tensors,
    )


def training_bytes(
    shape: ModelShape,
    *,
    rows: int,
    longest: int,
    targets: int,
    rank: int = 16,
    recompute: bool = False,
    four_bit: bool = False,
    width_bytes: int = 4,
) -> int:
    """Bytes of a training process at its peak.

    `rows` are the tokens of one forward pass, `longest` those of one example in it, `targets`
    those of all that are learnt; `width_bytes` is 4 in float32 and 2 in bfloat16.
    """
    embedding = shape.vocabulary * shape.width
    matrices = shape.parameters - embedding * (1 if shape.tied else 2)
    frozen = int(PACKED * matrices) if four_bit else width_bytes * PRODUCTS * matrices
    # The embedding itself, and the output layer's two products.
    held = frozen + width_bytes * (1 + PRODUCTS) * embedding
    fast = shape.kind in FAST_KINDS and not recompute and not four_bit
    passing = _fast_values(shape, rows, longest) if fast else _values(shape, rows, recompute)
    logits = LOSS_COPIES * min(targets, TARGETS_AT_ONCE) * shape.vocabulary
    # A base is read in 32 bits, and narrowed when it is there. The output layer, prepared first,
    # is there four times at that moment.
    loaded = max(4 * shape.parameters, width_bytes * (matrices + 4 * embedding))
    if four_bit:
        # Packed one by one as they are read, from a file of which the whole stays in sight.
        loaded = 2 * shape.parameters + frozen + width_bytes * 4 * embedding
    adapter = 4 * ADAPTER_COPIES * rank * shape.layers * _lora_width(shape)
    return int(SPARE * (PROCESS + adapter + max(held + 4 * (passing + logits), loaded)))


def _lora_width(shape: ModelShape) -> int:
    """Inputs and outputs of a block's seven linear layers together."""
    query, key = shape.heads * shape.head_width, shape.groups * shape.head_width
    attention = 2 * (shape.width + query) + 2 * (shape.width + key)
    return attention + 3 * (shape.width + shape.inner)


def _fast_values(shape: ModelShape, rows: int, longest: int) -> int:
    """Numbers that the course's kernels keep for the way back, and work out there."""
    query, key = shape.heads * shape.head_width, shape.groups * shape.head_width
    # Inputs of norms and linear layers, queries, keys and values, what the gate makes.
    inside = 4 * shape.width + 2 * query + 2 * key + 4 * shape.inner
    scores = shape.heads * rows * longest
    hidden = shape.heads // shape.groups * longest**2
    layer = rows * inside + min(scores, KEPT_PROBS) + hidden
    return shape.layers * layer + SCORE_COPIES * scores


def _values(shape: ModelShape, rows: int, recompute: bool) -> int:
    """The same where transformers computes: attention is never held, masks are made once."""
    query, key = shape.heads * shape.head_width, shape.groups * shape.head_width
    # Gemma has two norms more than the others, Qwen3 norms of queries and keys; keys and values
    # are repeated for all heads that read them.
    inside = 6 * shape.width + 5 * query + key + 4 * shape.inner
    masks = (2 if shape.window else 1) * rows**2
    # Recomputing keeps each layer's input, and the inside of the one that is worked out just now,
    # with its gradients.
    kept = shape.layers * shape.width + 2 * inside if recompute else shape.layers * inside
    return rows * kept + masks
