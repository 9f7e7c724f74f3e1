"""Several questions in a row, restored later, and as plain text."""

from __future__ import annotations

import pytest

from helpers.course import progress
from helpers.course.quiz import text
from helpers.course.quiz.questions import load, select
from helpers.course.quiz.session import Session

QUESTIONS = select(notebook="02")


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBOOK_STATE", str(tmp_path))
    return tmp_path


def session(questions=QUESTIONS, **more):
    return Session(
        questions,
        recorded=progress.read().questions,
        record=progress.record_question,
        forget=progress.forget_questions,
        **more,
    )


def right_answer(question, attempt):
    if question.kind in ("number", "gap"):
        return question.accepted[0]
    wanted = [o.text for o in question.options if o.right or question.kind == "order"]
    return [attempt.shown.index(option) for option in wanted]


def wrong_answer(question, attempt):
    if question.kind in ("number", "gap"):
        return "0.001"
    if question.kind == "order":
        return right_answer(question, attempt)[::-1]
    return [attempt.shown.index(next(o.text for o in question.options if not o.right))]


def answer_all(walk, *, right=True):
    walk.review_all()
    while not walk.finished:
        give = right_answer if right else wrong_answer
        walk.check(give(walk.question, walk.attempt))
        walk.next()
    return walk


def test_answers_survive_a_restart(state):
    first = session()
    first.check(wrong_answer(first.question, first.attempt))
    seen = first.screen()
    first.next()
    first.check(right_answer(first.question, first.attempt))

    again = session()
    assert again.place == 2
    again.go(0)
    assert again.screen() == seen | {"marks": ["wrong", "right", *["open"] * 9]}


def test_every_kind_of_answer_survives(state):
    everything = list(load().values())
    before = answer_all(session(everything), right=False)
    after = session(everything)
    assert after.finished
    assert after.right == before.right == dict.fromkeys([q.id for q in everything], False)
    for place in range(len(everything)):
        before.go(place)
        after.go(place)
        assert after.screen() == before.screen()


def test_another_seed_keeps_the_order_of_what_was_answered(state):
    first = session(seed=1)
    first.check(right_answer(first.question, first.attempt))
    again = session(seed=2)
    again.go(0)
    assert again.screen()["options"] == first.screen()["options"]


@pytest.mark.parametrize(
    "row", [{}, {"given": [9], "seed": 0}, {"given": "x", "seed": 0}, {"given": [0], "seed": "0"}]
)
def test_a_stored_answer_that_no_longer_fits_is_left_out(row):
    walk = Session(QUESTIONS, recorded={QUESTIONS[0].id: {"right": True, "tries": 1} | row})
    assert walk.right == {}


def test_the_missed_ones_come_again_and_count_when_right(state):
    walk = session()
    walk.check(wrong_answer(walk.question, walk.attempt))
    walk.go(1)
    walk.check(right_answer(walk.question, walk.attempt))
    walk.result()
    assert walk.screen()["missed"] == 1
    assert walk.screen()["topics"][0]["reread"][0]["heading"] == QUESTIONS[0].source

    walk.review_missed()
    screen = walk.screen()
    assert (screen["count"], screen["outcome"], screen["only_missed"]) == (1, "open", True)
    walk.check(right_answer(walk.question, walk.attempt))
    walk.next()
    assert (walk.screen()["right"], walk.screen()["missed"]) == (2, 0)


def test_what_is_no_answer_is_neither_kept_nor_counted(state):
    walk = session()
    assert walk.check([]).feedback == "Choose an answer first."
    assert walk.right == {}
    assert progress.read().questions == {}


def test_starting_over_forgets_these_questions_and_no_others(state):
    progress.record_question("of-another-notebook", right=True)
    answer_all(session()).start_over()
    assert list(progress.read().questions) == ["of-another-notebook"]
    assert session().right == {}


def test_a_disk_that_cannot_be_written_is_said_and_the_quiz_goes_on():
    def refuse(name, **state):
        raise OSError(30, "Read-only file system")

    walk = Session(QUESTIONS, record=refuse)
    assert walk.check(right_answer(walk.question, walk.attempt)).correct
    assert walk.screen()["warning"] == "Your answers cannot be kept: Read-only file system."


def test_a_state_folder_that_cannot_be_made_is_said_too(tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("WORKBOOK_STATE", str(tmp_path / "taken" / "state"))
    walk = Session(QUESTIONS, record=progress.record_question)
    assert walk.check(right_answer(walk.question, walk.attempt)).correct
    assert "cannot be kept" in walk.warning


def test_scores_count_what_was_not_answered_too():
    walk = Session(QUESTIONS)
    walk.check(right_answer(walk.question, walk.attempt))
    score = walk.scores()[0]
    assert (score.right, score.answered, score.missed, score.total) == (1, 1, 0, 11)


def test_as_plain_text_it_asks_again_skips_and_ends():
    walk = Session(select(notebook="02", check=True))
    wrong = str(wrong_answer(walk.question, walk.attempt)[0] + 1)
    right = str(right_answer(walk.question, walk.attempt)[0] + 1)
    typed = iter(["nonsense", wrong, "y", right, "", "q"])
    said: list[str] = []
    text.ask(walk, ask=lambda prompt: next(typed), say=said.append)
    assert any(line.startswith("✗ Not yet. Choose an answer first.") for line in said)
    assert any(line.startswith("✓ Right.") for line in said)
    assert said[-1] == "Fine-tuning: 1 of 3 right"
    assert next(typed, "all was asked") == "all was asked"
