"""A learner works on copies of the notebooks: the course's own files never change.

For: `lab`, which calls `refresh` before it opens, and the course map, which restores a copy.
A copy has no results before it is run; what the author got stands folded away below a cell.
Not for: where the course's own notebooks are, see `helpers.course.chapters`.

    refresh(root)                  # makes my_notebooks/, or brings what a new version changed
    restore(root, "02")            # as it came, with the learner's own beside it in earlier/

A copy keeps in its metadata which original it was made from, and a hash of each cell. So when
the course has a new version, a cell that the learner changed and the course did not is kept.
"""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from helpers.base.errors import DataError
from helpers.base.files import replace, write_text
from helpers.base.markup import html_text, lone_dollars
from helpers.course.chapters import CHAPTERS

NAME = "my_notebooks"
EARLIER = "earlier"
"""Folder below the copies for what an update or a restored original replaced."""
KEY = "workbook"
FOLDED = "Show what we got"
WIDGET = "application/vnd.jupyter.widget-view+json"


@dataclass(frozen=True)
class Refreshed:
    """What `refresh` did: the files made anew, those brought up to date, and where it kept work."""

    made: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    kept: tuple[Path, ...] = ()

    @property
    def summary(self) -> str:
        """A line for the terminal; empty if nothing changed for the learner."""
        if not self.updated:
            return ""
        lines = f"the course has new versions of {', '.join(self.updated)}"
        if not self.kept:
            return lines
        return f"{lines}; your changes went along, and yours as they were: {self.kept[0].parent}"


def folder(root: Path) -> Path:
    """Where the copies stand."""
    return root / NAME


def refresh(root: Path, *, now: datetime | None = None) -> Refreshed:
    """Make the copies that are missing, and bring those up to date whose original changed.

    A copy that nobody worked in is replaced. Of the others, changed cells, results and added
    cells go along where the course left that cell as it was; the whole stands in `earlier/`.
    """
    made, updated, kept = [], [], []
    for original in _originals(root):
        target = folder(root) / original.name
        source = original.read_bytes()
        if not target.exists():
            _write(target, pristine(source))
            made.append(original.stem)
            continue
        mine = _read(target)
        if mine is None:
            kept.append(_put_aside(target, now))
            _write(target, pristine(source))
            updated.append(original.stem)
        # Made from another version of the original; the same version leaves the copy in peace.
        elif mine["metadata"].get(KEY, {}).get("original") != _hash(source):
            fresh = pristine(source)
            # The whole copy is put aside before anything is merged: whatever the merge drops stands
            # there.
            if worked_in(mine):
                kept.append(_put_aside(target, now))
                fresh = carry_over(mine, fresh)
            _write(target, fresh)
            updated.append(original.stem)
    return Refreshed(tuple(made), tuple(updated), tuple(kept))


def restore(root: Path, number: str, *, now: datetime | None = None) -> Path | None:
    """Put the course's notebook in place of the learner's; returns where theirs is kept.

    Returns None if there was none. Raises `DataError` for a number that the course has not.
    """
    if number not in CHAPTERS:
        raise DataError(f"there is no notebook {number!r}", fix=f"one of {', '.join(CHAPTERS)}")
    target = folder(root) / CHAPTERS[number].file
    kept = _put_aside(target, now) if target.exists() else None
    _write(target, pristine((root / "notebooks" / target.name).read_bytes()))
    return kept


def pristine(source: bytes) -> dict[str, Any]:
    """A notebook as a learner gets it: nothing run, the author's results folded away."""
    notebook: dict[str, Any] = json.loads(source)
    notebook["metadata"].pop("widgets", None)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = folded(cell["outputs"])
            cell["execution_count"] = None
    cells = {cell["id"]: _cell_hash(cell) for cell in notebook["cells"]}
    notebook["metadata"][KEY] = {"original": _hash(source), "cells": cells}
    return notebook


def folded(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One output that opens with a click; a list of links, which promises nothing, stays."""
    shown = [part for output in outputs if (part := _as_html(output))]
    if not shown:
        return []
    body = "".join(shown)
    if "<nav" not in body:
        body = f"<details><summary>{FOLDED}</summary>{body}</details>"
    data = {"text/html": body, "text/plain": FOLDED}
    return [{"output_type": "display_data", "data": data, "metadata": {}}]


def worked_in(notebook: dict[str, Any]) -> bool:
    """Whether a learner ran, changed, added or removed anything."""
    known = notebook["metadata"].get(KEY, {}).get("cells", {})
    now = {cell.get("id"): _cell_hash(cell) for cell in notebook["cells"]}
    # Outputs are not compared: a copy has none that a learner did not make by running.
    ran = any(cell.get("execution_count") for cell in notebook["cells"])
    return ran or now != known


def carry_over(mine: dict[str, Any], fresh: dict[str, Any]) -> dict[str, Any]:
    """The new version with the learner's cells, where the course did not change the same one."""
    before = mine["metadata"].get(KEY, {}).get("cells", {})
    came = fresh["metadata"][KEY]["cells"]
    merged = copy.deepcopy(fresh)
    places = {cell["id"]: cell for cell in merged["cells"]}
    above = ""
    for cell in mine["cells"]:
        name = cell.get("id", "")
        if name in places:
            changed = _cell_hash(cell) != before.get(name)
            # The course left this cell as it was, so the learner's goes in; where both changed it,
            # the course's counts, and theirs is in `earlier/`.
            if before.get(name) == came[name] and (changed or cell.get("execution_count")):
                places[name].update(copy.deepcopy(cell))
            above = name
        # A cell of the learner's own; one that the course has removed is in `before`, and goes.
        elif name not in before and _text(cell).strip():
            # Behind the cell it stood below; at the top where there is none.
            at = next((i for i, c in enumerate(merged["cells"], 1) if c.get("id") == above), 0)
            merged["cells"].insert(at, copy.deepcopy(cell))
            above = name
    return merged


def _as_html(output: dict[str, Any]) -> str:
    """An output as HTML that needs no kernel; empty for what only a running view can show."""
    data = output.get("data", {})
    page = _text(data.get("text/html", ""))
    # A view's text form says nothing on a page, unless it brings a figure, a table or links.
    if WIDGET in data and not any(tag in page for tag in ("<svg", "<table", "<nav")):
        return ""
    if page:
        return lone_dollars(page.replace("<span>$</span>", "$"))
    if "image/png" in data:
        picture = _text(data["image/png"]).replace("\n", "")
        return f'<img alt="A figure of our run" src="data:image/png;base64,{picture}">'
    if output["output_type"] == "error":
        return f"<pre>{html_text(output['ename'] + ': ' + output['evalue'])}</pre>"
    text = _text(output.get("text", data.get("text/markdown", data.get("text/plain", ""))))
    style = "white-space:pre-wrap;overflow-wrap:break-word"
    return f'<pre style="{style}">{html_text(text)}</pre>' if text.strip() else ""


def _originals(root: Path) -> list[Path]:
    return sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def _read(path: Path) -> dict[str, Any] | None:
    """A notebook, or None for a file that is none any more."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found if {"cells", "metadata"} <= set(found) else None
    except ValueError:
        return None


def _write(path: Path, notebook: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def _put_aside(path: Path, now: datetime | None) -> Path:
    """Move a copy to `earlier/`, under a name that says when."""
    stamp = (now or datetime.now()).strftime("%Y-%m-%d %H-%M-%S")  # noqa: DTZ005 - for a reader
    target = path.parent / EARLIER / f"{path.stem} {stamp}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    return replace(path, target)


def _text(value: str | list[str] | dict[str, Any]) -> str:
    # nbformat keeps a text as one string or as a list of lines.
    if isinstance(value, dict):
        value = value.get("source", "")
    return value if isinstance(value, str) else "".join(value)


def _hash(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()


def _cell_hash(cell: dict[str, Any]) -> str:
    # The source alone: outputs, counts and metadata are no change of the cell.
    return _hash(f"{cell['cell_type']}\n{_text(cell)}".encode())[:16]
