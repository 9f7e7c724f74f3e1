"""The lines of a batch: requests in, answers out, in OpenAI's two forms.

For: `batches`. Not for: answering them.

    lines, problems = read(path, endpoint="/v1/chat/completions")
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from helpers.backend.answers import chat_sampling
from helpers.backend.sampling import Sampling
from helpers.backend.schemas import ApiError, ChatRequest, new_id

MOST_LINES = 50_000
WINDOW_SECONDS = 24 * 3600
MOST_PROBLEMS = 100
NEEDED = {"custom_id": str, "method": str, "url": str, "body": dict}


@dataclass(frozen=True)
class Line:
    """One request."""

    id: str
    body: dict[str, Any]
    number: int = 0
    """Where it stands in the file, from 1."""


@dataclass(frozen=True)
class Problem:
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


def read(path: Path, *, endpoint: str) -> tuple[list[Line], list[Problem]]:
    """The requests of a file, and what is wrong with it: then nothing of it is answered."""
    lines: list[Line] = []
    problems: list[Problem] = []
    with path.open(encoding="utf-8", errors="replace") as stream:
        for number, text in enumerate(stream, start=1):
            if not text.strip():
                continue
            found = _line(text, number, endpoint)
            if isinstance(found, Line):
                lines.append(found)
            elif len(problems) < MOST_PROBLEMS:
                problems.append(found)
            if len(lines) > MOST_LINES:
                message = f"The file has more than {MOST_LINES:,} requests. Send them in parts."
                return lines, [Problem("too_many_tasks", message)]
    return lines, problems or _together(lines)


def _line(text: str, number: int, endpoint: str) -> Line | Problem:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        message = "This line is not parseable as valid JSON. Write one object a line."
        return Problem("invalid_json_line", message, number)
    for name, kind in NEEDED.items():
        if not isinstance(row.get(name), kind) or not row[name]:
            message = f"Missing required parameter: '{name}'."
            return Problem("missing_required_parameter", message, number, name)
    if row["method"] != "POST":
        message = f"The method is {row['method']!r}; write POST."
        return Problem("invalid_method", message, number, "method")
    if row["url"] != endpoint:
        message = f"The url {row['url']!r} is not the batch's endpoint, {endpoint!r}."
        return Problem("url_mismatch", message, number, "url")
    if row["body"].get("stream"):
        message = "An answer in a batch cannot be streamed. Leave 'stream' out."
        return Problem("invalid_request", message, number, "body.stream")
    if not isinstance(row["body"].get("model"), str):
        message = "Missing required parameter: 'body.model'."
        return Problem("missing_required_parameter", message, number, "body.model")
    return Line(row["custom_id"], row["body"], number)


def _together(lines: list[Line]) -> list[Problem]:
    """What no line shows by itself."""
    if not lines:
        return [Problem("empty_file", "The file has no requests. Write one a line.")]
    seen: set[str] = set()
    for line in lines:
        if line.id in seen:
            message = f"The custom_id {line.id!r} stands on an earlier line too. Give each its own."
            return [Problem("duplicate_custom_id", message, line.number, "custom_id")]
        seen.add(line.id)
    models = {line.body["model"] for line in lines}
    if len(models) > 1:
        message = f"A batch is for one model; this has {', '.join(sorted(models)[:3])}. Split it."
        return [Problem("model_mismatch", message, param="body.model")]
    return []


def plain_chat(body: Mapping[str, Any]) -> ChatRequest | None:
    """The chat, if it asks for one likeliest answer and nothing else; None if not."""
    try:
        chat = ChatRequest.model_validate(body)
        how = chat_sampling(chat)
    except (ValidationError, ApiError):
        return None
    only = Sampling(temperature=how.temperature, max_tokens=how.max_tokens, seed=how.seed)
    plain = how == only and how.temperature == 0
    return chat if plain and (chat.n or 1) == 1 and not chat.store else None


def output(line: Line, status: int, request_id: str, body: Any) -> dict[str, Any]:
    """The line of an answer, or of a refusal."""
    response = {"status_code": status, "request_id": request_id, "body": body}
    return _output(line.id, response, None)


def unanswered(line: Line, code: str, message: str) -> dict[str, Any]:
    """The line of a request that was never sent."""
    return _output(line.id, None, {"code": code, "message": message})


def _output(custom_id: str, response: Any, error: Any) -> dict[str, Any]:
    body = {"id": new_id("batch_req_"), "custom_id": custom_id}
    return body | {"response": response, "error": error}


def succeeded(row: Mapping[str, Any]) -> bool:
    """Whether an output line holds an answer."""
    return bool(row["response"]) and row["response"]["status_code"] < 400
