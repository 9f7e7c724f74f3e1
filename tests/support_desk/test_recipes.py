"""v1's recipe stands in one place, and is the one that is taught."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from helpers.base import jsonl
from helpers.finetuning.jobs import FineTuneRun, Hyperparameters
from helpers.support_desk import desk, recipes
from helpers.support_desk.labelled_questions import examples
from tests.places import ROOT

COURSE: Any = SimpleNamespace(client="client", chat_model="base")


@pytest.fixture
def calls(monkeypatch, tmp_path) -> list[dict[str, Any]]:
    """What was asked of `fine_tune`; every job succeeds at once."""
    found: list[dict[str, Any]] = []

    def fine_tune(client: Any, **arguments: Any) -> FineTuneRun:
        found.append(arguments)
        job: Any = SimpleNamespace(id=arguments["suffix"])
        return FineTuneRun(job, reused=True)

    def wait(client: Any, job_id: str) -> Any:
        return SimpleNamespace(id=job_id, status="succeeded", fine_tuned_model=f"ft:{job_id}")

    monkeypatch.setenv("WORKBOOK_STATE", str(tmp_path))
    monkeypatch.setattr(recipes, "fine_tune", fine_tune)
    monkeypatch.setattr(recipes, "wait", wait)
    return found


def test_v1_is_the_base_model_trained_on_the_stored_parts(calls):
    run = recipes.train_v1(COURSE)
    assert run.job.fine_tuned_model == "ft:support-v1"
    assert repr(run).startswith("reused")
    assert calls == [
        {
            "model": "base",
            "training": desk.folder() / "train.jsonl",
            "validation": desk.folder() / "validation.jsonl",
            "hyperparameters": Hyperparameters(
                n_epochs=3, batch_size=8, learning_rate_multiplier=4.0
            ),
            "suffix": "support-v1",
            "seed": 42,
            "metadata": {
                "dataset": "support",
                "dataset_version": "1.0",
                # Notebook 01 shows this hash, and 02 looks for it in the job of v1.
                "dataset_sha256": hash_of_notebook_01(),
            },
        }
    ]


def hash_of_notebook_01() -> str:
    """The hash of the desk's dataset, as notebook 01 shows it."""
    notebook = (ROOT / "notebooks" / "01_dataset_preparation.ipynb").read_text(encoding="utf-8")
    (found,) = set(re.findall(r"'dataset_sha256': '([0-9a-f]{64})'", notebook))
    return found


def test_other_data_are_trained_with_the_same_settings(calls):
    recipes.train(COURSE, "part.jsonl", suffix="part", seed=1)
    assert calls[0]["hyperparameters"] == recipes.V1
    assert (calls[0]["seed"], "validation" in calls[0]) == (1, False)


def test_the_continuation_starts_from_v1_and_sees_the_new_tickets_alone(calls, later, monkeypatch):
    monkeypatch.setattr(recipes, "new_questions", lambda folder: later)
    recipes.continue_v1(COURSE)
    first, second = calls
    assert (first["suffix"], second["suffix"]) == ("support-v1", "continued")
    assert second["model"] == "ft:support-v1"
    assert second["hyperparameters"] == Hyperparameters(2, 8, 3.0)
    rows = list(jsonl.read(Path(second["training"])))
    assert rows[: len(later)] == examples(later)
    assert len(rows) == len(later) + recipes.DOUBLE
