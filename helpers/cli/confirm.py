"""Ask before something is fetched or removed.

For: the commands that run without a notebook, on a bare Python too. Not for: what `--yes` skips.

    confirmed("Remove?")      # writes "Remove? [y/N] " and reads a line
"""

from __future__ import annotations


def confirmed(question: str) -> bool:
    """Whether the answer was yes; no input at all is a no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False
