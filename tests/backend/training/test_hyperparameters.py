"""What "auto" becomes."""

from __future__ import annotations

import pytest

from helpers.backend.training.hyperparameters import (
    ResolvedHyperparameters,
    auto_batch_size,
    resolve,
)


@pytest.mark.parametrize(
    ("examples", "epochs"),
    [(1, 25), (4, 25), (10, 10), (33, 3), (34, 3), (400, 3), (8_333, 3), (8_334, 2), (30_000, 1)],
)
def test_auto_epochs_follow_the_public_rule(examples: int, epochs: int) -> None:
    assert resolve(examples).n_epochs == epochs


def test_given_values_stay() -> None:
    assert resolve(400, 7, 3, 0.5) == ResolvedHyperparameters(7, 3, 0.5)


def test_batches_grow_with_the_data_within_bounds() -> None:
    sizes = [auto_batch_size(n) for n in (1, 10, 100, 400, 1_000, 100_000)]
    assert sizes == sorted(sizes)
    assert sizes[0] >= 1
    assert sizes[-1] <= 256


def test_the_multiplier_scales_the_learning_rate() -> None:
    one, two = resolve(400), resolve(400, learning_rate_multiplier=2.0)
    assert two.learning_rate == pytest.approx(2 * one.learning_rate)
