"""The models that the course trains more than once, each with its one recipe.

For: notebooks that need v1 again. The same data, settings, base model and seed find the job
that was done before; any other digit would train anew. Notebook 02 shows v1's recipe and
notebook 04 that of its continuation. Not for: your own data, see `helpers.finetuning`.

    v1 = train_v1(course)                      # FineTuneRun, ended; shows 'reused: same data …'
    v1.job.fine_tuned_model
    train(course, "part.jsonl", suffix="part")     # v1's settings, other data
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from helpers.base import jsonl, settings
from helpers.connection import Connection
from helpers.datasets import manifest
from helpers.finetuning.jobs import FineTuneRun, Hyperparameters, fine_tune, wait
from helpers.support_desk import desk
from helpers.support_desk.labelled_questions import examples, joined, new_questions

V1 = Hyperparameters(n_epochs=3, batch_size=8, learning_rate_multiplier=4.0)
CONTINUED = Hyperparameters(n_epochs=2, batch_size=8, learning_rate_multiplier=3.0)
SEED = 42
FILES = ("train.jsonl", "validation.jsonl", "test.jsonl")
"""What version 1.0 of the desk's dataset consists of."""
DOUBLE = 60
"""Messages that ask two things, made for the continuation out of the new tickets."""


def train(
    course: Connection,
    training: str | Path,
    *,
    suffix: str,
    base: str | None = None,
    hyperparameters: Hyperparameters = V1,
    seed: int = SEED,
    **options: Any,
) -> FineTuneRun:
    """Train on a file with v1's settings and wait; `base` is the course's model unless named.

    `options` are further ones of `fine_tune`, such as `validation`. The run's job has ended.
    Raises `BackendError` unless it succeeded.
    """
    run = fine_tune(
        course.client,
        model=base or course.chat_model,
        training=training,
        hyperparameters=hyperparameters,
        suffix=suffix,
        seed=seed,
        **options,
    )
    return FineTuneRun(wait(course.client, run.job.id), run.reused)


def train_v1(course: Connection, **options: Any) -> FineTuneRun:
    """v1: the base model, trained on the desk's training part.

    Its job carries the dataset's version and hash, also where no notebook has run before.
    """
    data = desk.folder()
    version = manifest.describe(data, name="support", version="1.0", files=FILES)
    given: dict[str, Any] = {
        "validation": data / "validation.jsonl",
        "metadata": manifest.metadata(version),
    }
    return train(course, data / "train.jsonl", suffix="support-v1", **given | options)


def continue_v1(course: Connection, **options: Any) -> FineTuneRun:
    """The model "v1 + new": v1 trained further, on the later tickets, some two in a message."""
    v1 = train_v1(course).job.fine_tuned_model
    return train(
        course,
        write_new_tickets(),
        suffix="continued",
        base=v1,
        hyperparameters=CONTINUED,
        validation=desk.folder() / "validation.jsonl",
        **options,
    )


def write_new_tickets(path: Path | None = None) -> Path:
    """Write what v1 is continued with, as JSONL; by default into the state folder."""
    path = path or settings.load().state / "support_desk" / "new_tickets.jsonl"
    new = new_questions(desk.folder())
    path.parent.mkdir(parents=True, exist_ok=True)
    jsonl.write(path, examples([*new, *joined(new, DOUBLE)]))
    return path
