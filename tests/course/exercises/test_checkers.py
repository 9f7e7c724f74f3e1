"""Whatever an answer is, its checker has a short word for it and never raises."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.course.exercises import core
from helpers.course.exercises.core import exercise
from tests.course.exercises.mistakes import broken, leaves, no_return
from tests.course.exercises.tasks import TASKS, answer_of


class Hostile:
    """Whatever is asked of it, it raises."""

    def _raise(self, *_):
        raise RuntimeError("no")

    __eq__ = __hash__ = __repr__ = __str__ = __bool__ = __iter__ = __len__ = _raise  # type: ignore[assignment]
    __getitem__ = __call__ = __float__ = __lt__ = __contains__ = _raise


class Silent(Exception):
    """An error that cannot say what it is."""

    def __str__(self):
        raise RuntimeError("no words")


def raises_silently(*_):
    raise Silent


RING: list[Any] = []


RING.append(RING)


ODD: list[Any] = [
    *(Hostile(), [Hostile()], [Hostile()] * 3, {"messages": Hostile()}, lambda *_: Hostile()),
    *(raises_silently, leaves, broken, no_return, print, int, Silent(), NotImplemented, b"45"),
    *(float("nan"), float("inf"), 10**400, -1, 1j, Fraction(1, 2), "", "\ud800", "x" * 10_000),
    *(np.arange(3), np.array([]), np.float32(0.5), np.bool_(True), RING, [[[]]], {1: 2}, set()),
    *([{"role": "system"}], [{"role": [], "content": []}] * 2, {"messages": [1, 2, 3]}),
    *({"messages": [{"role": "user"}, None, {}]}, range(3), iter([1, 2]), object, (x for x in "a")),
]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
def test_no_answer_whatever_raises_or_fills_the_page(odd, unrecorded):
    for task in TASKS:
        verdict = exercise(task.id).check(odd)
        assert verdict.message
        assert len(verdict.message) < 700
        assert len(repr(verdict) + verdict._repr_html_()) < 4000


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(value=VALUES, called=st.booleans())
def test_no_generated_answer_raises(value, called, unrecorded):
    for task in TASKS:
        verdict = exercise(task.id).check((lambda *_: value) if called else value)
        assert verdict.state in core.MARKS


def test_numbers_of_numpy_count_like_pythons_own(unrecorded):
    for name, value in {"00-epochs": np.int64(45), "03-recall": np.float64(0.5)}.items():
        assert exercise(name).check(value).state == "correct"
    assert exercise("03-recall").check(Fraction(1, 2)).state == "correct"


def test_a_function_that_changes_its_arguments_spoils_no_later_check(unrecorded):
    def sorts(scores, k):
        scores.sort()
        return []

    solution = answer_of(core._task("05-choose"))
    exercise("05-choose").check(sorts)
    assert exercise("05-choose").check(solution).state == "correct"
