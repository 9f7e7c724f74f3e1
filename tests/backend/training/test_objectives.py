"""What a step minimises: the words of the answer, and those of the question with less weight."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from helpers.backend.training.examples import Example
from helpers.backend.training.forward import Network, Noise
from helpers.backend.training.objectives import supervised
from tests.backend.training.tiny import plain_losses, random_examples, tiny_model

WEIGHT = 0.3


def asking(n: int) -> list[Example]:
    """Random examples of which everything before the answer, but the first token, is a prompt."""
    return [
        replace(e, prompt=(False, *(not target for target in e.targets[1:])))
        for e in random_examples(n, shared=4)
    ]


def gradients(network: Network) -> list[torch.Tensor]:
    found = [matrix.grad.clone() for matrix in network.parameters()]
    for matrix in network.parameters():
        matrix.grad = None
    return found


def test_the_askers_words_count_with_their_weight_and_are_not_reported() -> None:
    model = tiny_model()
    network = Network(model)
    examples = asking(4)
    answers = plain_losses(model, examples)
    prompts = plain_losses(model, [replace(e, targets=e.prompt) for e in examples])
    total = len(answers) + WEIGHT * len(prompts)
    ((answers.sum() + WEIGHT * prompts.sum()) / total).backward()
    wanted = gradients(network)

    stats = supervised(network, examples, torch.Tensor.backward, prompt_loss_weight=WEIGHT)

    assert stats.mean_loss == pytest.approx(float(answers.mean().detach()), rel=1e-4)
    for ours, theirs in zip(gradients(network), wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)


def test_noise_changes_the_loss_and_the_same_draw_gives_the_same() -> None:
    network = Network(tiny_model())
    examples = asking(3)

    def loss(alpha: float, seed: int) -> float:
        noise = Noise(alpha, torch.Generator().manual_seed(seed))
        return supervised(network, examples, None, noise=noise).loss

    plain = supervised(network, examples, None).loss
    assert loss(0.0, 1) == pytest.approx(plain)
    assert loss(50.0, 1) != pytest.approx(plain)
    assert loss(50.0, 1) == loss(50.0, 1)
    assert loss(50.0, 1) != loss(50.0, 2)
