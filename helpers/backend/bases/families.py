"""The families of models that can be a base, and the shape of one of them.

For: everything that must know how a model computes: conversion to GGUF, the adapter's file, and
which network trains it. A family stands here because `tests/backend/bases/test_logits.py` shows
that trainer, engine and exports agree on it; a model of another one, or one with a part that was
not tested, is refused by name. Neither PyTorch nor transformers is needed.

    shape = read_shape(json.loads((folder / "config.json").read_text()))
    shape.family.architecture, shape.head_width      # "qwen3", 128
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from helpers.base.errors import BackendError

SEVEN = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
FUSED = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")
GEMMA_EVERY, SMOLLM3_EVERY = 6, 4
"""Each so-manieth layer of Gemma 3 sees the whole text, and of SmolLM3 has no positions: both are
fixed in llama.cpp."""


@dataclass(frozen=True)
class Family:
    """How the models of one `model_type` are written in GGUF and adapted."""

    name: str
    """As people call it."""
    architecture: str
    """As llama.cpp calls it."""
    targets: tuple[str, ...] = SEVEN
    """Linear layers that get LoRA matrices: all of a block."""
    rotary_pairs: bool = False
    """llama.cpp wants the rows of q and k in another order, so that pairs stand side by side."""
    norm_plus_one: bool = False
    """The norms' weights are stored as differences from 1."""
    tied: bool = False
    """What a config means that does not say whether the output layer is the embedding."""
    ropes: tuple[str, ...] = ("default",)
    """Ways of stretching positions that were tested."""
    activation: str = "silu"
    theta: float = 10_000.0
    """Base of the rotary frequencies where a config leaves it out, as Llama 2's does."""


FAMILIES = {
    "llama": Family(
        "Llama 2, Llama 3, SmolLM2",
        "llama",
        rotary_pairs=True,
        ropes=("default", "linear", "llama3"),
    ),
    "mistral": Family("Mistral", "llama", rotary_pairs=True),
    "smollm3": Family("SmolLM3", "smollm3", rotary_pairs=True, tied=True, theta=2_000_000.0),
    "qwen2": Family("Qwen2.5", "qwen2"),
    "qwen3": Family("Qwen3", "qwen3"),
    "gemma3_text": Family(
        "Gemma 3",
        "gemma3",
        norm_plus_one=True,
        tied=True,
        activation="gelu_pytorch_tanh",
        theta=1_000_000.0,
    ),
    "phi3": Family("Phi 3, Phi 4", "phi3", targets=FUSED, ropes=("default", "longrope")),
}
"""By the `model_type` of their config.json."""


@dataclass(frozen=True)
class Rope:
    """Rotary positions (Su et al. 2021), and how they are stretched to longer texts."""

    kind: str
    theta: float
    options: Mapping[str, Any]
    local_theta: float = 0.0
    """Of the layers that see a window only; 0 where there are none."""


@dataclass(frozen=True)
class ModelShape:
    """A model's sizes, under names of our own whatever the config calls them."""

    kind: str
    """Its `model_type`."""
    layers: int
    width: int
    inner: int
    heads: int
    groups: int
    """Key heads."""
    head_width: int
    rotary_width: int
    vocabulary: int
    context: int
    """Tokens up to which llama.cpp and transformers compute the same."""
    epsilon: float
    rope: Rope
    tied: bool
    window: int = 0
    """Tokens that most layers of Gemma 3 look back."""

    @property
    def family(self) -> Family:
        return FAMILIES[self.kind]

    @property
    def cache_bytes(self) -> int:
        """Bytes that keys and values of one token take in 16 bits."""
        # Keys and values, two bytes each.
        return 2 * 2 * self.layers * self.groups * self.head_width

    @property
    def parameters(self) -> int:
        """Weights, about: without norms and biases."""
        attention = self.width * self.head_width * (2 * self.heads + 2 * self.groups)
        block = attention + 3 * self.width * self.inner
        return self.layers * block + self.vocabulary * self.width * (1 if self.tied else 2)


def family_of(kind: str) -> Family:
    """Raises `BackendError` for one without a test, naming those that have it."""
    if kind not in FAMILIES:
        known = ", ".join(sorted(family.name for family in FAMILIES.values()))
        raise BackendError(
            f"is of the family {kind or 'that it does not name'!r}, which is not tested here",
            fix=f"take one of {known}",
        )
    return FAMILIES[kind]


def read_shape(config: Mapping[str, Any]) -> ModelShape:
    """The shape that a config.json describes.

    Raises `BackendError` for another family, and for a part that was not tested with it.
    """
    kind = str(config.get("model_type", ""))
    family = family_of(kind)
    try:
        shape = _shape(kind, family, config)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise BackendError(
            f"has a config.json that cannot be read: {error}", fix="get the folder again"
        ) from error
    if odd := _untested(family, shape, config):
        raise BackendError(
            f"is a {family.name} with {odd}, which is not tested here", fix="take another model"
        )
    return shape


def _shape(kind: str, family: Family, config: Mapping[str, Any]) -> ModelShape:
    heads, width = int(config["num_attention_heads"]), int(config["hidden_size"])
    head_width = int(config.get("head_dim") or width // heads)
    rope = _rope(family, config)
    share = float(rope.options.get("partial_rotary_factor") or 1)
    return ModelShape(
        kind,
        layers=int(config["num_hidden_layers"]),
        width=width,
        inner=int(config["intermediate_size"]),
        heads=heads,
        groups=int(config.get("num_key_value_heads") or heads),
        head_width=head_width,
        rotary_width=int(head_width * share),
        vocabulary=int(config["vocab_size"]),
        context=_context(kind, config, rope),
        epsilon=float(config["rms_norm_eps"]),
        rope=rope,
        tied=bool(config.get("tie_word_embeddings", family.tied)),
        window=int(config["sliding_window"]) if kind == "gemma3_text" else 0,
    )


def _rope(family: Family, config: Mapping[str, Any]) -> Rope:
    """Positions as transformers 5 writes them, or as its earlier releases did."""
    new = dict(config.get("rope_parameters") or {})
    if "full_attention" in new:
        # Gemma 3 has two sets: for layers that see everything, and for those that see a window.
        whole, local = new["full_attention"], new["sliding_attention"]
        if local.get("rope_type", "default") != "default":
            raise ValueError("positions of a window that are stretched")
        return Rope(
            whole.get("rope_type", "default"), whole["rope_theta"], whole, local["rope_theta"]
        )
    old = dict(config.get("rope_scaling") or {})
    own = ("partial_rotary_factor", "max_position_embeddings", "original_max_position_embeddings")
    options = {name: config[name] for name in own if config.get(name)} | old | new
    theta = float(new.get("rope_theta") or config.get("rope_theta") or family.theta)
    kind = str(options.get("rope_type") or options.get("type") or "default")
    # What Phi 3 called it at first.
    kind = {"su": "longrope"}.get(kind, kind)
    return Rope(kind, theta, options, float(config.get("rope_local_base_freq") or 0))


def _context(kind: str, config: Mapping[str, Any], rope: Rope) -> int:
    """The model's own length, or up to where it is the same in both programs.

    llama.cpp's Llama has no window; its Phi 3 takes the factors for long texts as soon as there
    is room for one, transformers only when a text is long.
    """
    limits = [int(config["max_position_embeddings"])]
    used = config.get("use_sliding_window", True)
    if kind != "gemma3_text" and used and config.get("sliding_window"):
        limits.append(int(config["sliding_window"]))
    if rope.kind == "longrope":
        limits.append(int(rope.options["original_max_position_embeddings"]))
    return min(limits)


def _untested(family: Family, shape: ModelShape, config: Mapping[str, Any]) -> str:
    """What is computed in a way that no test covers; empty if nothing is."""
    found = {
        f"positions of the kind {shape.rope.kind!r}": shape.rope.kind not in family.ropes,
        "another activation": _activation(config) != family.activation,
        "biases": any(config.get(name) for name in ("attention_bias", "mlp_bias")),
        "weights in few bits": bool(config.get("quantization_config")),
        "capped logits": any(
            config.get(name) for name in ("final_logit_softcapping", "attn_logit_softcapping")
        ),
        "attention in both directions": bool(config.get("use_bidirectional_attention")),
        "another order of layers": _layers(shape) != _own_layers(shape.kind, config),
        "scores scaled otherwise": _scaled_otherwise(shape, config),
    }
    return ", ".join(name for name, there in found.items() if there)


def _activation(config: Mapping[str, Any]) -> str:
    return str(config.get("hidden_activation") or config.get("hidden_act") or "")


def _layers(shape: ModelShape) -> list[bool]:
    """For each layer whether it is one of the rarer kind, as llama.cpp counts."""
    every = {"gemma3_text": GEMMA_EVERY, "smollm3": SMOLLM3_EVERY}.get(shape.kind, 0)
    return [bool(every) and (n + 1) % every == 0 for n in range(shape.layers)]


def _own_layers(kind: str, config: Mapping[str, Any]) -> list[bool]:
    """The same as the model's config says it."""
    n = int(config["num_hidden_layers"])
    if kind == "smollm3":
        every = int(config.get("no_rope_layer_interval") or SMOLLM3_EVERY)
        # In spite of its name, a 1 in the list stands for a layer with positions.
        marks = config.get("no_rope_layers") or [(i + 1) % every for i in range(n)]
        return [not mark for mark in marks]
    types = config.get("layer_types")
    if kind == "gemma3_text":
        every = int(config.get("sliding_window_pattern") or GEMMA_EVERY)
        types = types or ["full_attention" if (i + 1) % every == 0 else "" for i in range(n)]
        return [one == "full_attention" for one in types]
    return [one != "full_attention" for one in types or ["full_attention"] * n]


def _scaled_otherwise(shape: ModelShape, config: Mapping[str, Any]) -> bool:
    scalar = config.get("query_pre_attn_scalar")
    # Tested where Gemma's scores are scaled by the head's width alone.
    return shape.kind == "gemma3_text" and scalar is not None and scalar != shape.head_width


def rope_divisors(shape: ModelShape) -> list[float]:
    """By what each rotary frequency is divided in Llama 3.1 and later, which keep what turns
    quickly, stretch what turns slowly, and blend between (transformers' `llama3`)."""
    options = shape.rope.options
    factor, length = float(options["factor"]), float(options["original_max_position_embeddings"])
    low, high = float(options["low_freq_factor"]), float(options["high_freq_factor"])
    divisors = []
    for place in range(0, shape.rotary_width, 2):
        # Tokens in a full turn of this pair of numbers.
        wave = 2 * math.pi * shape.rope.theta ** (place / shape.rotary_width)
        if wave < length / high:
            divisors.append(1.0)
        elif wave > length / low:
            divisors.append(factor)
        else:
            smooth = (length / wave - low) / (high - low)
            divisors.append(1 / ((1 - smooth) / factor + smooth))
    return divisors
