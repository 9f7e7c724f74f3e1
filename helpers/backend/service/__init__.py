"""What the server decides, by subject; the routes only translate.

For: the routes. Not for: the life of a job or batch, see `finetune.queue` and `batch.queue`.

    service = Service(settings, store, engine).of("key:anna")
    service.models.resolve("ft:smollm2-135m-instruct:course::AbC123")
    service.files.add("train.jsonl", "fine-tune", stream)
"""

from __future__ import annotations

import contextlib
import copy
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import psutil

from helpers.backend.batch.queue import Batches
from helpers.backend.executors.choice import choose_executor
from helpers.backend.finetune.queue import Jobs
from helpers.backend.inference.engine import Engine
from helpers.backend.inference.models import ServedModel
from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.schemas import BatchRequest
from helpers.backend.service.answers import StoredAnswers
from helpers.backend.service.classroom import Classroom, Presence
from helpers.backend.service.files import Files
from helpers.backend.service.limits import Limits
from helpers.backend.service.models import Models
from helpers.backend.service.owned import OwnedBatches, OwnedJobs
from helpers.backend.service.rates import Meter, Rates
from helpers.backend.service.training import Training
from helpers.backend.service.uploads import Uploads
from helpers.backend.storage.store import Document, Store
from helpers.base.settings import Settings

TRAINER_BYTES = 4 << 30
"""Free memory with which a trainer of the course's model need not ask for more."""


@dataclass
class Moment:
    """When something happened last, shared by all views of a service."""

    at: float = field(default_factory=time.monotonic)


@dataclass
class Service:
    """Everything that a route needs, as one owner sees it; `of` is the view of another.

    Engine, queues and limits are the server's, and the same in each view.
    """

    settings: Settings
    store: Store
    engine: Engine
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        # One lock for both: batches and local jobs each take the whole machine, so never at once.
        cores = threading.Lock()
        self.models = Models(self.settings, self.store, self.engine)
        self.files = Files(self.store, self.limits)
        self.uploads = Uploads(self.store, self.files, self.limits)
        self.executor = choose_executor(self.settings, cores, self._make_way)
        self.job_queue = Jobs(
            self.settings,
            self.store,
            executor=self.executor,
            warm=lambda owner, model: self.of(owner).models.warm(model),
        )
        self.batch_queue = Batches(
            self.store,
            cores=cores,
            at_once=self._at_once,
            nodes=self.executor if self.settings.executor else None,
            threads=self.settings.job_threads,
            model=self._for_nodes,
        )
        self.rates, self.presence = Rates(self.limits), Presence()
        self._used = Moment()
        self._waiting = threading.BoundedSemaphore(self.limits.waiting)
        self._show()

    def _make_way(self, training: bool) -> None:
        """Leave the cores to a trainer, and where memory is short that of models at rest too."""
        self.engine.share_cores(training)
        if training and psutil.virtual_memory().available < TRAINER_BYTES:
            self.engine.rest(0)

    def _at_once(self, owner: str, name: str) -> int:
        """Requests for a model that are answered at the same time; half of all places at most."""
        taken = self.engine.at_once
        with contextlib.suppress(ApiError):
            taken = self.engine.engine_of(self.of(owner).models.resolve(name)).at_once
        # So that a batch can never turn the chats of a class away.
        return min(taken, max(1, self.limits.waiting // 2))

    def _for_nodes(self, owner: str, name: str) -> ServedModel | None:
        """A model that a node can answer with, by the name that requests give it."""
        try:
            model = self.of(owner).models.resolve(name)
        except ApiError:
            return None  # one that makes embeddings, or none: this machine says so
        # What is done with a chat before is known here alone.
        return None if model.method else replace(model, id=name)

    def _show(self) -> None:
        """Make what follows from the store's owner."""
        store = self.store
        # Models and files are views of their former selves: base models and what arrives are
        # shared.
        self.models, self.files = self.models.of(store), self.files.of(store)
        self.meter = self.rates.of(store.owner)
        self.classroom = Classroom(store, self.presence)
        self.uploads = self.uploads.of(store, self.files)
        self.answers = StoredAnswers(store, self.limits)
        self.jobs = OwnedJobs(store, self.job_queue)
        self.batches = OwnedBatches(store, self.batch_queue)
        self.training = Training(self.settings, self.limits, self.models, self.files, self.jobs)

    def of(self, owner: str, *, metered: bool = True) -> Service:
        """The same server as an owner sees it: of others there is nothing.

        `metered`: tokens and requests count for the owner's limits, as those of a batch do not.
        """
        # Shallow: engine, queues, meters and the semaphore stay the same objects.
        view = copy.copy(self)
        view.store = self.store.of(owner)
        view._show()  # noqa: SLF001 - its own class
        if not metered:
            view.meter = Meter(None)
        return view

    @property
    def last_used(self) -> float:
        """When the server was last asked for something, by `time.monotonic`."""
        return self._used.at

    def used(self) -> None:
        """Say that somebody needs the server now."""
        self._used.at = time.monotonic()

    def submit_batch(self, body: BatchRequest) -> Document:
        """Queue a batch. Raises `ApiError` for a file that is not there or not for a batch."""
        self.limits.room_for("batches", self.batch_queue.waiting)
        self.limits.own_room_for("batches", self.batches.under_way, self.store.owner)
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
        """A place in the inference queue; 429 with retry-after when it is full.

        `meter.count` tells what was used while it was held.
        """
        self.used()
        # The owner's own limit first, so that a request which it refuses takes nobody's place.
        with self.meter.request(), self.place():
            yield

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """The same for a part of a request that takes a slot too: it is not counted twice."""
        # Without waiting: a client that is told to come again holds no thread here.
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
        # Nothing new first, then what runs, then the engine: closing it ends the requests of a
        # batch, so that its thread can be waited for. The store last, which all of them write to.
        self.batch_queue.stop()
        self.job_queue.close()
        self.engine.close()
        self.batch_queue.join()
        self.store.close()
