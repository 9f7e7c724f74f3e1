"""The lines of a batch: requests in, answers out, in OpenAI's two forms.

For: `queue`. Not for: answering them.

    lines, problems = read(path, endpoint="/v1/chat/completions")
    lines.total, [line.id for line in lines]
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.backend.executors.interface import ANSWERS
from helpers.backend.protocol.schemas import new_id

MOST_LINES = 100_000
"""Twice as many as OpenAI takes: a cluster shares them out."""
WINDOW_SECONDS = 24 * 3600
MOST_PROBLEMS = 100
BLOCK = 1 << 16
NEEDED = {"custom_id": str, "method": str, "url": str, "body": dict}


@dataclass(frozen=True)
class BatchLine:
    """One request."""

    id: str
    body: dict[str, Any]
    number: int = 0
    """Where it stands in the file, from 1."""
    text: str = ""
    """As it came."""


@dataclass(frozen=True)
class BatchProblem:
    """Why a file cannot be answered, in OpenAI's words and with a remedy."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None

    def body(self) -> dict[str, Any]:
        """As a batch reports it."""
        return {
            "code": self.code,
            "message": self.message,
            "line": self.line,
            "param": self.param,
        }


def new_batch(
    key: str,
    endpoint: str,
    input_file: str,
    *,
    metadata: Mapping[str, str] | None,
    output_seconds: int | None,
) -> dict[str, Any]:
    """A batch as it is created, with every field that it may ever have."""
    now = int(time.time())
    moments = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling")
    return {
        "id": key,
        "object": "batch",
        "endpoint": endpoint,
        "model": None,
        "errors": None,
        "input_file_id": input_file,
        "completion_window": "24h",
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": now,
        "expires_at": now + WINDOW_SECONDS,
        **{f"{moment}_at": None for moment in (*moments, "cancelled")},
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": metadata,
        "_output_seconds": output_seconds,
    }


@dataclass(frozen=True)
class BatchInput:
    """The requests of a file, of which one at a time is held in memory."""

    path: Path
    endpoint: str
    total: int
    model: str

    def __iter__(self) -> Iterator[BatchLine]:
        """In the order of the file, each time from its start."""
        return (one for one in _each(self.path, self.endpoint) if isinstance(one, BatchLine))


def read(path: Path, *, endpoint: str) -> tuple[BatchInput, list[BatchProblem]]:
    """The requests of a file, and what is wrong with it: then nothing of it is answered."""
    problems: list[BatchProblem] = []
    twice: BatchProblem | None = None
    seen: set[str] = set()
    models: dict[str, None] = {}
    total = 0
    for found in _each(path, endpoint):
        if isinstance(found, BatchProblem):
            if len(problems) < MOST_PROBLEMS:
                problems.append(found)
            continue
        total += 1
        if total > MOST_LINES:
            message = f"The file has more than {MOST_LINES:,} requests. Send them in parts."
            problems, twice = [BatchProblem("too_many_tasks", message)], None
            break
        if found.id in seen:
            twice = twice or _twice(found)
        seen.add(found.id)
        models[found.body["model"]] = None
    lines = BatchInput(path, endpoint, total, next(iter(models), ""))
    return lines, problems or ([twice] if twice else _together(total, models))


def _each(path: Path, endpoint: str) -> Iterator[BatchLine | BatchProblem]:
    # `replace`: a byte that is no UTF-8 spoils its own line, which is then named.
    with path.open(encoding="utf-8", errors="replace") as stream:
        for number, text in enumerate(stream, start=1):
            if text.strip():
                yield _line(text, number, endpoint)


def _line(text: str, number: int, endpoint: str) -> BatchLine | BatchProblem:
    try:
        row = _parsed(text)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        message = "This line is not parseable as valid JSON. Write one object per line."
        return BatchProblem("invalid_json_line", message, number)
    for name, kind in NEEDED.items():
        if not isinstance(row.get(name), kind) or not row[name]:
            message = f"Missing required parameter: '{name}'."
            return BatchProblem("missing_required_parameter", message, number, name)
    if row["method"] != "POST":
        message = f"The method is {row['method']!r}; write POST."
        return BatchProblem("invalid_method", message, number, "method")
    if row["url"] != endpoint:
        message = f"The url {row['url']!r} is not the batch's endpoint, {endpoint!r}."
        return BatchProblem("url_mismatch", message, number, "url")
    if row["body"].get("stream"):
        message = "An answer in a batch cannot be streamed. Leave 'stream' out."
        return BatchProblem("invalid_request", message, number, "body.stream")
    if not isinstance(row["body"].get("model"), str):
        message = "Missing required parameter: 'body.model'."
        return BatchProblem("missing_required_parameter", message, number, "body.model")
    return BatchLine(row["custom_id"], row["body"], number, text)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        # How deeply it may be nested depends on how deep we are, and a line must not be one request
        # now and none later. In a thread of its own it is the same each time.
        with ThreadPoolExecutor(1) as fresh:
            return fresh.submit(json.loads, text).result()


def _twice(line: BatchLine) -> BatchProblem:
    message = f"The custom_id {line.id!r} stands on an earlier line too. Give each its own."
    return BatchProblem("duplicate_custom_id", message, line.number, "custom_id")


def _together(total: int, models: Iterable[str]) -> list[BatchProblem]:
    """What no line shows by itself."""
    if not total:
        return [BatchProblem("empty_file", "The file has no requests. Write one per line.")]
    names = sorted(models)
    if len(names) > 1:
        message = f"A batch is for one model; this has {', '.join(names[:3])}. Split it."
        return [BatchProblem("model_mismatch", message, param="body.model")]
    return []


def output(line: BatchLine, status: int, request_id: str, body: Any) -> dict[str, Any]:
    """The line of an answer, or of a refusal."""
    response = {"status_code": status, "request_id": request_id, "body": body}
    return _output(line.id, response, None)


def unanswered(line: BatchLine, code: str, message: str) -> dict[str, Any]:
    """The line of a request that was never sent."""
    return _output(line.id, None, {"code": code, "message": message})


def _output(custom_id: str, response: Any, error: Any) -> dict[str, Any]:
    body = {"id": new_id("batch_req_"), "custom_id": custom_id}
    return body | {"response": response, "error": error}


def succeeded(row: Mapping[str, Any]) -> bool:
    """Whether an output line holds an answer."""
    return bool(row["response"]) and row["response"]["status_code"] < 400


NAME = ANSWERS


class Answers:
    """The file in a batch's folder; the line that a crash left unfinished is cut off.

    Of what is answered, the ids alone are held in memory.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._path.touch()
        os.truncate(self._path, _end_of_last_line(self._path))
        self._done = {row["custom_id"] for row in self.rows()}

    def __len__(self) -> int:
        return len(self._done)

    def __contains__(self, custom_id: str) -> bool:
        return custom_id in self._done

    def rows(self) -> Iterator[dict[str, Any]]:
        """All output lines so far, one at a time."""
        with self._path.open(encoding="utf-8") as stream:
            yield from map(json.loads, stream)

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep more of them."""
        with self._path.open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in rows)
        self._done |= {row["custom_id"] for row in rows}

    def left(self, lines: Iterable[BatchLine]) -> Iterator[BatchLine]:
        """The requests that have no answer yet."""
        return (line for line in lines if line.id not in self._done)

    def good(self) -> Iterator[dict[str, Any]]:
        """The output lines of answers."""
        return filter(succeeded, self.rows())

    def bad(
        self, lines: Iterable[BatchLine], *, code: str, message: str
    ) -> Iterator[dict[str, Any]]:
        """The output lines of refusals, then those of what was never sent."""
        yield from (row for row in self.rows() if not succeeded(row))
        yield from (unanswered(line, code, message) for line in self.left(lines))


def _end_of_last_line(path: Path) -> int:
    """Bytes up to and with the last line break; 0 without one."""
    with path.open("rb") as stream:
        place = stream.seek(0, os.SEEK_END)
        while place:
            start = max(0, place - BLOCK)
            stream.seek(start)
            found = stream.read(place - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            place = start
    return 0


def tally(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many requests were answered, and how many refused."""
    counted = Counter(map(succeeded, rows))
    return {"completed": counted[True], "failed": counted[False]}


def total_usage(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The tokens of all answers together."""
    read = made = cached = 0
    for row in rows:
        used = row["response"]["body"].get("usage") or {}
        # The two endpoints name the same numbers differently.
        read += used.get("prompt_tokens", used.get("input_tokens", 0))
        made += used.get("completion_tokens", used.get("output_tokens", 0))
        cached += (used.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + made,
    }
