"""The course map: from the progress file to rows, what is next, export and reset."""

from __future__ import annotations

import json

import pytest

from helpers.course import chapters, progress
from helpers.course.progress import LearnerProgress
from helpers.course.quiz.questions import select
from helpers.widgets import course_map


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
    for question in select(notebook="02")[:4]:
        progress.record_question(question.id, right=True)
    row = next(r for r in course_map.rows(progress.read()) if r.number == "02")
    assert (row.questions.done, row.questions.total) == (4, 11)
    assert (row.run["runs"], row.minutes) == (1, 10)


def test_next_is_what_was_not_run_yet_then_what_has_something_left():
    assert course_map.coming(course_map.rows(LearnerProgress())) == "00"
    done = LearnerProgress(notebooks={n: {"runs": 1, "seconds": 1.0} for n in numbers()})
    assert course_map.coming(course_map.rows(done)) == "00"
    done.questions = {q.id: {"right": True} for q in select(notebook="00")}
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
