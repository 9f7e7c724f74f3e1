"""What every notebook of the course keeps to, read from the files without running them.

That a compared cell has a stored output matters most: nbval passes a stripped notebook.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path
from statistics import median
from typing import Any

import nbformat
import pytest

from tests.pages import formulas_in_html, formulas_in_markdown
from tests.places import ROOT
from tests.test_layers import FACADES

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_LINES = 20
MOST_NAMES = 45
# These two are about prompts and searches; what makes a table of them stands in the library.
SHORT = ("05", "06")
MEDIAN, LONGEST_SHORT = 6, 15
WORDS = range(500, 2101)
MOST_CELLS = 64
MOST_BYTES = 1_000_000
IGNORED = "nbval-ignore-output"
MACHINE = re.compile(
    r"(?<![\w.])/(?:work|root|tmp|home/\w+|Users/\w+)/|[A-Z]:\\\\?Users|site-packages"
)
KEY = re.compile(r"\bsk-[A-Za-z0-9_-]{16,}|\bworkbook-[A-Za-z0-9_-]{40,}|Bearer [A-Za-z0-9_-]{16,}")
HEADER = [
    r"^# \d+ · \S.+$",
    r"^> \S.+$",
    r"^\*\*You will be able to\*\* .+$",
    r"^\*\*Time\*\* .+ · \*\*Needs\*\* .+ · \*\*Next\*\* .+$",
]


@pytest.fixture(params=NOTEBOOKS, ids=lambda p: p.stem)
def path(request) -> Path:
    return request.param


@pytest.fixture
def notebook(path) -> Any:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: Any) -> list[tuple[int, Any]]:
    return [(i, c) for i, c in enumerate(notebook.cells, start=1) if c.cell_type == "code"]


def prose(notebook: Any) -> str:
    return "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")


def shows_something(cell: Any) -> bool:
    """Whether a cell's last line surely leaves an output: a print or a bare expression."""
    last = cell.source.strip().splitlines()[-1] if cell.source.strip() else ""
    return bool(re.match(r"(print|display)\(|plt\.show\(\)|[a-z_]\w*$", last))


def test_names_are_numbered_in_order_without_a_gap():
    numbers = [int(p.name[:2]) for p in NOTEBOOKS if re.match(r"\d\d_[a-z_]+\.ipynb$", p.name)]
    assert len(numbers) == len(NOTEBOOKS)
    assert len(set(numbers)) == len(numbers)


def test_file_is_valid_and_small(path, notebook):
    nbformat.validate(notebook)
    assert path.stat().st_size < MOST_BYTES


def test_begins_with_the_header_card(notebook):
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    missing = [line for line in HEADER if not re.search(line, first.source, re.M)]
    assert missing == []


def test_cells_ran_once_in_order(notebook):
    counts = [c.execution_count for _, c in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_cells_that_show_something_have_their_output_stored(notebook):
    empty = [i for i, c in code_cells(notebook) if shows_something(c) and not c.outputs]
    assert empty == []


def test_no_stored_error_unless_it_is_the_point(notebook):
    wrong = [
        i
        for i, c in code_cells(notebook)
        if any(o.output_type == "error" for o in c.outputs)
        and "raises-exception" not in c.metadata.get("tags", [])
    ]
    assert wrong == []


def test_most_cells_are_compared(notebook):
    cells = code_cells(notebook)
    ignored = [i for i, c in cells if IGNORED in c.metadata.get("tags", [])]
    assert len(ignored) <= len(cells) * 2 / 3


def test_no_cell_installs_star_imports_or_names_an_absolute_path(notebook):
    bad = re.compile(r"^\s*[%!]{1,2}\s*pip|import \*|^\s*!", re.M)
    assert [
        i for i, c in code_cells(notebook) if bad.search(c.source) or MACHINE.search(c.source)
    ] == []


def test_no_output_names_this_machine_or_a_key(path):
    text = path.read_text(encoding="utf-8")
    assert not KEY.search(text)
    found = [
        i
        for i, c in code_cells(nbformat.reads(text, as_version=4))
        if MACHINE.search(" ".join(_texts(c.outputs)))
    ]
    assert found == []


def _texts(outputs: Any) -> list[str]:
    texts = []
    for output in outputs:
        texts.append(str(output.get("text", "")))
        texts += [str(v) for k, v in output.get("data", {}).items() if k.startswith("text/")]
        texts += output.get("traceback", [])
    return texts


def test_cells_are_short(notebook):
    long = {i: n for i, c in code_cells(notebook) if (n := len(c.source.splitlines())) > MOST_LINES}
    assert long == {}


@pytest.mark.parametrize("number", SHORT)
def test_cells_of_the_two_longest_notebooks_are_shorter_still(number):
    (path,) = (p for p in NOTEBOOKS if p.name.startswith(number))
    cells = code_cells(nbformat.read(path, as_version=4))
    lines = [len(cell.source.splitlines()) for _, cell in cells]
    assert median(lines) <= MEDIAN
    assert max(lines) <= LONGEST_SHORT


def test_length_suits_one_sitting(notebook):
    words = len(re.findall(r"\w+", prose(notebook)))
    assert words in WORDS, f"{words} words"
    assert len(notebook.cells) <= MOST_CELLS


def test_each_notebook_ends_with_its_own_questions_and_the_course_map(notebook, path):
    number = path.name[:2]
    code = "\n".join(c.source for _, c in code_cells(notebook)[-3:])
    assert f'course_map.finish("{number}")' in "\n".join(c.source for _, c in code_cells(notebook))
    assert number == "08" or f'quiz.check_yourself("{number}")' in code


def test_two_prices_do_not_become_a_formula(notebook):
    """Neither in prose nor in an output; JupyterLab makes one of escaped signs too."""
    prose = [c.source for c in notebook.cells if c.cell_type == "markdown"]
    outputs = [o.get("data", {}) for _, c in code_cells(notebook) for o in c.outputs]
    prose += [data["text/markdown"] for data in outputs if "text/markdown" in data]
    pages = [data["text/html"] for data in outputs if "text/html" in data]
    assert [found for text in prose if (found := formulas_in_markdown(text))] == []
    assert [found for page in pages if (found := formulas_in_html(page))] == []


def test_drawings_are_there_and_terms_mean_what_the_glossary_says(notebook):
    words = prose(notebook)
    drawn = re.findall(r"!\[[^\]]+\]\((\S+)\)", words)
    assert [name for name in drawn if not (ROOT / "notebooks" / name).is_file()] == []
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    said = re.findall(r'<abbr title="([^"]+)">', words)
    assert [meaning for meaning in said if f"| {meaning} |" not in glossary] == []


def test_every_term_of_the_glossary_is_marked_in_some_notebook():
    words = "\n".join(prose(nbformat.read(path, as_version=4)) for path in NOTEBOOKS)
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", glossary, re.M)[1:]
    assert len(terms) > 30
    assert [term for term, meaning in terms if f'title="{meaning}"' not in words] == []


def test_pictures_in_prose_have_alternative_text(notebook):
    assert not re.findall(r"!\[\s*\]\(", prose(notebook))
    assert not re.findall(r"<img(?![^>]*\balt=\"[^\"]+\")", prose(notebook))


def test_metadata_is_free_of_times_and_of_this_python(notebook):
    assert "version" not in notebook.metadata.get("language_info", {})
    assert notebook.metadata.kernelspec.name == "python3"
    assert [i for i, c in code_cells(notebook) if "execution" in c.metadata] == []


def parsed(source: str) -> ast.Module:
    """A cell's code; the await of a cell, which stands in no function, included."""
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = compile(source, "cell", "exec", flags)
    assert isinstance(tree, ast.Module)
    return tree


def names_of_the_library(notebook: Any) -> set[tuple[str, str]]:
    """What a notebook imports of the library: pairs of facade and name.

    A facade imported whole is one name, `("rag", "")`, and counts once however much of it is
    used; whatever is not a facade or a name that one offers keeps its path, and is wrong.
    """
    found: set[tuple[str, str]] = set()
    for _, cell in code_cells(notebook):
        for node in ast.walk(parsed(cell.source)):
            if isinstance(node, ast.Import):
                whole = [alias.name for alias in node.names if alias.name.startswith("helpers")]
                found |= {(name.removeprefix("helpers."), "") for name in whole}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("helpers"):
                package = (node.module or "").removeprefix("helpers").removeprefix(".")
                names = [alias.name for alias in node.names]
                found |= {(package, name) if package else (name, "") for name in names}
    return found


def test_notebooks_import_from_the_facades_alone(notebook):
    offered = {name: importlib.import_module(f"helpers.{name}") for name in FACADES}
    wrong = [
        ".".join(filter(None, (package, name)))
        for package, name in names_of_the_library(notebook)
        if package not in offered
        or (name and name not in getattr(offered[package], "__all__", [name]))
    ]
    assert sorted(wrong) == []


def bound_by_imports(notebook: Any) -> dict[str, Any]:
    """By the name that a notebook gives it: what it imports of the library."""
    found = {}
    for package, name in names_of_the_library(notebook):
        module = importlib.import_module(f"helpers.{package}")
        found[name or package] = getattr(module, name) if name else module
    return found


def resolved(node: ast.expr, known: dict[str, Any]) -> Any:
    """What a chain such as `rag.Chunking` stands for; None if it is nothing of the library."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = resolved(node.value, known)
        return getattr(owner, node.attr) if inspect.ismodule(owner) else None
    return None


def test_what_notebooks_call_is_there_and_takes_what_it_is_given(notebook):
    """A renamed function or argument shows here, without a run of the notebook."""
    known = bound_by_imports(notebook)
    for _, cell in code_cells(notebook):
        for node in ast.walk(parsed(cell.source)):
            if isinstance(node, ast.Attribute):
                resolved(node, known)
            if isinstance(node, ast.Call) and callable(called := resolved(node.func, known)):
                given = [a for a in node.args if not isinstance(a, ast.Starred)]
                named = {k.arg: None for k in node.keywords if k.arg}
                inspect.signature(called).bind_partial(*given, **named)


def test_few_names_of_the_library_carry_the_whole_course():
    read = [nbformat.read(path, as_version=4) for path in NOTEBOOKS]
    names = set().union(*(names_of_the_library(notebook) for notebook in read))
    assert len(names) <= MOST_NAMES, sorted(names)
