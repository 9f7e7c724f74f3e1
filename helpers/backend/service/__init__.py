"""What the server decides, by subject; the routes only translate.

For: the routes. Not for: the life of a job or batch, see `finetune.queue` and `batch.queue`.

    service.models.resolve("ft:smollm2-135m-instruct:course::AbC123")
    service.files.add("train.jsonl", "fine-tune", stream)
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from helpers.backend.batch.queue import Batches
from helpers.backend.finetune.queue import Jobs
from helpers.backend.inference.engine import Engine
from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.schemas import BatchRequest
from helpers.backend.service.answers import StoredAnswers
from helpers.backend.service.files import Files
from helpers.backend.service.limits import Limits
from helpers.backend.service.models import Models
from helpers.backend.service.training import Training
from helpers.backend.service.uploads import Uploads
from helpers.backend.storage.store import Document, Store
from helpers.base.settings import Settings


@dataclass
class Service:
    """Everything that a route needs."""

    settings: Settings
    store: Store
    engine: Engine
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        cores, share_cores = threading.Lock(), self.engine.share_cores
        self.models = Models(self.settings, self.store, self.engine)
        self.files = Files(self.store, self.limits)
        self.uploads = Uploads(self.store, self.files, self.limits)
        self.answers = StoredAnswers(self.store, self.limits)
        self.jobs = Jobs(
            self.settings, self.store, warm=self.models.warm, cores=cores, share_cores=share_cores
        )
        self.training = Training(self.settings, self.limits, self.models, self.files, self.jobs)
        self.batches = Batches(
            self.settings,
            self.store,
            resolve=self.models.resolve,
            cores=cores,
            share_cores=share_cores,
        )
        self.last_used = time.monotonic()
        self._waiting = threading.BoundedSemaphore(self.limits.waiting)

    def submit_batch(self, body: BatchRequest) -> Document:
        """Queue a batch. Raises `ApiError` for a file that is not there or not for a batch."""
        self.limits.room_for("batches", self.batches.waiting)
        try:
            file = self.files.get(body.input_file_id)
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

    def close(self) -> None:
        self.batches.stop()
        self.jobs.close()
        self.engine.close()
        self.batches.join()
        self.store.close()
