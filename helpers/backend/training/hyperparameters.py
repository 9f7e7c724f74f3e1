"""What "auto" means for a training job.

For: the server, which must answer with numbers before PyTorch is loaded.

    resolve(400, "auto", "auto", "auto")     # Hyperparameters(n_epochs=3, batch_size=8, ...)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Auto = Literal["auto"]

TARGET_EPOCHS = 3
MIN_EXAMPLES_SEEN, MAX_EXAMPLES_SEEN = 100, 25_000
MAX_AUTO_EPOCHS = 25
BASE_LEARNING_RATE = 1e-3
"""Learning rate of the LoRA matrices at a multiplier of 1."""

PROMPT_LOSS_WEIGHT = 0.3
"""What a word of the question counts beside one of the answer: with few examples, learning how
customers write helps to tell their questions apart (Shi et al. 2024)."""
NEFTUNE_ALPHA = 7.0
"""Noise on the embeddings while training (Jain et al. 2023)."""


@dataclass(frozen=True)
class ResolvedHyperparameters:
    """Settled values, as a job reports them."""

    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float

    @property
    def learning_rate(self) -> float:
        """Peak learning rate."""
        return BASE_LEARNING_RATE * self.learning_rate_multiplier


def auto_epochs(n_examples: int) -> int:
    """OpenAI's public rule: aim for 3, but show 100 to 25,000 examples in all."""
    if n_examples < 1:
        return TARGET_EPOCHS
    if n_examples * TARGET_EPOCHS < MIN_EXAMPLES_SEEN:
        return min(MAX_AUTO_EPOCHS, MIN_EXAMPLES_SEEN // n_examples)
    if n_examples * TARGET_EPOCHS > MAX_EXAMPLES_SEEN:
        return max(1, MAX_EXAMPLES_SEEN // n_examples)
    return TARGET_EPOCHS


def auto_batch_size(n_examples: int) -> int:
    """A twenty-fifth of the data, from 4 to 16: about twenty-five steps an epoch."""
    return max(4, min(16, n_examples // 25))


def resolve(
    n_examples: int,
    n_epochs: int | Auto = "auto",
    batch_size: int | Auto = "auto",
    learning_rate_multiplier: float | Auto = "auto",
) -> ResolvedHyperparameters:
    """Replace each "auto" by a number. `n_examples` must be at least 1."""
    return ResolvedHyperparameters(
        auto_epochs(n_examples) if n_epochs == "auto" else n_epochs,
        auto_batch_size(n_examples) if batch_size == "auto" else batch_size,
        1.0 if learning_rate_multiplier == "auto" else learning_rate_multiplier,
    )
