"""Imports go one way, between packages and inside the server; facades stay light."""

from __future__ import annotations

import ast
import functools
import graphlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.places import ROOT, tree
from tests.timing import seconds_of

HELPERS = ROOT / "helpers"

# Each package imports only from those that stand before it.
ORDER = (
    "base", "datasets", "costs", "backend", "connection", "finetuning", "evaluation", "rag",
    "course", "support_desk", "widgets", "capstone", "legacy", "bench", "cli", "__main__",
)  # fmt: skip
FACADES = (
    "connection", "datasets", "costs", "finetuning", "evaluation", "rag", "course",
    "support_desk", "widgets", "capstone", "legacy",
)  # fmt: skip
# What is installed before there is an environment, by the command line and for old packages.
EXCEPTIONS = {("legacy", "cli")}

# Inside the server: routes translate, the service decides, what is below knows neither.
BACKEND = (
    "protocol", "storage", "bases", "training", "executors", "inference", "batch", "finetune",
    "service", "api", "answerer", "daemon",
)  # fmt: skip


def modules(folder: Path = HELPERS) -> list[Path]:
    return sorted(p for p in folder.rglob("*.py") if p != HELPERS / "__init__.py")


def dotted(path: Path) -> str:
    parts = path.relative_to(HELPERS).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def imported(path: Path, *, types: bool = False) -> frozenset[str]:
    """Dotted names below `helpers.` that a module imports, lazily or not."""
    found: set[str] = set()
    for node in ast.walk(tree(path)) if types else walk_at_run_time(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    ours = (name for name in found if name.startswith("helpers."))
    return frozenset(name.removeprefix("helpers.") for name in ours)


def walk_at_run_time(node: ast.AST):
    """Every node except those under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from walk_at_run_time(child)


def arrows(order: tuple[str, ...], folder: Path, prefix: str) -> dict[tuple[str, str], set[str]]:
    """From package to package: the modules whose imports make the arrow."""
    found: dict[tuple[str, str], set[str]] = {}
    for path in modules(folder):
        own = dotted(path).removeprefix(prefix).split(".")[0]
        for name in imported(path, types=True):
            if name.startswith(prefix):
                other = name.removeprefix(prefix).split(".")[0]
                if other != own and own in order and other in order:
                    found.setdefault((own, other), set()).add(dotted(path))
    return found


def climbing(order: tuple[str, ...], found: dict[tuple[str, str], set[str]]) -> dict[str, set[str]]:
    place = {name: at for at, name in enumerate(order)}
    return {
        f"{own} imports {other}": who
        for (own, other), who in found.items()
        if place[other] > place[own] and (own, other) not in EXCEPTIONS
    }


def test_every_package_has_its_place_in_the_order():
    found = {dotted(path).split(".")[0] for path in modules()}
    assert found == set(ORDER)


def test_the_readme_and_the_map_name_the_packages():
    """The README lists them in their order, with a star where a notebook may import."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^  ([a-z_]+)(?:/|\.py) +(\*?)", readme, re.M)
    assert {name for name, star in listed if star} == set(FACADES)
    places = [ORDER.index(name) for name, _ in listed]
    assert places == sorted(places)
    assert set(ORDER) - {name for name, _ in listed} == {"__main__"}
    themap = (HELPERS / "__init__.py").read_text(encoding="utf-8")
    assert [name for name in FACADES if not re.search(rf"^    {name}\b", themap, re.M)] == []


def test_a_package_imports_only_from_those_before_it():
    assert climbing(ORDER, arrows(ORDER, HELPERS, "")) == {}


def test_nothing_in_the_server_imports_what_is_above_it():
    folder = HELPERS / "backend"
    found = {dotted(path).split(".")[1] for path in modules(folder) if dotted(path) != "backend"}
    assert found == set(BACKEND)
    assert climbing(BACKEND, arrows(BACKEND, folder, "backend.")) == {}


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_nothing_imports_itself_by_a_detour(depth):
    """No circle, also not by a lazy import or for a type: between packages, between a package's
    modules and the packages inside it, and between modules."""
    graph: dict[str, set[str]] = {}
    files = {dotted(path) for path in modules()}
    for path in modules():
        own = ".".join(dotted(path).split(".")[:depth])
        for name in imported(path, types=True):
            place = name if name in files else name.rpartition(".")[0]
            other = ".".join(place.split(".")[:depth])
            if other != own and (own.split(".")[0], other.split(".")[0]) not in EXCEPTIONS:
                graph.setdefault(own, set()).add(other)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_the_library_imports_modules_and_not_facades():
    """A facade is for notebooks; inside the library the module says where a thing stands."""
    names = {
        facade: set(ast.literal_eval(_all_of(HELPERS / facade / "__init__.py")))
        for facade in FACADES
        if (HELPERS / facade).is_dir()
    }
    wrong = [
        f"{dotted(path)} imports {name}"
        for path in modules()
        for name in imported(path, types=True)
        if (parts := name.split("."))[0] in names
        and len(parts) == 2
        and parts[1] in names[parts[0]]
        and not (HELPERS / parts[0] / f"{parts[1]}.py").is_file()
    ]
    assert wrong == []


def _all_of(path: Path) -> ast.expr:
    for node in tree(path).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return node.value
    raise AssertionError(f"{path} names no __all__")


def test_every_name_of_a_facade_can_be_had():
    for facade in FACADES:
        module = __import__(f"helpers.{facade}", fromlist=["x"])
        for name in getattr(module, "__all__", []):
            assert getattr(module, name) is not None, f"{facade}.{name}"


def test_no_function_of_a_facade_has_the_name_of_a_module_beside_it():
    """Once that module is imported, it stands in the function's place."""
    for facade in FACADES:
        package = __import__(f"helpers.{facade}", fromlist=["x"])
        for name in getattr(package, "__all__", []):
            beside = HELPERS / facade / name
            if beside.is_dir() or beside.with_suffix(".py").is_file():
                assert isinstance(getattr(package, name), ModuleType), f"{facade}.{name}"


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(' '.join(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=HELPERS.parent, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_library_loads_nothing_heavy():
    heavy = {"torch", "transformers", "openai", "numpy", "pandas", "matplotlib", "xllamacpp"}
    everything = ", ".join(f"helpers.{name}" for name in FACADES)
    assert not loaded_after(f"import helpers, helpers.base.settings, {everything}") & heavy


USED = {
    f"import helpers.{name} as f; [getattr(f, n) for n in getattr(f, '__all__', [])]": name
    for name in FACADES
} | {
    "import helpers.backend.api.app, helpers.backend.inference.engine": "the server",
    "import helpers.backend.daemon": "its life",
}  # fmt: skip
HEAVY = ("torch", "transformers", "peft")


def test_what_facades_offer_and_the_server_answers_with_loads_no_pytorch():
    """One program takes all of them, one after the other, and names who was the first."""
    step = "{}\nfor h in set({}) & set(sys.modules) - seen: seen.add(h); print({!r}, 'loads', h)"
    code = "import sys; seen = set()\n"
    code += "\n".join(step.format(statement, HEAVY, name) for statement, name in USED.items())
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=HELPERS.parent, capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_importing_a_facade_takes_less_than_a_third_of_a_second():
    everything = ", ".join(f"helpers.{name}" for name in FACADES)
    taken, _ = seconds_of([sys.executable, "-c", f"import {everything}"], HELPERS.parent)
    assert taken < 0.3
