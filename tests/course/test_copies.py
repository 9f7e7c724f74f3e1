"""A learner's copies: nothing run in them, kept between starts, merged with a new version."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from helpers.base.errors import DataError
from helpers.course import copies
from tests.pages import formulas_in_html
from tests.places import ROOT

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
NAME = "02_fine_tuning"


def cell(name: str, source: str, *, text: str = "", kind: str = "code") -> dict[str, Any]:
    made: dict[str, Any] = {"cell_type": kind, "id": name, "metadata": {}, "source": source}
    if kind == "code":
        printed = {"output_type": "stream", "name": "stdout", "text": text}
        made |= {"outputs": [printed] if text else [], "execution_count": 1}
    return made


def write(path: Path, cells: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(whole), encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A course of one notebook, with its copy made."""
    cells = [
        cell("a", "train()", text="succeeded for $5 of $9"),
        cell("b", "ask()"),
        cell("c", "end()"),
    ]
    write(tmp_path / "notebooks" / f"{NAME}.ipynb", cells)
    assert copies.refresh(tmp_path, now=NOW).made == (NAME,)
    return tmp_path


def mine(root: Path) -> Path:
    return copies.folder(root) / f"{NAME}.ipynb"


def edit(root: Path, change: Any) -> None:
    whole = read(mine(root))
    change(whole["cells"])
    mine(root).write_text(json.dumps(whole), encoding="utf-8")


def test_a_copy_has_run_nothing_and_folds_the_results_of_the_author_away(root):
    first = read(mine(root))["cells"][0]
    assert first["execution_count"] is None
    (output,) = first["outputs"]
    page = output["data"]["text/html"]
    assert page.startswith(f"<details><summary>{copies.FOLDED}</summary>")
    assert "succeeded" in page
    assert formulas_in_html(page) == []
    assert "succeeded" not in output["data"]["text/plain"]


def test_it_stays_as_the_learner_left_it(root):
    edit(root, lambda cells: cells[1].update(source="ask(again)", execution_count=7))
    before = mine(root).read_bytes()
    assert copies.refresh(root, now=NOW) == copies.Refreshed()
    assert mine(root).read_bytes() == before


def test_a_new_version_replaces_a_copy_that_nobody_worked_in(root):
    write(root / "notebooks" / f"{NAME}.ipynb", [cell("a", "train(better=True)")])
    done = copies.refresh(root, now=NOW)
    assert (done.updated, done.kept) == ((NAME,), ())
    assert [c["source"] for c in read(mine(root))["cells"]] == ["train(better=True)"]


def test_a_new_version_comes_with_the_learners_work_and_keeps_the_whole(root):
    def work(cells):
        cells[0].update(source="train(mine)")
        cells[1].update(source="answer = 45", execution_count=3, outputs=[])
        cells.insert(2, cell("own", "my own cell"))

    edit(root, work)
    newer = [cell("a", "train(new)"), cell("b", "ask()"), cell("new", "more()"), cell("c", "end()")]
    write(root / "notebooks" / f"{NAME}.ipynb", newer)
    done = copies.refresh(root, now=NOW)
    # The course changed the first cell too, so there its new one stands.
    assert [c["source"] for c in read(mine(root))["cells"]] == [
        "train(new)", "answer = 45", "my own cell", "more()", "end()",
    ]  # fmt: skip
    assert "train(mine)" in done.kept[0].read_text(encoding="utf-8")
    assert str(done.kept[0].parent) in done.summary
    assert copies.refresh(root, now=NOW) == copies.Refreshed()


def test_the_original_comes_back_and_the_work_is_kept(root):
    edit(root, lambda cells: cells[1].update(source="ask(again)"))
    kept = copies.restore(root, "02", now=NOW)
    assert read(mine(root))["cells"][1]["source"] == "ask()"
    assert kept is not None
    assert "ask(again)" in kept.read_text(encoding="utf-8")
    with pytest.raises(DataError, match="one of 00"):
        copies.restore(root, "77")


def test_a_copy_that_is_damaged_is_put_aside(root):
    mine(root).write_text("{", encoding="utf-8")
    (kept,) = copies.refresh(root, now=NOW).kept
    assert kept.read_text(encoding="utf-8") == "{"
    assert len(read(mine(root))["cells"]) == 3


def test_no_copy_of_the_courses_own_notebooks_shows_what_only_a_kernel_can_do():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = copies.pristine(path.read_bytes())["cells"]
        outputs = [o for c in cells if c["cell_type"] == "code" for o in c["outputs"]]
        pages = [o["data"]["text/html"] for o in outputs]
        assert not [p for p in pages if "<form" in p or formulas_in_html(p)], path.name
        assert not [o for o in outputs if copies.WIDGET in o["data"]], path.name
