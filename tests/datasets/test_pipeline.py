from __future__ import annotations

import re
from pathlib import Path

import pytest

from helpers.base import jsonl, settings
from helpers.datasets import manifest
from helpers.datasets.cleaning import steps
from helpers.datasets.pipeline import PreparedDataset, prepare

EXAMPLES = settings.load().root / "data" / "examples"


def prepared(name: str, folder: Path) -> PreparedDataset:
    return prepare(
        EXAMPLES / name, folder, system="You answer briefly.", count_tokens=lambda text: len(text)
    )


@pytest.mark.parametrize(
    ("name", "rows_in", "examples"),
    [("library_threads.csv", 44, 19), ("pool_questions.csv", 26, 24), ("bakery_sheet.csv", 25, 25)],
)
def test_three_shapes_become_datasets(
    tmp_path: Path, name: str, rows_in: int, examples: int
) -> None:
    done = prepared(name, tmp_path)
    account = done.account()
    assert account["rows in"] == rows_in
    assert rows_in == sum(account.values()) - rows_in
    assert sum(report.examples for report in done.reports.values()) == examples
    assert done.ok, done.reports["train"]
    assert done.leaks == ()
    first = next(jsonl.read(tmp_path / "train.jsonl"))
    assert first["messages"][0] == {"role": "system", "content": "You answer briefly."}
    for file in manifest.read_manifest(tmp_path).files:
        assert manifest.content_hash(tmp_path / file.name) == file.sha256


def test_the_letters_of_another_encoding_survive(tmp_path: Path) -> None:
    prepared("bakery_sheet.csv", tmp_path)
    text = "".join((tmp_path / f"{p}.jsonl").read_text("utf-8") for p in ("train", "test"))
    text += (tmp_path / "validation.jsonl").read_text("utf-8")
    assert "crème brûlée tart costs £3.80" in text


def test_rejects_and_their_reasons_are_written(tmp_path: Path) -> None:
    done = prepared("pool_questions.csv", tmp_path)
    assert {r.row: r.reason for r in done.rejected} == {
        25: "duplicates: duplicate of row 1",
        26: "useless: the answer says nothing",
    }
    assert (tmp_path / "rows.rejected.csv").read_text("utf-8").startswith('"row","reason",')


def test_personal_data_is_gone(tmp_path: Path) -> None:
    prepared("library_threads.csv", tmp_path)
    written = "".join(path.read_text("utf-8") for path in tmp_path.glob("*.jsonl"))
    assert "020 7946" not in written
    assert "[phone]" in written
    assert "Best regards" not in written


def test_the_report_is_one_page_without_outside_parts(tmp_path: Path) -> None:
    done = prepared("library_threads.csv", tmp_path)
    page = done.report_file.read_text("utf-8")
    assert not re.search(r"(?:src|href)=|<script|url\(", page)
    assert "may be uploaded" in page
    assert "comes after the last answer" in page
    assert "&lt;p&gt;I brought back" in page
    assert "Where each row went" in done._repr_html_()
    assert repr(done) == "library_threads 1.0: 19 examples from 44 rows, 4 rows rejected"


def test_too_few_examples_are_reported_not_raised(tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    path.write_text("question,answer\nWhen do you open?,We open at nine.\n")
    done = prepare(path, tmp_path / "out", steps=[steps.whitespace()])
    assert not done.ok
    assert done.reports["train"].counts == {"invalid_n_examples": 1}
    assert "needs work" in done.report_file.read_text("utf-8")
