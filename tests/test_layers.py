"""Imports go one way: from what people see down to plain values."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.timing import seconds_of

HELPERS = Path(__file__).resolve().parent.parent / "helpers"

LAYERS: dict[str, int] = {
    **dict.fromkeys(["settings", "errors", "records"], 0),
    **dict.fromkeys(
        ["jsonl", "tokens", "datasets", "chunking", "prompts", "scorers", "quiz", "exercises"], 1
    ),
    **dict.fromkeys(
        ["progress", "waiting", "catalog", "course", "gguf_header", "costs", "choosing"], 1
    ),
    "backend": 2,
    **dict.fromkeys(["client", "chats", "jobs", "export"], 3),
    **dict.fromkeys(["evaluation", "retrieval", "rag", "judge", "comparison", "capstone"], 4),
    **dict.fromkeys(["plots", "widgets"], 5),
    **dict.fromkeys(["__main__", "bootstrap", "installing", "commands", "bench"], 6),
    **dict.fromkeys(["environments", "legacy"], 6),
}

# Inside the server: routes translate, the service decides, what is below knows neither.
BACKEND: dict[str, int] = {
    **dict.fromkeys(
        ["schemas", "models", "hyperparameters", "store", "sampling", "results", "weights"], 0
    ),
    **dict.fromkeys(["executor", "neighbours"], 0),
    **dict.fromkeys(["serve", "pool", "embeddings", "training", "train", "bulk"], 1),
    **dict.fromkeys(["answers", "batch_lines", "batch_answers", "bulk_chats", "files"], 1),
    **dict.fromkeys(["jobs", "batches"], 2),
    "service": 3,
    "routes": 4,
    "app": 5,
    "daemon": 6,
}


def modules() -> list[Path]:
    return sorted(p for p in HELPERS.rglob("*.py") if p != HELPERS / "__init__.py")


def top_name(path: Path) -> str:
    return path.relative_to(HELPERS).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Dotted names below `helpers.` that a module imports, lazily or not, types aside."""
    found: set[str] = set()
    for node in walk_at_run_time(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("helpers.") for name in found if name.startswith("helpers.")}


def walk_at_run_time(node: ast.AST):
    """Every node except those under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from walk_at_run_time(child)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(HELPERS)))
def test_a_module_imports_only_its_own_layer_or_lower(path):
    own = top_name(path)
    assert own in LAYERS, f"{own} has no layer yet: place it in tests/test_layers.py"
    for name in imported(path):
        other = name.split(".")[0]
        if other in LAYERS and other != own:
            assert LAYERS[other] <= LAYERS[own], f"{own} imports {other}"


@pytest.mark.parametrize("path", sorted((HELPERS / "backend").rglob("*.py")), ids=lambda p: p.name)
def test_nothing_in_the_server_imports_what_is_above_it(path):
    own = path.relative_to(HELPERS / "backend").parts[0].removesuffix(".py")
    if own == "__init__":
        assert not imported(path)
        return
    assert own in BACKEND, f"backend/{own} has no layer yet: place it in tests/test_layers.py"
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "backend" and len(parts) > 1 and parts[1] in BACKEND and parts[1] != own:
            assert BACKEND[parts[1]] <= BACKEND[own], f"{own} imports {parts[1]}"


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(' '.join(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=HELPERS.parent, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_library_loads_nothing_heavy():
    heavy = {"torch", "transformers", "openai", "numpy", "pandas", "matplotlib", "xllamacpp"}
    assert not loaded_after("import helpers, helpers.settings, helpers.errors") & heavy


@pytest.mark.parametrize("module", ["client", "jobs", "tokens", "evaluation", "quiz", "datasets"])
def test_what_notebooks_import_loads_no_pytorch(module):
    assert not loaded_after(f"import helpers.{module}") & {"torch", "transformers", "peft"}


def test_the_server_answers_chats_without_pytorch():
    loaded = loaded_after(
        "import helpers.backend.app, helpers.backend.serve, helpers.backend.daemon"
    )
    assert not loaded & {"torch", "transformers", "peft"}


def test_importing_the_library_takes_less_than_a_third_of_a_second():
    taken, _ = seconds_of([sys.executable, "-c", "import helpers"], HELPERS.parent)
    assert taken < 0.3
