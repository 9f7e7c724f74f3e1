"""The course map: from the progress file to rows, what is next, export and reset."""

from __future__ import annotations

import json

import pytest

from helpers.course import chapters, progress
from helpers.course.progress import LearnerProgress
from helpers.course.quiz import scores
from helpers.course.quiz.questions import load, select
from helpers.widgets import course_map, quiz
from tests.course.quiz.test_session import answer_all, session, wrong_answer


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBOOK_STATE", str(tmp_path))
    return tmp_path


def numbers():
    return [row.number for row in course_map.rows(LearnerProgress())]


def test_there_is_a_row_for_each_notebook_that_exists():
    assert numbers() == [n for n, chapter in chapters.CHAPTERS.items() if chapter.exists]
    assert all(row.promise for row in course_map.rows(LearnerProgress()))


def test_what_was_done_stands_in_its_row():
    progress.record_notebook("02", 600)
    answer_all(session(select(notebook="02")[:4]))
    row = next(r for r in course_map.rows(progress.read()) if r.number == "02")
    assert (row.questions.done, row.questions.total) == (4, 11)
    assert (row.run["runs"], row.minutes) == (1, 10)


def counts_of_the_course():
    """Right and all questions, as the map, the figure of 08 and the review itself say."""
    rows = course_map.rows(progress.read())
    own = [row.questions for row in rows if row.number != chapters.REVIEW]
    whole = next(row.questions for row in rows if row.number == chapters.REVIEW)
    figure = scores.recorded()
    review = quiz.review()
    review.session.result()
    screen = review.session.screen()
    return {
        (sum(share.done for share in own), sum(share.total for share in own)),
        (whole.done, whole.total),
        (sum(score.right for score in figure), sum(score.total for score in figure)),
        (screen["right"], screen["total"]),
    }


def test_the_map_the_figure_and_the_review_count_alike():
    assert counts_of_the_course() == {(0, len(load()))}
    answer_all(session(select(notebook="02")))
    missed = session(select(notebook="03"))
    missed.check(wrong_answer(missed.question, missed.attempt))
    right = len(select(notebook="02"))
    assert counts_of_the_course() == {(right, len(load()))}


@pytest.mark.parametrize("kept", [{"given": [99], "seed": 0}, {"given": "x", "seed": 0}, {}])
def test_an_answer_to_a_question_that_was_rewritten_counts_nowhere(kept):
    question = next(q for q in load().values() if q.kind == "one")
    progress.record_question(question.id, right=True, **kept)
    progress.record_question("gone-from-the-course", right=True, given=[0], seed=0)
    assert counts_of_the_course() == {(0, len(load()))}


def test_next_is_what_was_not_run_yet_then_what_has_something_left():
    assert course_map.coming(course_map.rows(LearnerProgress())) == "00"
    done = LearnerProgress(notebooks={n: {"runs": 1, "seconds": 1.0} for n in numbers()})
    assert course_map.coming(course_map.rows(done)) == "00"
    answer_all(session(select(notebook="00")))
    done.questions = progress.read().questions
    left = course_map.rows(done)
    assert course_map.coming(left) == next(row.number for row in left if not row.done)


def test_finish_counts_the_time_since_it_was_last_counted(monkeypatch):
    now = course_map.psutil.Process().create_time()
    monkeypatch.setattr(course_map, "_counted_until", 0.0)
    course_map.finish("02", clock=lambda: now + 120)
    course_map.finish("02", clock=lambda: now + 180)
    assert progress.read().notebooks["02"]["seconds"] == pytest.approx(180, abs=1)
    course_map.finish("02", clock=lambda: now + 10**6)
    assert progress.read().notebooks["02"]["seconds"] < 180 + course_map.LONGEST_SECONDS + 1


def test_export_sends_the_whole_file_and_reset_forgets(monkeypatch):
    progress.record_exercise("02-mask", solved=True)
    view = course_map.show()
    sent = []
    monkeypatch.setattr(view, "send", lambda content, buffers=None: sent.append(content))
    view._handle_custom_msg({"do": "export"}, [])
    assert json.loads(sent[0]["text"])["exercises"] == {"02-mask": {"solved": True, "tries": 1}}
    view._handle_custom_msg({"do": "reset"}, [])
    assert progress.read() == LearnerProgress()
    assert "forgotten" in view.map["said"]
    assert view.map["undo"]
    view._handle_custom_msg({"do": "undo"}, [])
    assert progress.read().exercises == {"02-mask": {"solved": True, "tries": 1}}


def test_a_nickname_is_asked_once_and_names_the_file(monkeypatch):
    view = course_map.show()
    sent = []
    monkeypatch.setattr(view, "send", lambda content, buffers=None: sent.append(content))
    assert view.map["nickname"] == ""
    view._handle_custom_msg({"do": "export", "nickname": "Ana"}, [])
    assert view.map["nickname"] == "Ana"
    view._handle_custom_msg({"do": "export"}, [])
    assert [one["name"] for one in sent] == ["progress-ana.json"] * 2
    assert json.loads(sent[1]["text"])["nickname"] == "Ana"


def test_the_outputs_are_the_same_for_every_reader():
    before = course_map.show()._repr_mimebundle_()
    progress.record_notebook("02", 600)
    after = course_map.finish("00")._repr_mimebundle_()
    one, other = (d[0] if isinstance(d, tuple) else d for d in (before, after))
    assert one["text/html"] == other["text/html"]
    assert one["text/plain"] == other["text/plain"] == "Course map"


def test_as_plain_text_it_says_the_same():
    progress.record_notebook("00", 600)
    lines = course_map.text().splitlines()
    assert lines[0].startswith("✓ 0 Start here")
    assert lines[0].endswith("10 min")
    assert lines[-1] == "next: 1 Prepare a dataset"
