"""Nothing public in helpers/ that only tests call.

Read from the source alone: a name counts as used where code of the library or a notebook names
it, or a text holds exactly it, as facades and the command line find what they load.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places import ROOT, tree

KEPT = {
    "ask_text": "the quiz for a terminal or a screen reader; notebook pages name it",
    "load_ipython_extension": "IPython calls it; a kernel.json of `lab` names its module",
    "read_answer": "what writes such a text is tested by reading it back",
    "watch_text": "the monitor for a terminal or a screen reader",
}
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def named(node: ast.AST) -> Iterator[str]:
    """Every name that code reads, and every text that is one name."""
    for one in ast.walk(node):
        if isinstance(one, ast.Name):
            yield one.id
        elif isinstance(one, ast.Attribute):
            yield one.attr
        elif isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def unused(modules: dict[str, ast.Module], others: list[ast.AST]) -> list[str]:
    """`module:name` of each public function and class that nothing names but itself.

    What a decorator that takes arguments registers, such as a route, is called by its framework.
    """
    seen = Counter(name for node in [*modules.values(), *others] for name in named(node))
    return [
        f"{module}:{node.name}"
        for module, whole in modules.items()
        for node in whole.body
        if isinstance(node, Definition)
        and not node.name.startswith("_")
        and not any(isinstance(one, ast.Call) for one in node.decorator_list)
        and seen[node.name] == sum(name == node.name for name in named(node))
    ]


def cells(notebook: Path) -> ast.Module:
    """The code of a notebook without its magics, imported names as if they were read."""
    body = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(c["source"]) + "\n" for c in body if c["cell_type"] == "code")
    whole = ast.parse("\n".join(line for line in code.splitlines() if line[:1] not in ("%", "!")))
    for one in ast.walk(whole):
        if isinstance(one, ast.ImportFrom):
            whole.body += [ast.Expr(ast.Name(alias.name)) for alias in one.names]
    return whole


def test_nothing_public_is_called_by_tests_alone():
    modules = {
        str(path.relative_to(ROOT).with_suffix("")): tree(path)
        for path in sorted((ROOT / "helpers").rglob("*.py"))
    }
    notebooks = [cells(path) for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))]
    assert [one for one in unused(modules, notebooks) if one.partition(":")[2] not in KEPT] == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def lonely(): return lonely()", ["m:lonely"]),
        ("class Lonely: ...", ["m:Lonely"]),
        ("def used(): ...\nused()", []),
        ("def loaded(): ...\nVERBS = {'a': 'loaded'}", []),
        ("@router.get('/')\ndef route(): ...", []),
        ("def _private(): ...", []),
    ],
)
def test_what_nothing_names_is_found(source, expected):
    assert unused({"m": ast.parse(source)}, []) == expected
