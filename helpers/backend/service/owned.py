"""One owner's jobs and batches: what both queues do, for those that are theirs alone.

For: the routes. The queues work for all owners and ask nobody who wants something; here it is
settled that an id of another owner is no id at all. Not for: the work, see `finetune.queue`.

    jobs = OwnedJobs(store.of("key:anna"), queue)
    jobs.cancel("ftjob-abc")        # 404 unless it is Anna's
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from helpers.backend.batch.queue import UNDER_WAY, Batches
from helpers.backend.finetune.queue import OVER, Jobs
from helpers.backend.protocol.errors import not_found
from helpers.backend.storage.store import OWNER, Document, Store
from helpers.backend.training.spec import TrainSpec


class OwnedJobs:
    """The fine-tuning jobs of one owner."""

    def __init__(self, store: Store, queue: Jobs) -> None:
        self._store, self._queue = store, queue

    @property
    def owner(self) -> str:
        return self._store.owner

    @property
    def under_way(self) -> int:
        """How many of the owner's jobs run, wait or are paused."""
        found, _ = self._store.list("job", keep=lambda job: job["status"] not in OVER)
        return len(found)

    @property
    def waiting(self) -> int:
        """How many jobs of all owners are in the queue."""
        return self._queue.waiting

    def submit(self, body: Document, spec: TrainSpec, *, warnings: Sequence[str] = ()) -> Document:
        return self._queue.submit(body | {OWNER: self._store.owner}, spec, warnings=warnings)

    def get(self, job_id: str) -> Document:
        """The job. Raises `ApiError` 404, as for one of another owner."""
        job = self._store.get("job", job_id)
        if job is None:
            raise not_found("FineTuningJob", job_id, "fine_tuning_job_id")
        return job

    def cancel(self, job_id: str) -> Document:
        return self._queue.cancel(self.get(job_id)["id"])

    def pause(self, job_id: str) -> Document:
        return self._queue.pause(self.get(job_id)["id"])

    def resume(self, job_id: str) -> Document:
        return self._queue.resume(self.get(job_id)["id"])


class OwnedBatches:
    """The batches of one owner."""

    def __init__(self, store: Store, queue: Batches) -> None:
        self._store, self._queue = store, queue

    @property
    def under_way(self) -> int:
        """How many of the owner's batches are not over yet."""
        found, _ = self._store.list("batch", keep=lambda batch: batch["status"] in UNDER_WAY)
        return len(found)

    def submit(
        self,
        endpoint: str,
        input_file: str,
        *,
        metadata: Mapping[str, str] | None = None,
        output_seconds: int | None = None,
    ) -> Document:
        return self._queue.submit(
            endpoint,
            input_file,
            owner=self._store.owner,
            metadata=metadata,
            output_seconds=output_seconds,
        )

    def get(self, key: str) -> Document:
        """The batch. Raises `ApiError` 404, as for one of another owner."""
        batch = self._store.get("batch", key)
        if batch is None:
            raise not_found("Batch", key, "batch_id")
        return batch

    def cancel(self, key: str) -> Document:
        return self._queue.cancel(self.get(key)["id"])
