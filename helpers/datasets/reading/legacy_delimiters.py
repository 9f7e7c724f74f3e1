"""The marks that old guides put around prompts and completions.

For: taking separators, stop words and leading blanks off prompt/completion pairs that
become chat. Not for: anything in chat examples.

    find_marks([{"prompt": "Hi ->", "completion": " Hello END"}], None, None)
    # Marks(separator=" ->", stop=" END", space=True)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# The longest first: "\n" ends what "\n\n###\n\n" ends.
SEPARATORS = ("\n\n###\n\n", "\n\n", " ->", "->", "###", "\n")
"""Marks that old guides put at the end of every prompt."""
STOPS = (" END", "\n\n###\n\n", "###", "\n", " \n")
"""Marks that they put at the end of every completion."""


@dataclass(frozen=True)
class Marks:
    """What old guides put around prompts and completions."""

    separator: str
    stop: str
    space: bool

    def strip(self, prompt: str, completion: str, system: str | None) -> tuple[str, str]:
        """Question and answer without the marks and without the system prompt in front."""
        question = prompt.removesuffix(self.separator) if self.separator else prompt
        if system is not None:
            question = question.removeprefix(f"{system}\n\n")
        answer = completion.removesuffix(self.stop) if self.stop else completion
        return question, answer.removeprefix(" ") if self.space else answer


def find_marks(rows: Sequence[Mapping[str, Any]], separator: str | None, stop: str | None) -> Marks:
    """The usual marks that every prompt and every completion carries."""
    prompts, completions = (
        [row[key] for row in rows if isinstance(row.get(key), str) and row[key].strip()]
        for key in ("prompt", "completion")
    )
    if separator is None:
        separator = _common_end(prompts, SEPARATORS)
    if stop is None:
        stop = _common_end(completions, STOPS)
    space = bool(completions) and all(text.startswith(" ") for text in completions)
    return Marks(separator, stop, space)


def _common_end(texts: Sequence[str], usual: Sequence[str]) -> str:
    found = (mark for mark in usual if texts and all(text.endswith(mark) for text in texts))
    return next(found, "")
