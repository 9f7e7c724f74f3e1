"""The network around transformers: what it changes in a model, and what it must leave as it is."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from helpers.backend.training.base import with_adapter
from helpers.backend.training.packing import pack
from helpers.backend.training.peft_network import PeftNetwork
from tests.backend.bases.tiny_families import CASES, random_model
from tests.backend.training.tiny import random_examples

BY_PEFT = ("SmolLM3", "Qwen2.5", "Qwen3", "Gemma 3", "Phi 4 mini")


def adapted(case: str, **options: Any) -> Any:
    base = random_model(case, **options).eval().requires_grad_(False)
    model = with_adapter(base, rank=4, alpha=8, seed=1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter.data, std=0.1)
    return model


@pytest.mark.parametrize("case", BY_PEFT)
def test_bfloat16_rounds_the_frozen_weights_alone(case: str) -> None:
    model = adapted(case)
    buffers = {name: one.clone() for name, one in model.named_buffers()}
    matrices = [p.detach().clone() for p in model.parameters() if p.requires_grad]
    net = PeftNetwork(model, precision=torch.bfloat16)
    # Rotary frequencies among them: rounded, they would turn far tokens by other angles.
    for name, one in model.named_buffers():
        assert torch.equal(one, buffers[name]), name
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), matrices, strict=True))
    assert {p.dtype for p in model.parameters() if not p.requires_grad} == {torch.bfloat16}


@pytest.mark.parametrize("case", ["Qwen2.5", "Qwen2.5, untied"])
def test_an_output_layer_of_its_own_is_released_and_an_embedding_is_not(case: str) -> None:
    batch = pack(random_examples(3, shared=4))
    expected = PeftNetwork(adapted(case)).token_losses(batch)
    model = adapted(case)
    net = PeftNetwork(model, release=True)
    assert (model.get_base_model().lm_head.weight.numel() == 0) == (case == "Qwen2.5, untied")
    torch.testing.assert_close(net.token_losses(batch), expected)


def test_activations_that_are_worked_out_twice_are_the_same_both_times() -> None:
    """Training mode, which this needs, would switch a config's dropout on."""
    batch = pack(random_examples(3, shared=4))
    expected = PeftNetwork(adapted("Phi 3")).token_losses(batch)
    net = PeftNetwork(adapted("Phi 3", resid_pdrop=0.5), recompute=True)
    torch.testing.assert_close(net.token_losses(batch), expected)


def test_all_families_that_transformers_trains_are_looked_at() -> None:
    from helpers.backend.training.networks import is_fast

    slow = {case for case in CASES if not is_fast(random_model(case).config)}
    assert slow == {*BY_PEFT, "Qwen2.5, untied", "Phi 3"}
