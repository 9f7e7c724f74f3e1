"""What the server decides: which model answers, which file is accepted, who may wait.

For: the routes, which only translate. Not for: the life of a job, see `jobs`.

    service.resolve("ft:smollm2-135m-instruct:course::AbC123")
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from helpers.backend.batch.queue import Batches
from helpers.backend.finetune.queue import Jobs
from helpers.backend.inference.engine import Engine
from helpers.backend.inference.models import ServedModel, base_models
from helpers.backend.protocol.errors import ApiError, not_found, unknown_model
from helpers.backend.protocol.schemas import BatchRequest, new_id
from helpers.backend.storage.store import Document, Store
from helpers.backend.storage.uploads import base_name, document
from helpers.base.settings import EMBEDDING_MODEL, Settings
from helpers.base.tokens import local_tokenizer
from helpers.datasets.validation.codes import CODES
from helpers.datasets.validation.file import validate_file

OWNER = "workbook"
PURPOSES = ("fine-tune", "assistants", "batch", "vision", "user_data", "evals")
MAX_TRAINING_TOKENS = 2048
"""Longest example; beyond it a CPU would take minutes a step."""


@dataclass(frozen=True)
class Limits:
    """Bounds that keep one client from filling the machine."""

    file_bytes: int = 512 * 1024 * 1024
    total_bytes: int = 4 * 1024 * 1024 * 1024
    files: int = 10_000
    waiting: int = 64
    """Inference requests under way or waiting; more get a 429."""
    jobs: int = 100
    """Jobs that may wait, and batches; more get a 429 too."""
    answers: int = 1000
    """Answers that are kept for clients that ask for it, of chats and of responses each."""


@dataclass
class Service:
    """Everything that a route needs."""

    settings: Settings
    store: Store
    engine: Engine
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.bases = base_models(self.settings)
        cores, share_cores = threading.Lock(), self.engine.share_cores
        self.jobs = Jobs(
            self.settings, self.store, warm=self.warm, cores=cores, share_cores=share_cores
        )
        self.batches = Batches(
            self.settings, self.store, resolve=self.resolve, cores=cores, share_cores=share_cores
        )
        self.last_used = time.monotonic()
        self._waiting = threading.BoundedSemaphore(self.limits.waiting)
        self._arriving: dict[str, int] = {}
        self._uploads = threading.Lock()

    # Models

    def resolve(self, name: str) -> ServedModel:
        """The model to answer with. Raises `ApiError` 404 for an unknown one."""
        if name in self.bases:
            return self.bases[name].served()
        if alias := self.store.get("alias", name):
            return self.resolve(alias["model"])
        if name == EMBEDDING_MODEL:
            raise ApiError(
                400,
                f"The model {name!r} makes embeddings; it cannot chat. "
                f"Use one of: {', '.join(self.bases)}.",
                param="model",
                code="unsupported_value",
            )
        model = self.store.get("model", name)
        if model is None:
            raise unknown_model(name)
        return ServedModel(name, Path(model["_gguf"]), Path(model["_adapter"]) / "adapter.gguf")

    def list_models(self) -> list[Document]:
        """Base models, the embedding model, and the fine-tuned ones."""
        fixed = [
            {"id": base.id, "object": "model", "created": base.created, "owned_by": OWNER}
            for base in self.bases.values()
        ]
        created = fixed[0]["created"]
        fixed.append(
            {"id": EMBEDDING_MODEL, "object": "model", "created": created, "owned_by": OWNER}
        )
        tuned, _ = self.store.list("model", newest_first=False, keep=lambda m: not m["_checkpoint"])
        return [*fixed, *map(public, tuned)]

    def find_model(self, name: str) -> Document:
        for model in self.list_models():
            if model["id"] == name:
                return model
        if tuned := self.store.get("model", name):
            return public(tuned)
        if alias := self.store.get("alias", name):
            return self.find_model(alias["model"]) | {"id": name}
        raise unknown_model(name)

    def delete_model(self, name: str) -> Document:
        """Remove a fine-tuned model; its job and files stay."""
        if name in self.bases or name == EMBEDDING_MODEL:
            raise ApiError(403, f"The model {name!r} is built in and cannot be deleted.")
        removed = self.store.delete("model", name) or self.store.delete("alias", name)
        if not removed:
            raise unknown_model(name)
        self.engine.unload(name)
        return {"id": name, "object": "model", "deleted": True}

    def set_alias(self, name: str, model: str) -> Document:
        """Let `name` answer as `model`, so that old code with its own name runs."""
        if name in self.bases or not re.fullmatch(r"[\w.:-]{1,64}", name):
            raise ApiError(400, f"{name!r} cannot be an alias.", param="name")
        # What an alias stands for is settled now: names that point at each other cannot arise.
        model = self.resolve(model).id
        self.store.put("alias", name, {"id": name, "model": model})
        return {"id": name, "object": "model.alias", "model": model}

    def warm(self, model_id: str) -> None:
        """Load a model before the first question comes."""
        self.engine.warm(self.resolve(model_id))

    # Files

    def add_file(
        self, name: str, purpose: str, stream: BinaryIO, *, seconds: int | None = None
    ) -> Document:
        """Store an upload, for ever or for some seconds. A file for fine-tuning must be JSONL."""
        if purpose not in PURPOSES:
            raise ApiError(
                400, f"{purpose!r} is not one of {list(PURPOSES)} - 'purpose'", param="purpose"
            )
        self.drop_expired()
        key = new_id("file-")
        with self._room_for(key, stream):
            size = self.store.save_file(key, stream)
            if purpose == "fine-tune":
                try:
                    self._check_jsonl(self.store.files / key)
                except ApiError:
                    (self.store.files / key).unlink()
                    raise
            return self.keep_file(key, name, purpose, size, seconds)

    @contextlib.contextmanager
    def _room_for(self, key: str, stream: BinaryIO) -> Iterator[None]:
        """Hold space for an upload. Raises `ApiError` if there is none."""
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        with self._uploads:
            held, _ = self.store.list("file")
            total = sum(item["bytes"] for item in held) + sum(self._arriving.values())
            left = self.limits.total_bytes - total
            if len(held) + len(self._arriving) >= self.limits.files or left <= 0:
                raise ApiError(
                    400,
                    "The file storage is full. Delete files that you no longer need.",
                    param="file",
                    code="file_storage_full",
                )
            limit = min(self.limits.file_bytes, left)
            if size > limit:
                raise ApiError(
                    413,
                    f"File is too large: {size} bytes, and the limit is {limit} bytes. Upload "
                    "it in parts, and continue training from one part's model with the next.",
                    param="file",
                    code="file_too_large",
                )
            self._arriving[key] = size
        try:
            yield
        finally:
            with self._uploads:
                del self._arriving[key]

    def keep_file(
        self, key: str, name: str, purpose: str, size: int, seconds: int | None
    ) -> Document:
        body = document(key, base_name(name), purpose, size, seconds=seconds)
        self.store.put("file", key, body)
        return public(body)

    def _check_jsonl(self, path: Path) -> None:
        """What an upload is refused for; the rest is said when a job is created."""
        report = validate_file(path, minimum=0)
        for problem in report.errors:
            if problem.code in ("empty_file", "not_text", "not_utf8", "not_jsonl", "line_too_long"):
                raise invalid_file(str(problem.message), problem.fix, problem.line, problem.code)

    def drop_expired(self) -> None:
        """Delete the files whose time is over."""
        now = time.time()
        over, _ = self.store.list("file", keep=lambda item: item.get("expires_at", math.inf) <= now)
        for body in over:
            self.store.delete("file", body["id"])
            (self.store.files / body["id"]).unlink(missing_ok=True)

    def file(self, key: str) -> Document:
        body = self.store.get("file", key)
        if body is None or body.get("expires_at", math.inf) <= time.time():
            raise not_found("File", key)
        return body

    def delete_file(self, key: str) -> Document:
        self.file(key)
        self.store.delete("file", key)
        (self.store.files / key).unlink(missing_ok=True)
        return {"id": key, "object": "file", "deleted": True}

    # Jobs

    def training_problems(self, key: str, *, kind: str, param: str) -> int:
        """Number of examples of a good file. Raises `ApiError` with the first problem."""
        try:
            self.file(key)
        except ApiError:
            raise ApiError(
                404, f"No such File object: {key}", param=param, code="file_not_found"
            ) from None
        tokenizer = local_tokenizer()
        report = validate_file(
            self.store.files / key,
            minimum=10 if param == "training_file" else 1,
            count_tokens=tokenizer.count,
            max_tokens=MAX_TRAINING_TOKENS,
        )
        found = report.kind or ""
        if report.ok and (found == "dpo") != (kind == "dpo"):
            raise ApiError(
                400,
                f"The file holds {found} examples, which the method {kind!r} cannot use.",
                param=param,
                code="invalid_training_file",
            )
        for problem in report.errors:
            raise invalid_file(problem.message, problem.fix, problem.line, problem.code, param)
        return report.examples

    def room_for_job(self) -> None:
        """Raise `ApiError` 429 if too many jobs wait. Trying again soon would not help."""
        self._room("jobs", self.jobs.waiting)

    def _room(self, what: str, waiting: int) -> None:
        if waiting >= self.limits.jobs:
            raise ApiError(
                429,
                f"{self.limits.jobs} {what} are waiting already. Cancel some, or wait for them.",
                type="requests",
                code="rate_limit_exceeded",
                headers={"x-should-retry": "false"},
            )

    # Batches

    def submit_batch(self, body: BatchRequest) -> Document:
        """Queue a batch. Raises `ApiError` for a file that is not there or not for a batch."""
        self._room("batches", self.batches.waiting)
        try:
            file = self.file(body.input_file_id)
        except ApiError:
            raise ApiError(
                400,
                f"No such File object: {body.input_file_id}",
                param="input_file_id",
                code="file_not_found",
            ) from None
        if file["purpose"] != "batch":
            raise ApiError(
                400,
                f"The file was uploaded for {file['purpose']!r}. Upload it with purpose='batch'.",
                param="input_file_id",
                code="invalid_purpose",
            )
        expiry = body.output_expires_after
        return self.batches.submit(
            body.endpoint,
            body.input_file_id,
            metadata=body.metadata,
            output_seconds=expiry.seconds if expiry else None,
        )

    # Inference

    @contextlib.contextmanager
    def slot(self) -> Iterator[None]:
        """A place in the inference queue; 429 with retry-after when it is full."""
        self.last_used = time.monotonic()
        if not self._waiting.acquire(blocking=False):
            raise ApiError(
                429,
                "The server is busy. Try again in a second.",
                type="requests",
                code="rate_limit_exceeded",
                headers={"retry-after": "1"},
            )
        try:
            yield
        finally:
            self._waiting.release()

    def keep_answer(self, kind: Literal["chat", "response"], key: str, body: Document) -> None:
        """Remember an answer that the client asked to store; the oldest make room."""
        self.store.put(kind, key, body)
        self.store.keep_newest(kind, self.limits.answers)

    def close(self) -> None:
        self.batches.stop()
        self.jobs.close()
        self.engine.close()
        self.batches.join()
        self.store.close()


def public(body: Document) -> Document:
    """A document without the server's own fields."""
    return {key: value for key, value in body.items() if not key.startswith("_")}


def invalid_file(message: str, fix: str, line: int, problem: str, param: str = "file") -> ApiError:
    """A refused file, in OpenAI's words where it has some; the remedy stands at the end."""
    where = f" Line {line}:" if line and f"ine {line}" not in message else ""
    code = problem if problem == "invalid_n_examples" else "invalid_training_file"
    assert problem in CODES
    lead = "" if problem == "invalid_n_examples" else "Invalid file format."
    text = f"{lead}{where} {message.rstrip('.')}. Remedy: {fix}.".strip()
    return ApiError(400, text, param=param, code=code)
