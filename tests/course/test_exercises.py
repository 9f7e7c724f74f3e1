"""Every exercise of the course: its solution passes, plausible mistakes get fitting words."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.course import progress
from helpers.course.exercises import core
from helpers.course.exercises.core import Exercise, exercise
from tests.places import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("0[0-7]_*.ipynb"))
NUMBERS = [path.name[:2] for path in NOTEBOOKS]
TASKS = [task for number in NUMBERS for task in core.tasks(number)]


def no_change(text, *_):
    return text


def nothing(*_):
    return []


def broken(*_):
    raise KeyError("oops")


def no_return(*_):
    """Forgets to return."""


def leaves(*_):
    raise SystemExit


def best_first(scores, k):
    return sorted(range(len(scores)), key=lambda i: -scores[i])[:k]


def better(before, after):
    return [q for q in before if after[q] > before[q]]


def say(role, content="Hi"):
    return {"role": role, "content": content}


EXAMPLE = {"messages": [say("system"), say("user"), say("assistant", "On the 1st.")]}
UNSAID = {"messages": [say("user"), say("assistant", "On the 6th; you have 14 days.")]}
OPEN_END = {"messages": [say("system"), say("user")]}

# For each exercise: a mistake that somebody may well make, and words that fit it.
MISTAKES: dict[str, list[tuple[Any, str]]] = {
    "00-messages": [
        ("Hello", "a list of messages"),
        (say("user"), "a list of messages"),
        ([say("user"), say("system")], "the system message comes first"),
        ([say("user")], "wanted are system and user"),
        ([say("system"), say("user", " ")], "content that is not empty"),
    ],
    "00-order": [
        (["job", "upload", "model", "chat"], "the upload comes first"),
        (["upload", "model", "job", "chat"], "out of the job"),
        (["upload", "job", "chat", "model"], "the chat comes last"),
        (["upload", "job"], "once, in a list"),
        ("upload, job, model, chat", "a list of the four words"),
    ],
    "00-epochs": [
        (9, "one epoch"),
        (5, "one example"),
        (14, "multiplied"),
        ("45", "without quotes"),
        (40, "Multiply the examples"),
    ],
    "01-example": [
        ({"prompt": "When?"}, "the older form"),
        (EXAMPLE["messages"], "a dict with the key messages"),
        ({"message": []}, "needs the key messages"),
        (EXAMPLE, "both facts"),
        (UNSAID, "system, user, assistant"),
        (OPEN_END, "assistant"),
        ("a line", "a dict"),
    ],
    "01-redact": [
        ("[order]", "Assign a function"),
        (no_change, "wanted is 'Where is [order]?'"),
        (broken, "it raises KeyError"),
        (no_return, "end with return"),
        (lambda text: re.sub(r"LW\w+", "[order]", text), "wanted is 'Plan LWX is new'"),
        (lambda text: re.sub(r"LW\d{8}", "[order]", text, count=1), "LW00000001 and"),
    ],
    "01-price": [
        (0.775, "one epoch"),
        (31_000 * 3 * 25, "divide by 1,000,000"),
        (93_000, "the trained tokens"),
        ("$2.33", "without quotes"),
    ],
    "02-mask": [
        ([True, True, True], "nobody needs to learn to predict it"),
        ([False, True, True], "nobody needs to learn to predict it"),
        ([False, False, False], "must learn to say"),
        ("the last", "a list of three"),
        (["False", "False", "True"], "without quotes"),
    ],
    "02-lora": [
        (576 * 1536, "the full matrix"),
        (8 * 576 * 1536, "thin"),
        (8 * 576, "A alone"),
        (576 + 1536, "rank 1"),
    ],
    "02-steps": [
        (48, "one epoch"),
        (142, "round up"),
        (141, "round up"),
        (378 * 3, "a whole batch"),
        ("many", "without quotes"),
    ],
    "03-recall": [
        (0, "12 seconds stands"),
        (1, "does not say amber"),
        (50, "not in percent"),
        (2, "divide"),
    ],
    "03-scorer": [
        (1.0, "Assign a function"),
        (no_change, "wanted is a Score"),
        (broken, "it raises KeyError"),
        (no_return, "end with return"),
    ],
    "03-paired": [
        ("intervals", "may overlap"),
        ("both", "none of the words"),
        (1, "one of these words"),
    ],
    "04-next": [
        ("epochs", "the same phrasings"),
        ("larger", "costs more"),
        ("prompt", "known already"),
        ("rest", "none of the words"),
    ],
    "04-guard": [
        (["b"], "Assign a function"),
        (nothing, r"worse became \['b'\]"),
        (better, "worse became"),
        (broken, "it raises KeyError"),
        (no_return, "end with return"),
    ],
    "04-curve": [
        (True, "the curve is flat"),
        ("False", "without quotes"),
        (0.9, "True or False"),
    ],
    "05-cost": [
        (600_000, "there are four"),
        (240, "10,000 in a month"),
        (2.4, "not in millions"),
        ("2.4 million", "without quotes"),
    ],
    "05-choose": [
        ([2, 1], "Assign a function"),
        (best_first, "must stand last"),
        (lambda scores, k: sorted(scores)[-k:], "wanted are the places"),
        (broken, "it raises KeyError"),
        (leaves, "it raises SystemExit"),
    ],
    "05-window": [
        (102, "Keep room"),
        (99.9, "round down"),
        (100, "round down"),
        ("99", "without quotes"),
    ],
    "06-recall": [
        (0, "among the first three"),
        (1, "fourth place"),
        (1 / 3, "precision"),
        (2 / 3, "Only one"),
    ],
    "06-rrf": [
        (1 / 61, "both count"),
        (1 + 1 / 3, "The constant 60"),
        (1 / 60 + 1 / 62, "count from 1"),
        ("first", "without quotes"),
    ],
    "06-diagnose": [
        ("generation", "never saw"),
        ("chunking", "none of the words"),
        (3, "one of these words"),
    ],
    "07-breakeven": [
        (0, "far less than a cent"),
        (0.04, "a million tokens"),
        (20_000_000, "what one question saves"),
        ("soon", "a number of questions"),
    ],
    "07-method": [
        ("tuned", "few to train on"),
        ("few-shot", "in none of them"),
        ("bigger model", "Answer with"),
        (1, "Answer with"),
    ],
    "07-export": [
        ("gguf", "llama.cpp's form"),
        ("adapter.gguf", "llama.cpp's form"),
        ("key", "a part of the folder"),
        (2, "a part of the folder"),
    ],
}


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


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBOOK_STATE", str(tmp_path))
    monkeypatch.setattr(core, "_OPEN", {})
    return tmp_path


@pytest.fixture
def unrecorded(monkeypatch):
    """For tests with hundreds of answers: nothing is written to disk."""
    monkeypatch.setenv("WORKBOOK_HEADLESS", "1")


@pytest.fixture(params=TASKS, ids=lambda task: task.id)
def task(request) -> core.ExerciseTask:
    return request.param


def answer_of(task: core.ExerciseTask) -> Any:
    space: dict[str, Any] = {}
    exec(task.solution, space)
    return space["answer"]


@pytest.mark.parametrize("number", NUMBERS)
def test_each_notebook_has_three_levels(number):
    levels = [task.level for task in core.tasks(number)]
    assert len(levels) >= 3
    assert {"🟢", "🔵", "⚫"} <= set(levels)


def test_the_solution_passes(task, unrecorded):
    verdict = exercise(task.id).check(answer_of(task))
    assert verdict.state == "correct", verdict
    assert verdict.message == task.praise


def test_an_untouched_exercise_is_not_done_yet(task, state):
    assert exercise(task.id).check(...).state == "not done yet"
    assert not (state / "progress.json").exists()


def test_plausible_mistakes_get_words_that_fit(task, unrecorded):
    mistakes = MISTAKES[task.id]
    assert len(mistakes) >= 3
    for mistake, words in mistakes:
        verdict = exercise(task.id).check(mistake)
        assert verdict.state == "not yet", mistake
        assert len(verdict.message) > 15, mistake
        assert words in verdict.message or re.search(words, verdict.message), verdict
        assert task.praise not in verdict.message


def test_different_mistakes_are_told_apart(task, unrecorded):
    said = {exercise(task.id).check(mistake).message for mistake, _ in MISTAKES[task.id]}
    assert len(said) >= 2


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
def test_no_answer_whatever_raises_or_fills_the_page(odd, unrecorded):
    for task in TASKS:
        verdict = exercise(task.id).check(odd)
        assert verdict.message
        assert len(verdict.message) < 700
        assert len(repr(verdict) + verdict._repr_html_()) < 2500


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


def test_what_printed_instead_of_returning_is_told_so():
    verdict = exercise("00-order").check(print())
    assert verdict.state == "not done yet"
    assert "returns None" in verdict.message


def test_hints_grow_to_three_also_when_each_is_asked_for_in_a_new_cell(task):
    assert len(set(task.hints)) == 3
    said = [exercise(task.id).hint() for _ in range(4)]
    assert [str(hint)[:11] for hint in said] == [f"Hint {n} of 3" for n in (1, 2, 3, 3)]
    assert [hint.split(": ", 1)[1] for hint in said[:3]] == list(task.hints)


def test_the_solution_comes_after_a_try_or_on_request():
    assert "Try it once first" in exercise("02-mask").solution()
    assert "answer =" in exercise("02-mask").solution(show=True)
    exercise("02-mask").check(...)
    assert "Try it once first" in exercise("02-mask").solution()
    exercise("02-mask").check("the last")
    assert "answer =" in exercise("02-mask").solution()


def test_a_try_is_remembered_by_a_new_kernel(monkeypatch):
    exercise("02-mask").check("the last")
    monkeypatch.setattr(core, "_OPEN", {})
    assert "answer =" in exercise("02-mask").solution()


def test_only_a_right_answer_solves_and_it_stays_solved():
    exercise("02-mask").check("the last")
    assert progress.read().exercises["02-mask"] == {"solved": False, "tries": 1}
    exercise("02-mask").check([False, False, True])
    exercise("02-mask").check("the last")
    assert progress.read().exercises["02-mask"] == {"solved": True, "tries": 3}


def test_where_progress_cannot_be_kept_the_verdict_comes_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("WORKBOOK_STATE", str(tmp_path / "file"))
    verdict = Exercise(core._task("00-epochs")).check(45)
    assert verdict.state == "correct"
    assert "cannot be kept" in verdict.message


def test_a_wrong_answer_raises_only_where_tests_ask_for_it(monkeypatch):
    monkeypatch.setenv("WORKBOOK_STRICT", "1")
    with pytest.raises(AssertionError, match="without quotes"):
        exercise("00-epochs").check("45")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_poses_each_of_its_exercises_once(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    posed = [
        name for source in sources for name in re.findall(r'exercise\("(.+?)"\).check', source)
    ]
    assert posed == [task.id for task in core.tasks(path.name[:2])]
    edited = [source.count("...") for source in sources if "exercise(" in source]
    assert edited == [1] * len(posed)
