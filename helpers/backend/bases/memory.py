"""How much memory training takes, estimated from a model's shape before anything is loaded.

For: refusing a job that would be killed an hour later, and for saying what would fit. Not for:
what a server takes that answers. The terms are counted, and were not compared with a measurement
yet.

    need = training_bytes(shape_of(gguf), rows=1024, targets=400)
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
TARGETS_AT_ONCE = 128
"""As in `training.kernels`, which needs PyTorch: logits of more targets are never held."""


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
    targets: int,
    rank: int = 16,
    recompute: bool = False,
    width_bytes: int = 4,
) -> int:
    """Bytes of a training process at its peak.

    `rows` are the tokens of one forward pass, `targets` those of them that are learnt;
    `width_bytes` is 4 in float32 and 2 in bfloat16.
    """
    embedding = shape.vocabulary * shape.width
    output = embedding * PRODUCTS
    matrices = shape.parameters - embedding * (1 if shape.tied else 2)
    held = width_bytes * (matrices * PRODUCTS + embedding + output)
    # A base is read in 32 bits, and narrowed when it is there.
    loaded = 4 * shape.parameters
    adapter = 4 * ADAPTER_COPIES * rank * shape.layers * _lora_width(shape)
    kept = _kept_inside(shape)
    # Recomputing keeps each layer's input, and the inside of the one that is worked out just now.
    layers = shape.layers * shape.width + kept if recompute else shape.layers * kept
    logits = 4 * LOSS_COPIES * min(targets, TARGETS_AT_ONCE) * shape.vocabulary
    return PROCESS + max(held, loaded) + adapter + 4 * rows * layers + logits


def _lora_width(shape: ModelShape) -> int:
    """Inputs and outputs of a block's seven linear layers together."""
    query, key = shape.heads * shape.head_width, shape.groups * shape.head_width
    attention = 2 * (shape.width + query) + 2 * (shape.width + key)
    return attention + 3 * (shape.width + shape.inner)


def _kept_inside(shape: ModelShape) -> int:
    """Values that one token leaves in a block for the way back: the inputs of its norms and
    linear layers, queries and keys before and after they are turned, and what the gate makes."""
    query, key = shape.heads * shape.head_width, shape.groups * shape.head_width
    return 6 * shape.width + 3 * query + 3 * key + 4 * shape.inner
