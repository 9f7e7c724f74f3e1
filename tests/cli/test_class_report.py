"""What a class failed, from the files that were handed in."""

from __future__ import annotations

import json

import pytest

from helpers.cli import class_report
from helpers.course import progress
from helpers.course.progress import LearnerProgress
from helpers.course.quiz.questions import select


@pytest.fixture
def files(tmp_path):
    hard, easy = (question.id for question in select(topic="Retrieval")[:2])
    other = select(topic="Evaluation")[0].id
    learners = {
        "ana": (True, True, [0.6, 0.9]),
        "ben": (False, True, [0.7]),
        "cy": (False, True, []),
    }
    paths = []
    for name, (got_hard, got_easy, scores) in learners.items():
        made = LearnerProgress(
            nickname=name if name != "cy" else "",
            questions={
                hard: {"right": got_hard, "tries": 1},
                easy: {"right": got_easy, "tries": 1},
                other: {"right": True, "tries": 2},
                "gone-from-the-course": {"right": False, "tries": 1},
            },
            exercises={
                "01-inspect": {"solved": max(scores, default=0) > 0.81, "tries": 2}
                | ({"scores": scores} if scores else {}),
                "02-settings": {"solved": True, "tries": 1, "scores": [0.5, 0.4]},
            },
        )
        paths.append(progress.write(made, tmp_path / f"{name}.json"))
    broken = tmp_path / "dee.json"
    broken.write_text("{", encoding="utf-8")
    return [*paths, broken]


def test_the_topic_that_was_failed_most_comes_first_with_its_hardest_question(files):
    table = class_report.by_topic(class_report.readable(files))
    assert table["topic"].tolist() == ["Retrieval", "Evaluation"]
    assert table["answers"].tolist() == [6, 3]
    assert table["right"].tolist() == [0.67, 1.0]
    hard = select(topic="Retrieval")[0]
    assert table["hardest question"][0].startswith(hard.stem[:40])
    assert (table["of it right"][0], table["notebook"][0]) == (0.33, hard.notebook)


def test_a_file_that_is_damaged_in_one_place_counts_nowhere(files, tmp_path):
    half = json.loads(files[0].read_text(encoding="utf-8")) | {"notebooks": {"00": "today"}}
    files[3].write_text(json.dumps(half), encoding="utf-8")
    assert [one.nickname for one in class_report.readable(files)] == ["ana", "ben", "cy"]


def test_exercises_come_least_solved_first(files):
    table = class_report.by_exercise(class_report.readable(files))
    assert table.to_dict("records") == [
        {"exercise": "01-inspect", "tried": 3, "solved": 1},
        {"exercise": "02-settings", "tried": 3, "solved": 3},
    ]


def test_the_leaderboard_has_each_learners_best_and_knows_which_way_is_better(files):
    boards = class_report.leaderboards(class_report.readable(files))
    assert boards["01-inspect"][["name", "best"]].values.tolist() == [["ana", 0.9], ["ben", 0.7]]
    assert boards["02-settings"]["best"].tolist() == [0.4, 0.4, 0.4]
    assert "cy" in boards["02-settings"]["name"].tolist()


@pytest.mark.parametrize("kept", [None, "x", {"scores": "x"}, {"scores": [None]}, {"scores": []}])
def test_odd_files_spoil_nothing(tmp_path, kept):
    learner = LearnerProgress(exercises={"01-inspect": kept}, questions={"x": kept})  # type: ignore[dict-item]
    assert class_report.leaderboards([learner]) == {}
    assert "01-inspect" in class_report.text([learner])


def test_a_nickname_is_kept_names_the_file_and_the_row(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBOOK_STATE", str(tmp_path))
    assert progress.call_me("  Ana \n de la  Cruz ") == "Ana de la Cruz"
    assert progress.file_name("Ana de la Cruz") == "progress-ana-de-la-cruz.json"
    assert progress.file_name("../..") == "my-progress.json"
    file = progress.export(tmp_path / "handed.json")
    assert progress.gather([file])["name"].tolist() == ["Ana de la Cruz"]
