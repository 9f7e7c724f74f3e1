"""The book's sources: every notebook in its static form, and every link to a page that is there."""

from __future__ import annotations

import importlib.util
import json
import re

import pytest

from helpers.course.chapters import CHAPTERS
from tests.places import ROOT


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("book", ROOT / ".ci" / "book.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def source(maker, tmp_path_factory):
    target = tmp_path_factory.mktemp("book") / "source"
    maker.gather(target, repository="somebody/course")
    return target


def outputs(source):
    for path in sorted((source / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                yield path.stem, output.get("data", {})


def test_every_widget_stands_in_its_static_form(maker, source):
    kept = [data for _, data in outputs(source)]
    assert not [data for data in kept if maker.WIDGET in data]
    pages = ["".join(data.get("text/html", "")) for data in kept]
    assert sum('aria-label="Course map"' in page for page in pages) >= len(CHAPTERS)
    assert sum("<fieldset>" in page for page in pages) >= len(CHAPTERS)


def test_links_in_stored_outputs_lead_to_pages_of_the_book(source):
    linked = {
        target
        for _, data in outputs(source)
        for target in re.findall(r'href="([^"#:]+)', "".join(data.get("text/html", "")))
    }
    assert {f"{chapter.file[:-6]}.html" for chapter in CHAPTERS.values()} <= linked
    assert not [target for target in linked if target.endswith(".ipynb")]


def texts(source):
    """Each page and the Markdown in it."""
    for path in sorted(source.rglob("*.md")):
        yield path, path.read_text(encoding="utf-8")
    for path in sorted(source.rglob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        prose = ["".join(c["source"]) for c in cells if c["cell_type"] == "markdown"]
        yield path, "\n".join(prose)


def test_links_in_texts_lead_to_files_of_the_book(source):
    dead = [
        f"{path.name}: {target}"
        for path, text in texts(source)
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text)
        if not (path.parent / target).exists()
    ]
    assert dead == []


def test_the_contents_name_files_that_are_there(maker, source):
    named = re.findall(r"(?:file|root): (\S+)", maker.contents())
    assert len(named) == len(CHAPTERS) + len(list((ROOT / "docs").glob("*.md"))) + 2
    missing = [n for n in named if not list(source.glob(f"{n}.*"))]
    assert missing == []


def test_badges_stand_where_the_repository_is_known(maker, source):
    first = (source / "README.md").read_text(encoding="utf-8")
    assert "codespaces/new/somebody/course" in first
    assert maker.badges("") == ""
    assert all(
        (source / "docs" / "drawings" / f"{n}.svg").is_file() for n in ("binder", "codespaces")
    )
