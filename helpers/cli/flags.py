"""How the command line spells the arguments that a note or an error names.

For: `mine`, whose reader writes no Python. Not for: parsing, which is `helpers.__main__`.

    flag("language", "any")                 # '--language any'
    flag("columns", {"question": "Frage"})  # '--column question=Frage'
    flag("own", False)                      # '--redact-own'
"""

from __future__ import annotations

from typing import Any

_REPEATED = {"columns": "column", "roles": "role"}
"""Flags that come once for each part."""
_SWITCHES = {
    ("header", False): "--no-header",
    ("own", False): "--redact-own",
    ("majority", True): "--majority",
}


def flag(name: str, value: Any = ...) -> str:
    """The words of the command line for an argument of `helpers.capstone.run`."""
    # The type first: a list or a dict cannot be looked up, and 0 would be found as False.
    if (name, value) in _SWITCHES if isinstance(value, bool) else False:
        return _SWITCHES[name, value]
    word = f"--{_REPEATED.get(name, name).replace('_', '-')}"
    return " ".join(f"{word} {_quoted(part)}" for part in _parts(value))


def _parts(value: Any) -> list[str]:
    if value is ...:
        return ["…"]
    if isinstance(value, dict):
        return [f"{key}={part}" for key, said in value.items() for part in _parts(said)]
    if isinstance(value, list | tuple):
        return [str(part) for part in value]
    return [f"{value:g}" if isinstance(value, float) else str(value)]


def _quoted(text: str) -> str:
    # Double quotes, which cmd.exe knows as well as every shell of Unix.
    return f'"{text}"' if set(text) & set(" %&|<>()'$*?") or not text else text
