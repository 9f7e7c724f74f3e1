"""What a learner has done, kept in one file."""

import subprocess
import sys

import pytest

from helpers.base import files
from helpers.base.errors import DataError
from helpers.course import progress
from tests.places import ROOT


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBOOK_STATE", str(tmp_path))
    return tmp_path


def test_a_solved_exercise_stays_solved(state):
    progress.record_exercise("02-mask", solved=True)
    progress.record_exercise("02-mask", solved=False)
    assert progress.read().exercises["02-mask"] == {"solved": True, "tries": 2}


def test_a_damaged_progress_file_is_put_aside_and_not_lost(state):
    (state / "progress.json").write_text("{broken")
    assert progress.read().exercises == {}
    assert (state / "progress.json.damaged").read_text() == "{broken"


def test_exported_files_make_one_table(state, tmp_path):
    progress.record_question("meaning", right=True)
    progress.record_notebook("00", 60)
    files = [progress.export(tmp_path / f"learner{n}.json") for n in (1, 2)]
    table = progress.gather(files)
    assert table["questions right"].tolist() == [1, 1]
    assert table["minutes"].tolist() == [1.0, 1.0]
    assert "problem" not in table


def test_a_damaged_file_among_the_handed_in_ones_keeps_its_row_and_says_so(state, tmp_path):
    progress.record_exercise("02-mask", solved=True)
    progress.export(tmp_path / "ana.json")
    broken = {
        "bob": "{",
        "cy": '{"version": 99}',
        "dee": '{"version": 1, "exercises": {"02-mask": 1}}',
        "eve": "[]",
    }
    for name, text in broken.items():
        (tmp_path / f"{name}.json").write_text(text, encoding="utf-8")
    table = progress.gather(tmp_path / f"{name}.json" for name in ("ana", *broken))
    assert table["file"].tolist() == ["ana", *broken]
    assert table["exercises solved"].fillna(-1).tolist() == [1, -1, -1, -1, -1]
    assert table["problem"].notna().tolist() == [False, True, True, True, True]
    # In words, not in the name of an exception; and beside it, counts are counts.
    assert "ask for the file again" in table["problem"][3]
    assert "Error" not in "".join(table["problem"].dropna())
    assert list(table)[-1] == "problem"
    assert "1.0" not in table.drop(columns="minutes").to_string()


def test_two_kernels_that_record_at_once_lose_nothing(state):
    code = (
        "from helpers.course import progress\n"
        "for n in range(20): progress.record_question(f'%d-{n}', right=True)"
    )
    kernels = [
        subprocess.Popen([sys.executable, "-c", code % number], cwd=ROOT) for number in (1, 2)
    ]
    assert [kernel.wait(60) for kernel in kernels] == [0, 0]
    assert len(progress.read().questions) == 40


def test_a_kernel_that_holds_the_file_for_long_is_named_and_loses_nothing(state, monkeypatch):
    monkeypatch.setattr(progress, "WAIT_SECONDS", 0.1)
    with (
        files.locked(state / "progress.json.lock", held=RuntimeError),
        pytest.raises(DataError, match="restart the kernel"),
    ):
        progress.record_question("meaning", right=True)
    # What a killed kernel leaves is a file, and no lock.
    assert (state / "progress.json.lock").exists()
    progress.record_question("second", right=True)
    assert list(progress.read().questions) == ["second"]


def test_a_headless_run_neither_shows_nor_changes_a_learners_progress(state, monkeypatch):
    progress.record_exercise("02-mask", solved=True)
    monkeypatch.setenv("WORKBOOK_HEADLESS", "1")
    progress.record_notebook("02", 60)
    assert progress.read() == progress.LearnerProgress()
    monkeypatch.delenv("WORKBOOK_HEADLESS")
    assert list(progress.read().exercises) == ["02-mask"]
    assert progress.read().notebooks == {}
