"""The benchmark's frame: which rows run, what is written, what the table says."""

from __future__ import annotations

import argparse
import json
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest

from helpers import bench
from helpers.base import settings as settings_module
from helpers.base.errors import CourseError
from helpers.bench import datasets, models, serving, training
from helpers.bench.measurements import BenchRow, chosen
from tests.backend.bases.plain_folder import write_plain

KNOWN = {"one": ("a", "b"), "two": ("c",)}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([], {"one": ["a", "b"], "two": ["c"]}),
        (["b"], {"one": ["b"]}),
        (["c", "a"], {"one": ["a"], "two": ["c"]}),
        (["one"], {"one": ["a", "b"]}),
    ],
)
def test_rows_and_groups_are_chosen_by_name(wanted, found):
    assert chosen(KNOWN, wanted) == found


def test_every_row_has_a_name_of_its_own_and_a_measurement(settings, monkeypatch):
    monkeypatch.setattr(settings_module, "load", lambda: settings)
    names = [name for group in (training, serving, datasets) for name in group.NAMES]
    assert len(names) == len(set(names))
    for group in (training, serving):
        with group.measuring(settings.root) as measurements:
            assert tuple(measurements) == group.NAMES
    with datasets.measuring(settings.root, examples=20) as measurements:
        assert tuple(measurements) == datasets.NAMES


def test_each_base_has_its_rows(settings, monkeypatch, tmp_path):
    # Named, so that no engine is measured.
    config = replace(settings, extra_models=write_plain(tmp_path / "tiny"), engine="llama.cpp")
    monkeypatch.setattr(settings_module, "load", lambda: config)
    names = models.NAMES
    assert [name for name in names if name.startswith("tiny:")] == [
        "tiny:step", "tiny:memory", "tiny:answer", "tiny:loaded", "tiny:trl",
    ]  # fmt: skip
    with models.measuring(config.root) as measurements:
        assert tuple(measurements) == names
        assert measurements["tiny:answer"]().ours > 0
        assert measurements["tiny:loaded"]().unit == "MB"


@pytest.fixture
def beside_trl(settings, monkeypatch, tmp_path):
    """The row of a tiny base beside TRL, whose losses are given; nothing is trained."""
    config = replace(settings, extra_models=write_plain(tmp_path / "tiny"), engine="llama.cpp")
    monkeypatch.setattr(settings_module, "load", lambda: config)
    steps = [{"step": n, "seconds": float(n), "train_loss": 3.0 - n} for n in (1, 2)]
    monkeypatch.setattr(models, "train_once", lambda spec, folder: (steps, 500.0))

    def row(kind, losses, seconds):
        theirs = training.TimedTraining(losses, seconds, 900.0, [])
        monkeypatch.setattr(models, "train_trl", lambda root, spec, folder: theirs)
        with models.measuring(config.root) as measurements:
            return measurements[f"tiny:{kind}"]()

    return row


def test_a_base_is_trained_beside_trl_and_its_memory_stands_beside_the_estimate(beside_trl):
    row = beside_trl("trl", [2.0, 1.001], 3.1)
    assert (row.ours, row.theirs, row.holds) == (2.0, 3.1, True)
    assert beside_trl("trl", [2.0, 1.0], 2.9).holds is False
    memory = beside_trl("memory", [], 1.0)
    assert memory.ours == 500.0
    assert memory.holds == (memory.theirs >= 500.0)


def test_what_trains_to_other_losses_is_no_comparison(beside_trl):
    with pytest.raises(RuntimeError, match=r"tiny: TRL's losses differ from ours by 0\.500"):
        beside_trl("trl", [2.0, 1.5], 3.1)


@pytest.fixture
def measured(settings, monkeypatch):
    """Two groups whose rows cost nothing; which of them were measured is listed."""
    asked = []

    def group(*rows):
        @contextmanager
        def measuring(root):
            yield {row.name: lambda row=row: asked.append(row.name) or row for row in rows}

        return SimpleNamespace(NAMES=tuple(row.name for row in rows), measuring=measuring)

    groups = {
        "training": group(BenchRow("same", "training", "s", 2.0, 6.0, "3 times", True)),
        "serving": group(
            BenchRow("stream", "a stream", "tokens/s", 9.0, 10.0, "0.9 of it", True),
            BenchRow("memory", "memory", "MB", 500.0, None, "at most 400", False),
        ),
    }
    monkeypatch.setattr(bench, "GROUPS", dict.fromkeys(groups, "made up"))
    monkeypatch.setattr(bench.importlib, "import_module", lambda name: groups[name.split(".")[-1]])
    monkeypatch.setattr(settings_module, "load", lambda: settings)
    return asked


def run(settings, *names):
    code = bench.run(settings.root, argparse.Namespace(names=list(names), against=None))
    return code, json.loads((settings.state / "bench.json").read_text(encoding="utf-8"))


def test_one_name_runs_one_row(settings, measured):
    code, rows = run(settings, "same")
    assert (code, measured) == (0, ["same"])
    (row,) = rows
    assert {"name", "unit", "ours", "theirs", "ratio", "aim", "holds"} <= set(row)
    assert row["ratio"] == 3.0


def test_all_rows_make_one_file_and_one_table_and_a_missed_aim_is_the_exit_code(settings, measured):
    code, rows = run(settings)
    assert (code, measured) == (1, ["same", "stream", "memory"])
    assert [row["ratio"] for row in rows] == [3.0, 0.9, None]
    header, _, *lines = (settings.state / "bench.md").read_text(encoding="utf-8").splitlines()
    assert header.startswith("Measured on 20")
    assert "cores" in header
    assert lines[2] == "| training | 2 s | 6 s | 3.00 | 3 times | yes |"
    assert lines[4] == "| memory | 500 MB | – | – | at most 400 | no |"


def test_an_unknown_row_is_an_error_that_lists_them(settings, measured):
    with pytest.raises(CourseError, match=r"no row 'none'.*same.*stream, memory"):
        run(settings, "none")


def test_small_files_are_really_measured(settings, monkeypatch):
    monkeypatch.setattr(settings_module, "load", lambda: settings)
    with datasets.measuring(settings.root, examples=50) as measurements:
        row = measurements["validate"]()
    assert row.ours > 0
    assert row.theirs > 0
    assert not list((settings.state / "cache").iterdir())
