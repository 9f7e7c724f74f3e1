"""Uploaded files: taken in, listed, given out and dropped.

For: the files API, and whoever names a file in a request. Not for: the bytes on disk alone, see
`helpers.backend.storage.store`.

    files.add("train.jsonl", "fine-tune", stream)["id"]      # "file-a81Kd…"
"""

from __future__ import annotations

import contextlib
import copy
import math
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from helpers.backend.bases.memory import shape_of
from helpers.backend.bases.registry import MAX_CONTEXT
from helpers.backend.protocol.errors import ApiError, not_found
from helpers.backend.protocol.schemas import new_id
from helpers.backend.service.limits import Limits
from helpers.backend.storage.store import LOCAL, Document, Store, public
from helpers.backend.storage.uploads import base_name, document
from helpers.backend.training.prepared import PreparedFile, forget, prepare
from helpers.base.files import sweep
from helpers.base.template_tokenizer import folder_of
from helpers.base.tokens import local_tokenizer
from helpers.datasets.validation.codes import CODES

MAX_TRAINING_TOKENS = 2048
"""Longest example for the course's model; beyond it a CPU would take minutes a step."""
PURPOSES = ("fine-tune", "assistants", "batch", "vision", "user_data", "evals")


def longest_example(gguf: Path | None) -> int:
    """Tokens of an example at most: of a base that came as a folder, what can be asked of it."""
    if gguf is None or folder_of(gguf) is None:
        return MAX_TRAINING_TOKENS
    return min(shape_of(gguf).context, MAX_CONTEXT)


class Arriving(NamedTuple):
    """A file that is just being written."""

    owner: str
    size: int


class Files:
    """What clients have uploaded, within bounds."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store, self._limits = store, limits
        self._arriving: dict[str, Arriving] = {}
        self._lock = threading.Lock()
        # What a server that was killed in the middle of an upload has left.
        sweep(store.files)
        for folder in store.prepared.iterdir():
            # The server was killed between removing a file and what was built of it.
            if not (store.files / folder.name).exists():
                forget(folder)

    def of(self, store: Store) -> Files:
        """What another owner has uploaded; what arrives is counted for all together."""
        view = copy.copy(self)
        view._store = store  # noqa: SLF001 - its own class
        return view

    def add(
        self, name: str, purpose: str, stream: BinaryIO, *, seconds: int | None = None
    ) -> Document:
        """Store an upload, for ever or for some seconds. A file for fine-tuning must be JSONL."""
        check_purpose(purpose)
        self.drop_expired()
        key = new_id("file-")
        with self.room_for(key, stream):
            size = self._store.save_file(key, stream)
            if purpose == "fine-tune":
                try:
                    self._check_jsonl(key)
                # Nothing of a refused upload stays, and nothing of one whose client left.
                except BaseException:
                    self._remove(key)
                    raise
            return self._keep(key, name, purpose, size, seconds)

    @contextlib.contextmanager
    def room_for(self, key: str, stream: BinaryIO) -> Iterator[None]:
        """Hold space for an upload. Raises `ApiError` if there is none."""
        # The stream is a file that came whole; its length is known without reading it.
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        # Counted and taken in one step: two uploads at once must not both get the last space.
        with self._lock:
            owner, limits = self._store.owner, self._limits
            files, own = self._held(owner)
            _, total = self._held(None)
            left = limits.total_bytes - total
            if files >= limits.files or left <= 0:
                raise ApiError(
                    400,
                    "The file storage is full. Delete files that you no longer need.",
                    param="file",
                    code="file_storage_full",
                )
            if owner != LOCAL and own + size > limits.own_bytes:
                raise _own_space_full(own, size, limits.own_bytes)
            limit = min(limits.file_bytes, left)
            if size > limit:
                raise too_large(size, limit)
            self._arriving[key] = Arriving(owner, size)
        try:
            yield
        finally:
            with self._lock:
                del self._arriving[key]

    def _held(self, owner: str | None) -> tuple[int, int]:
        """How many files an owner has, or all have, with those that arrive, and their bytes."""
        store = self._store.everyones() if owner is None else self._store
        held, _ = store.list("file")
        uploads, _ = store.list("upload")
        arriving = [one.size for one in self._arriving.values() if owner in (None, one.owner)]
        # Parts of an upload lie in the same folder, and count as the file that they will be.
        parts = sum(size for upload in uploads for size in upload["_parts"].values())
        total = sum(item["bytes"] for item in held) + sum(arriving) + parts
        return len(held) + len(arriving), total

    def _keep(self, key: str, name: str, purpose: str, size: int, seconds: int | None) -> Document:
        body = document(key, base_name(name), purpose, size, seconds=seconds)
        self._store.put("file", key, body)
        return public(body)

    def prepared(self, key: str, gguf: Path | None = None) -> PreparedFile:
        """A training file as it was read when it came; for another vocabulary it is read anew."""
        folder, tokenizer = self._store.prepared / key, local_tokenizer(gguf)
        longest = longest_example(gguf)
        return prepare(self._store.file(key), folder, tokenizer, max_tokens=longest)

    def _check_jsonl(self, key: str) -> None:
        """What an upload is refused for; the rest is said when a job is created."""
        for problem in self.prepared(key).report.errors:
            # Codes for which no line could be read; faults of single examples are the job's matter.
            if problem.code in ("empty_file", "not_text", "not_utf8", "not_jsonl", "line_too_long"):
                raise invalid_file(str(problem.message), problem.fix, problem.line, problem.code)

    def drop_expired(self) -> None:
        """Delete the files whose time is over."""
        now = time.time()
        over, _ = self._store.list(
            "file", keep=lambda item: item.get("expires_at", math.inf) <= now
        )
        for body in over:
            self._remove(body["id"])

    def get(self, key: str) -> Document:
        body = self._known(key)
        # A crash in the middle of `_remove` leaves a document without bytes.
        if not self._store.file(key).is_file():
            raise not_found("File", key)
        return body

    def _known(self, key: str) -> Document:
        body = self._store.get("file", key)
        # Expired and not dropped yet is gone for a client.
        if body is None or body.get("expires_at", math.inf) <= time.time():
            raise not_found("File", key)
        return body

    def delete(self, key: str) -> Document:
        self._known(key)
        self._remove(key)
        return {"id": key, "object": "file", "deleted": True}

    def _remove(self, key: str) -> None:
        # The bytes first: on a full disk the database has no room before they are gone.
        self._store.remove_file(key)
        forget(self._store.prepared / key)
        self._store.delete("file", key)

    def path(self, key: str) -> Path:
        """Where the bytes of a file lie. Raises `ApiError` 404 for one that is not there."""
        self.get(key)
        return self._store.file(key)


def _own_space_full(held: int, size: int, most: int) -> ApiError:
    return ApiError(
        429,
        f"Your files have {held} bytes; {size} more would pass the {most} that one person may have "
        "here. Delete files that you no longer need.",
        type="insufficient_quota",
        param="file",
        code="insufficient_quota",
        headers={"x-should-retry": "false"},
    )


def check_purpose(purpose: str) -> None:
    """Raise `ApiError` for a purpose that OpenAI does not have."""
    if purpose not in PURPOSES:
        raise ApiError(
            400, f"{purpose!r} is not one of {list(PURPOSES)} - 'purpose'", param="purpose"
        )


def too_large(size: int, limit: int, *, param: str = "file") -> ApiError:
    """413 with both numbers and the way round."""
    return ApiError(
        413,
        f"File is too large: {size} bytes, and the limit is {limit} bytes. Upload "
        "it in parts, and continue training from one part's model with the next.",
        param=param,
        code="file_too_large",
    )


def invalid_file(message: str, fix: str, line: int, problem: str, param: str = "file") -> ApiError:
    """A refused file, in OpenAI's words where it has some; the remedy stands at the end."""
    # "ine 3": the message may say "Line 3" or "line 3" itself.
    where = f" Line {line}:" if line and f"ine {line}" not in message else ""
    code = problem if problem == "invalid_n_examples" else "invalid_training_file"
    assert problem in CODES
    lead = "" if problem == "invalid_n_examples" else "Invalid file format."
    text = f"{lead}{where} {message.rstrip('.')}. Remedy: {fix}.".strip()
    return ApiError(400, text, param=param, code=code)
