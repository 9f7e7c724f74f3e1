"""What a sceptic asks for first: answers without any language model.

For: the rows of the report that a trained model must beat. Not for: finding the nearest past
answer, see `helpers.capstone.lookup`.

    most_frequent(["yes", "no", "yes"])          # "yes"
    linear = Linear.fit(vectors, labels)
    linear(other_vectors)                        # a label each
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helpers.base.files import atomic

FREQUENT, NEAREST = "most frequent answer", "nearest past answer"
NEIGHBOURS, LINEAR = "nearest neighbours", "linear model"
"""On the embeddings, for tables whose answers are labels."""
LOOKUPS = (NEAREST, NEIGHBOURS, LINEAR)
"""Baselines that read the question, and need an embedding model alone."""
K = 5
"""Neighbours that vote on a label."""
C = 10
"""How much the fit counts beside small weights."""
TINY = 1e-9
"""The least distance, so that a question asked before decides."""
WEIGHTS = "linear.npz"


def most_frequent(answers: Sequence[str]) -> str:
    """The answer given most often; of equal ones the first."""
    return Counter(answers).most_common(1)[0][0]


def neighbours(vectors: np.ndarray, labels: Sequence[str], asked: np.ndarray) -> list[str]:
    """The label that most of the nearest 5 past questions have, by cosine."""
    names = sorted(set(labels))
    codes = np.array([names.index(label) for label in labels])
    # Cosine distances, shape (asked, past).
    far = np.maximum(1 - _unit(asked) @ _unit(vectors).T, TINY)
    nearest = np.argsort(far, axis=1, kind="stable")[:, :K]
    votes = np.zeros((len(asked), len(names)))
    rows = np.arange(len(asked))[:, None]
    # The nearer, the more a vote counts. `add.at`, since two neighbours may have the same label.
    np.add.at(votes, (rows, codes[nearest]), 1 / far[rows, nearest])
    return [names[place] for place in votes.argmax(axis=1)]


@dataclass(frozen=True)
class Linear:
    """A linear classifier of embeddings: one row of weights a label."""

    labels: tuple[str, ...]
    weights: np.ndarray
    """Shape (labels, width)."""
    bias: np.ndarray

    @classmethod
    def fit(cls, vectors: np.ndarray, labels: Sequence[str]) -> Linear:
        """Multinomial logistic regression with C = 10, which suits vectors of unit length."""
        import torch

        names = sorted(set(labels))
        x = torch.tensor(vectors, dtype=torch.float64)
        y = torch.tensor([names.index(label) for label in labels])
        weights = torch.zeros(len(names), x.shape[1], dtype=x.dtype, requires_grad=True)
        bias = torch.zeros(len(names), dtype=x.dtype, requires_grad=True)
        solver = torch.optim.LBFGS([weights, bias], max_iter=1000, line_search_fn="strong_wolfe")

        def loss() -> torch.Tensor:
            solver.zero_grad()
            fit = torch.nn.functional.cross_entropy(x @ weights.T + bias, y)
            # Two labels share one set of weights, as is usual, so that each pays for both.
            penalty = weights.square().sum() / (1 if len(names) == 2 else 2)
            total = fit + penalty / (C * len(y))
            total.backward()
            return total

        solver.step(loss)
        return cls(tuple(names), weights.detach().numpy(), bias.detach().numpy())

    def __call__(self, vectors: np.ndarray) -> list[str]:
        """The likeliest label for each vector."""
        best = np.argmax(vectors @ self.weights.T + self.bias, axis=1)
        return [self.labels[place] for place in best]

    def save(self, folder: Path) -> None:
        """Write the weights below `folder`."""
        with atomic(folder / WEIGHTS) as stream:
            # Text of one width, not objects: `load` then needs no pickle, which could run code.
            labels = np.array(self.labels)
            np.savez(stream, labels=labels, weights=self.weights, bias=self.bias)

    @classmethod
    def load(cls, folder: Path) -> Linear:
        """What `save` wrote."""
        with np.load(folder / WEIGHTS, allow_pickle=False) as held:
            return cls(tuple(map(str, held["labels"])), held["weights"], held["bias"])


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), TINY)
