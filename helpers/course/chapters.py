"""The course's notebooks: numbers, titles and files.

For: whatever links to a notebook or lists them all. Not for: what a learner has done,
see `helpers.course.progress`.

    CHAPTERS["02"].title          # 'Fine-tune a model'
    headings("02")                # of its sections, in order
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
# "## Sections", "### and below", not the title with its one "#".
_HEADING = re.compile(r"^#{2,4} (.+?)\s*$", re.M)
_PROMISE = re.compile(r"^> (.+?)\s*$", re.M)
# A "## comment" inside a block of code is no heading.
_FENCED = re.compile(r"^```.*?^```", re.M | re.S)


@dataclass(frozen=True)
class Chapter:
    """One notebook."""

    number: str
    """Two digits."""
    title: str
    file: str

    @property
    def path(self) -> Path:
        """Where the file stands."""
        return FOLDER / self.file

    @property
    def exists(self) -> bool:
        """Whether it has been written."""
        return self.path.is_file()


CHAPTERS: dict[str, Chapter] = {
    file[:2]: Chapter(file[:2], title, f"{file}.ipynb")
    for file, title in {
        "00_start_here": "Start here",
        "01_dataset_preparation": "Prepare a dataset",
        "02_fine_tuning": "Fine-tune a model",
        "03_evaluation": "Evaluate it",
        "04_iteration": "Iterate",
        "05_in_context_learning": "In-context learning",
        "06_rag": "Retrieval-augmented generation",
        "07_choosing": "Choose a method",
        "08_review_quiz": "Review quiz",
        "09_then_and_now": "Then and now",
        "10_your_own_data": "Your own data",
    }.items()
}
REVIEW = "08"
"""The notebook that asks the questions of all others."""


# `changed` is part of the key alone: an edited notebook is read anew.
@functools.lru_cache(maxsize=32)
def _prose(path: Path, changed: float) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return _FENCED.sub("", text)


def prose(number: str) -> str:
    """A notebook's text without code; empty if it does not exist."""
    chapter = CHAPTERS[number]
    return _prose(chapter.path, chapter.path.stat().st_mtime) if chapter.exists else ""


def headings(number: str) -> tuple[str, ...]:
    """The section headings of a notebook as written, in order; none if it does not exist."""
    return tuple(_HEADING.findall(prose(number)))


def promise(number: str) -> str:
    """The one line of a notebook's header card; empty if it does not exist."""
    found = _PROMISE.search(prose(number))
    return found[1] if found else ""


def anchor(heading: str) -> str:
    """The fragment under which JupyterLab finds a heading: spaces as dashes, code unmarked."""
    return heading.replace("`", "").replace("*", "").strip().replace(" ", "-")


def link(number: str, heading: str) -> str:
    """Relative address of a section; of the notebook if it has no such section, else empty."""
    chapter = CHAPTERS[number]
    if not chapter.exists:
        return ""
    known = heading in headings(number)
    return f"{chapter.file}#{anchor(heading)}" if known else chapter.file
