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
WEIGHTS = "linear.npz"


def most_frequent(answers: Sequence[str]) -> str:
    """The answer given most often; of equal ones the first."""
    return Counter(answers).most_common(1)[0][0]


def neighbours(vectors: np.ndarray, labels: Sequence[str], asked: np.ndarray) -> list[str]:
    """The label that most of the nearest 5 past questions have, by cosine."""
    from sklearn.neighbors import KNeighborsClassifier  # type: ignore[import-untyped]

    model = KNeighborsClassifier(min(K, len(labels)), metric="cosine", weights="distance")
    return [str(label) for label in model.fit(vectors, list(labels)).predict(asked)]


@dataclass(frozen=True)
class Linear:
    """A linear classifier of embeddings: one row of weights a label."""

    labels: tuple[str, ...]
    weights: np.ndarray
    """Shape (labels, width)."""
    bias: np.ndarray

    @classmethod
    def fit(cls, vectors: np.ndarray, labels: Sequence[str]) -> Linear:
        """Logistic regression (scikit-learn's, C = 10), which suits vectors of unit length."""
        from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

        names = sorted(set(labels))
        if len(names) == 1:
            return cls(tuple(names), np.zeros((1, vectors.shape[1])), np.zeros(1))
        model = LogisticRegression(C=10, max_iter=1000).fit(vectors, list(labels))
        weights, bias = model.coef_, model.intercept_
        if len(names) == 2:
            # scikit-learn keeps one row for two classes: the second against the first.
            weights, bias = np.vstack([-weights, weights]), np.concatenate([-bias, bias])
        return cls(tuple(str(name) for name in model.classes_), weights, bias)

    def __call__(self, vectors: np.ndarray) -> list[str]:
        """The likeliest label for each vector."""
        best = np.argmax(vectors @ self.weights.T + self.bias, axis=1)
        return [self.labels[place] for place in best]

    def save(self, folder: Path) -> None:
        """Write the weights below `folder`."""
        with atomic(folder / WEIGHTS) as stream:
            labels = np.array(self.labels)
            np.savez(stream, labels=labels, weights=self.weights, bias=self.bias)

    @classmethod
    def load(cls, folder: Path) -> Linear:
        """What `save` wrote."""
        with np.load(folder / WEIGHTS, allow_pickle=False) as held:
            return cls(tuple(map(str, held["labels"])), held["weights"], held["bias"])
