"""The verb `progress`: the map, a file to hand in, the table of a class, a new start."""

from __future__ import annotations

import csv

import pytest

from helpers import __main__ as command_line
from helpers.base.errors import CourseError
from helpers.cli import progress as verb
from helpers.course import progress


@pytest.fixture
def say(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORKBOOK_STATE", str(tmp_path / "state"))

    def run(*words):
        options = command_line.parser().parse_args(["progress", *map(str, words)])
        return verb.run(tmp_path, options), capsys.readouterr().out

    return run


def test_without_options_it_shows_the_map_and_what_is_next(say):
    progress.record_notebook("00", 600)
    code, out = say()
    assert code == 0
    assert "✓ 0 Start here" in out
    assert out.rstrip().endswith("next: 1 Prepare a dataset")


def test_exported_files_of_a_class_become_a_table_and_a_csv(say, tmp_path):
    folder = tmp_path / "class"
    folder.mkdir()
    progress.record_exercise("02-mask", solved=True)
    assert say("--export", folder)[0] == 0
    progress.record_exercise("00-epochs", solved=True)
    say("--export", folder / "ben.json")
    code, out = say("--gather", folder, "--csv", tmp_path / "class.csv")
    assert code == 0
    assert "my-progress" in out
    with (tmp_path / "class.csv").open(encoding="utf-8", newline="") as stream:
        solved = {row["file"]: row["exercises solved"] for row in csv.DictReader(stream)}
    assert solved == {"ben": "2", "my-progress": "1"}


def test_an_empty_folder_is_said_in_one_line(say, tmp_path):
    with pytest.raises(CourseError, match="put the exported files there"):
        say("--gather", tmp_path)


@pytest.mark.parametrize(("typed", "left"), [("", 1), ("y", 0)])
def test_reset_asks_and_takes_silence_for_no(say, monkeypatch, typed, left):
    progress.record_exercise("02-mask", solved=True)
    monkeypatch.setattr("builtins.input", lambda words: typed)
    code, _ = say("--reset")
    assert code == left
    assert len(progress.read().exercises) == left
