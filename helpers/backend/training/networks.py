"""Which network trains a model: the fast one where it is exact, transformers' own elsewhere.

For: the training loop. `tests/backend/bases/test_logits.py` compares both with transformers for
every family.

    net = network(peft_model, precision=torch.float32)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from helpers.backend.training.forward import Network
from helpers.backend.training.peft_network import PeftNetwork
from helpers.base.heap import return_freed_memory

if TYPE_CHECKING:
    from peft import PeftModel

# Mistral is a Llama with a sliding window, which `is_fast` asks about.
FAST_KINDS = ("llama", "mistral")
FAST_ROPES = ("default", "linear", "llama3")
"""Rotary positions whose frequencies are fixed, and that scale nothing else."""

AnyNetwork = Network | PeftNetwork


def is_fast(config: Any) -> bool:
    """Whether `forward.Network` computes exactly what transformers does for this config.

    That is a Llama without biases, each of whose layers sees the whole text. It may be tied or
    not, and its positions may be stretched in the ways that change the frequencies alone.
    """
    rope = config.rope_parameters or {}
    window = getattr(config, "sliding_window", None)
    return (
        config.model_type in FAST_KINDS
        and rope.get("rope_type", "default") in FAST_ROPES
        and config.hidden_act == "silu"
        and not getattr(config, "attention_bias", False)
        and not getattr(config, "mlp_bias", False)
        # A window as long as the longest text hides nothing.
        and (window is None or window >= config.max_position_embeddings)
    )


def network(
    model: PeftModel,
    *,
    precision: torch.dtype = torch.float32,
    release: bool = False,
    recompute: bool = False,
) -> AnyNetwork:
    """The fastest exact network. `recompute` spares memory, which the fast one cannot."""
    made: AnyNetwork
    base = model.get_base_model()
    # Matrices in 4 bits have a product of their own, which transformers and peft call.
    packed = bool(getattr(base, "is_quantized", False))
    if is_fast(base.config) and not recompute and not packed:
        made = Network(model, precision=precision, release=release)
    else:
        made = PeftNetwork(model, precision=precision, release=release, recompute=recompute)
    if release:
        return_freed_memory()
    return made
