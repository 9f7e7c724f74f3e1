"""The answers of a batch that are there already: a file that grows by whole lines.

For: `batches`, so that a crash costs no more than the answers under way. Not for: the files
that a client downloads, which are written from this one at the end.

    answers = Answers(folder)
    answers.add([row])
    answers.left(lines)
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from helpers.backend.batch_lines import Line, succeeded, unanswered

NAME = "answers.jsonl"


class Answers:
    """The file in a batch's folder; the line that a crash left unfinished is cut off."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._path.touch()
        os.truncate(self._path, self._path.read_bytes().rfind(b"\n") + 1)
        self._done = {row["custom_id"] for row in self.rows()}

    def rows(self) -> list[dict[str, Any]]:
        """All output lines so far."""
        return list(map(json.loads, self._path.read_text(encoding="utf-8").splitlines()))

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep more of them."""
        with self._path.open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in rows)
        self._done |= {row["custom_id"] for row in rows}

    def left(self, lines: Sequence[Line]) -> list[Line]:
        """The requests that have no answer yet."""
        return [line for line in lines if line.id not in self._done]

    def parted(
        self, lines: Sequence[Line], *, code: str, message: str
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The output lines of answers, and those of refusals and of what was never sent."""
        rows = self.rows()
        bad = [row for row in rows if not succeeded(row)]
        bad += [unanswered(line, code, message) for line in self.left(lines)]
        return [row for row in rows if succeeded(row)], bad


def tally(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many requests were answered, and how many refused."""
    good = [succeeded(row) for row in rows]
    return {"completed": sum(good), "failed": len(good) - sum(good)}


def total_usage(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The tokens of all answers together."""
    used = [row["response"]["body"].get("usage") or {} for row in rows]
    read = sum(one.get("prompt_tokens", one.get("input_tokens", 0)) for one in used)
    made = sum(one.get("completion_tokens", one.get("output_tokens", 0)) for one in used)
    details = [one.get("prompt_tokens_details") or {} for one in used]
    cached = sum(one.get("cached_tokens", 0) for one in details)
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + made,
    }
