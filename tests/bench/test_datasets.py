"""The benchmark of the dataset tools measures what it says, on a small file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.base import jsonl, settings
from helpers.bench import datasets
from helpers.bench.published_checks import check_file
from helpers.datasets.validation.file import validate_file
from tests.places import ROOT


def test_each_row_compares_and_the_file_is_gone_afterwards() -> None:
    with datasets.measuring(ROOT, examples=300) as measurements:
        found = [measure() for measure in measurements.values()]
    assert tuple(row.name for row in found) == datasets.NAMES
    assert all(row.theirs for row in found[:3])
    assert all(row.ours > 0 for row in found)
    assert [bool(row.aim) for row in found] == [False, True, True, True]
    assert not list((settings.load().state / "cache").glob("bench-*"))


def test_the_made_examples_are_sound_and_no_two_alike(tmp_path: Path) -> None:
    path = tmp_path / "made.jsonl"
    jsonl.write(path, datasets.made_examples(200))
    report = validate_file(path, deep=True)
    assert report.ok
    assert "near_duplicate" not in report.counts
    outcome = check_file(path, str.split)
    assert outcome.errors == {}
    assert len(outcome.example_tokens) == 200


@pytest.mark.parametrize(
    ("code", "theirs"),
    [
        ("missing_role", "message_missing_key"),
        ("unknown_key", "message_unrecognized_key"),
        ("unknown_role", "unrecognized_role"),
        ("missing_assistant", "example_missing_assistant_message"),
    ],
)
def test_the_published_checks_find_what_they_know(code: str, theirs: str) -> None:
    path = ROOT / "data" / "support" / "broken" / f"{code}.jsonl"
    assert theirs in check_file(path, None).errors


def test_and_not_what_they_do_not_know() -> None:
    path = ROOT / "data" / "support" / "broken" / "bad_weight.jsonl"
    assert check_file(path, None).errors == {}
    assert json.loads(path.read_text(encoding="utf-8").splitlines()[8])
    assert not validate_file(path).ok
