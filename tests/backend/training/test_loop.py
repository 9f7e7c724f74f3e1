"""A run: what it reports, what it leaves, and that it can be interrupted anywhere."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from helpers.backend.training import loop
from helpers.backend.training.loop import Stopped, Trainer, epoch_order, learning_rate
from helpers.backend.training.spec import RESUME, TrainSpec
from tests.backend.training.tiny import write_chat, write_gguf

Row = dict[str, Any]


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> TrainSpec:
    folder = tmp_path_factory.mktemp("run")
    return TrainSpec(
        str(write_gguf(folder / "tiny.gguf")),
        str(write_chat(folder / "train.jsonl")),
        str(write_chat(folder / "valid.jsonl", rows=3)),
        n_epochs=3,
        batch_size=4,
        learning_rate=1e-2,
        prompt_loss_weight=0.3,
        neftune_alpha=5.0,
        threads=1,
        rank=4,
        alpha=8,
        precision="float32",
    )


def run(
    spec: TrainSpec, folder: Path, should_stop: Callable[[list[Row]], bool] = lambda _: False
) -> list[Row]:
    """Train in process; all rows it emitted, up to where it was stopped."""
    rows: list[Row] = []
    folder.mkdir(exist_ok=True)
    trainer = Trainer(spec, folder, emit=rows.append, should_stop=lambda: should_stop(rows))
    trainer.run()
    return rows


def kind(rows: list[Row], name: str) -> list[Row]:
    return [row for row in rows if row["type"] == name]


def adapter(folder: Path, step: int = 9) -> bytes:
    return (folder / f"checkpoints/step-{step}/adapter_model.safetensors").read_bytes()


@dataclass(frozen=True)
class Whole:
    """A run from start to end. Tests read it and leave it as it is."""

    spec: TrainSpec
    folder: Path
    rows: list[Row]


@pytest.fixture(scope="module")
def whole(spec: TrainSpec, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    return Whole(spec, folder, run(spec, folder))


def test_it_reports_each_step_an_epochs_checkpoint_and_the_end(whole: Whole) -> None:
    rows = whole.rows
    start = rows[0]
    assert (start["type"], start["steps"], start["examples"]) == ("started", 9, 11)
    assert 0 < start["trainable_parameters"] < start["total_parameters"]
    steps = kind(rows, "step")
    assert [row["step"] for row in steps] == list(range(1, 10))
    assert [row["epoch"] for row in steps] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert [row["step"] for row in kind(rows, "checkpoint")] == [3, 6, 9]
    assert rows[-1] == {"type": "done", "trained_tokens": 3 * start["tokens"]}


def test_the_loss_falls(whole: Whole) -> None:
    losses = [row["train_loss"] for row in kind(whole.rows, "step")]
    assert losses[-1] < 0.8 * losses[0]


def test_a_checkpoint_carries_the_validation_of_the_whole_set(whole: Whole) -> None:
    for row in kind(whole.rows, "checkpoint"):
        assert set(row["metrics"]) == {
            "step",
            "train_loss",
            "train_mean_token_accuracy",
            "valid_loss",
            "valid_mean_token_accuracy",
            "full_valid_loss",
            "full_valid_mean_token_accuracy",
        }
        # Three examples are all looked at in every validation.
        assert row["metrics"]["valid_loss"] == pytest.approx(row["metrics"]["full_valid_loss"])


def test_the_losses_of_all_examples_are_kept_by_line(whole: Whole) -> None:
    with (whole.folder / "example_losses.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["line"]) for row in rows] == list(range(1, 12))
    assert all(float(row["loss"]) > 0 for row in rows)


def test_the_same_spec_gives_the_same_adapter_and_another_seed_another(
    whole: Whole, tmp_path: Path
) -> None:
    run(whole.spec, tmp_path / "same")
    run(replace(whole.spec, seed=whole.spec.seed + 1), tmp_path / "other")
    assert adapter(tmp_path / "same") == adapter(whole.folder)
    assert adapter(tmp_path / "other") != adapter(whole.folder)


@pytest.fixture(scope="module")
def preferring(whole: Whole, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A whole run on preferences."""
    folder = tmp_path_factory.mktemp("dpo")
    spec = with_preferences(whole.spec, folder)
    return Whole(spec, folder, run(spec, folder))


@pytest.mark.parametrize(
    ("method", "stop_after"),
    # In an epoch and at the end of one; what is saved and restored is the same for both methods.
    [("supervised", 1), ("supervised", 3), ("supervised", 8), ("dpo", 5)],
)
def test_a_run_that_was_stopped_ends_with_the_adapter_of_one_that_was_not(
    method: str, stop_after: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    undisturbed = request.getfixturevalue("whole" if method == "supervised" else "preferring")
    spec, folder, whole = undisturbed.spec, undisturbed.folder, undisturbed.rows
    first: list[Row] = []

    def stop(rows: list[Row]) -> bool:
        first[:] = rows
        return len(kind(rows, "step")) == stop_after

    with pytest.raises(Stopped):
        run(spec, tmp_path / "cut", stop)
    second = run(spec, tmp_path / "cut")

    assert second[0]["resumed_at"] == stop_after
    assert adapter(tmp_path / "cut") == adapter(folder)
    both = kind(first, "step") + kind(second, "step")
    assert [row["train_loss"] for row in both] == [row["train_loss"] for row in kind(whole, "step")]
    losses = [(place / "example_losses.csv").read_text() for place in (tmp_path / "cut", folder)]
    assert losses[0] == losses[1]


def test_a_run_killed_between_two_saves_does_the_lost_steps_again(
    whole: Whole, tmp_path: Path
) -> None:
    class Killed(Exception):
        pass

    def kill(rows: list[Row]) -> bool:
        # Step 5 is done but nothing has been saved since the epoch's end at step 3.
        if len(kind(rows, "step")) == 5:
            raise Killed
        return False

    with pytest.raises(Killed):
        run(whole.spec, tmp_path / "cut", kill)
    assert run(whole.spec, tmp_path / "cut")[0]["resumed_at"] == 3
    assert adapter(tmp_path / "cut") == adapter(whole.folder)


def test_a_state_is_saved_also_within_a_long_epoch(
    spec: TrainSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    seen: list[bool] = []
    run(spec, tmp_path, lambda _: bool(seen.append((tmp_path / RESUME).exists())))
    assert seen[0]


def test_a_finished_run_started_again_only_says_so(spec: TrainSpec, tmp_path: Path) -> None:
    first = run(spec, tmp_path)
    before = adapter(tmp_path)
    again = run(spec, tmp_path)
    assert again[-1] == first[-1]
    assert not kind(again, "step")
    assert adapter(tmp_path) == before


def test_going_on_from_a_parent_starts_where_it_ended(whole: Whole, tmp_path: Path) -> None:
    parent = whole.folder / "checkpoints/step-9"
    child = run(replace(whole.spec, parent_adapter=str(parent)), tmp_path)
    assert kind(child, "step")[0]["train_loss"] < kind(whole.rows, "step")[3]["train_loss"]


def test_preferences_raise_the_better_answer_and_start_at_log_2(preferring: Whole) -> None:
    steps = kind(preferring.rows, "step")
    assert steps[0]["train_loss"] == pytest.approx(0.6931, abs=1e-4)
    assert steps[-1]["train_loss"] < 0.6
    assert steps[-1]["train_mean_token_accuracy"] == 1.0


def with_preferences(spec: TrainSpec, folder: Path) -> TrainSpec:
    path = folder / "pairs.jsonl"
    asked = "what about number {}?"
    rows = [
        {
            "input": {"messages": [{"role": "user", "content": asked.format(i)}]},
            "preferred_output": [{"role": "assistant", "content": "abab"}],
            "non_preferred_output": [{"role": "assistant", "content": "zz"}],
        }
        for i in range(11)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return replace(spec, method="dpo", training_file=str(path), validation_file=None)


def test_the_learning_rate_rises_then_falls_to_nearly_nothing() -> None:
    rates = [learning_rate(step, 100, 1.0) for step in range(100)]
    assert rates[0] < rates[4] == 1.0
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] < 0.01


def test_the_order_is_a_new_shuffle_each_epoch_and_follows_from_the_seed() -> None:
    first = epoch_order(50, seed=1, epoch=0)
    assert sorted(first) == list(range(50))
    assert first == epoch_order(50, seed=1, epoch=0)
    assert first != epoch_order(50, seed=1, epoch=1)
    assert first != epoch_order(50, seed=2, epoch=0)
