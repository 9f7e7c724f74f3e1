"""Where the project is, and its modules as syntax trees."""

import ast
import functools
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@functools.cache
def tree(path: Path) -> ast.Module:
    """A module's syntax, read once for all tests of the house; nobody may change it."""
    return ast.parse(path.read_text(encoding="utf-8"))
