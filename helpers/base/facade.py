"""A package that names its verbs and loads a module when one of them is first used.

For: the packages that notebooks import. `import helpers.rag` stays instant, although what it
offers needs a database. Not for: imports inside the library; those name the module itself.

    __all__ = ["build", "metrics"]
    __getattr__, __dir__ = offer(__name__, {"build": "index:build", "metrics": "metrics"})

A function must not be offered under the name of a module of its package: importing that
module would put the module in the function's place.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def offer(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package, after PEP 562.

    `homes` says where each name is: `"module:name"`, or `"module"` for a module that is
    offered whole; relative to the package unless it begins with `helpers.`. An unknown name
    raises `AttributeError`, as in any module.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, attribute = homes[name].partition(":")
        full = module if module.startswith("helpers.") else f"{package}.{module}"
        loaded = importlib.import_module(full)
        return getattr(loaded, attribute) if attribute else loaded

    return load, lambda: sorted(homes)
