"""What is advised, read from the scores."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.capstone.conclusion import advice
from helpers.capstone.ranking import rank


def first_step(tuned: float, both: float, count: int) -> str:
    """The first advice where two methods have about these shares of right answers."""
    draw = np.random.default_rng(0)
    scores = {
        "tuned": np.sort(draw.random(count)) < tuned,
        "tuned + retrieval": np.sort(draw.random(count)) < both,
        "base": np.zeros(count),
    }
    found = rank({name: row.astype(float) for name, row in scores.items()}, yardstick="facts")
    done = SimpleNamespace(ranking=found, model_folder=Path("model"), within_reach=None)
    return advice(done).first[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tuned", "both", "count", "words"),
    [
        # A sure result, but for a rival that is nearly as good.
        (0.80, 0.80, 200, "Try the folder"),
        # Few questions may hide a difference.
        (0.80, 0.80, 10, "Hold out more"),
        (0.80, 0.77, 40, "Hold out more"),
        (0.80, 0.20, 200, "Try the folder"),
    ],
)
def test_more_questions_are_advised_where_they_could_change_the_choice(tuned, both, count, words):
    assert first_step(tuned, both, count).startswith(words)


def test_a_rival_that_is_a_hair_ahead_is_not_called_behind():
    rows = {"tuned": np.arange(127) < 119, "tuned + retrieval": np.arange(127) < 120}
    found = rank({name: row.astype(float) for name, row in rows.items()}, yardstick="accuracy")
    done = SimpleNamespace(ranking=found, model_folder=Path("model"), within_reach=None)
    said = advice(done)  # type: ignore[arg-type]
    assert said.method == "tuned"
    assert said.against["tuned + retrieval"].startswith("0.01 ahead, and less simple, not decided")
