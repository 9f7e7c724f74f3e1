"""How fast the trainer is: against TRL, and against the machine's own arithmetic.

For: the rows of the benchmark's table about training. TRL comes from requirements-bench.txt,
installed beside the course's environment at the first use.

    with measuring(root) as measurements:
        measurements["same-training"]()
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from helpers.backend.training.hyperparameters import NEFTUNE_ALPHA, PROMPT_LOSS_WEIGHT
from helpers.backend.training.spec import TrainSpec, read_progress
from helpers.base import jsonl, settings
from helpers.base.errors import SetupError
from helpers.bench.machine import gflops, run_measured
from helpers.bench.measurements import BenchRow, Measurement

NAMES = (
    "same-training",
    "loss-curve",
    "same-arithmetic",
    "arithmetic",
    "same-loss",
    "trainer-memory",
)
EXAMPLES, VALIDATION, EPOCHS, BATCH = 48, 16, 2, 8
LOSS_TOLERANCE = 1e-3


@dataclass(frozen=True)
class TimedTraining:
    """One training: the loss of each step, the seconds up to each, and the peak memory in MB."""

    losses: list[float]
    seconds: float
    memory: float
    valid: list[tuple[float, float]]
    """(seconds of training, loss on the whole validation file) at each epoch's end."""


@contextmanager
def measuring(root: Path) -> Iterator[Mapping[str, Measurement]]:
    """All measurements of this group; each training runs once, when a row first needs it."""
    training = TrainingBench(root, settings.load().state / "bench")
    yield {name: getattr(training, name.replace("-", "_")) for name in NAMES}


class TrainingBench:
    """The measurements, and the trainings that they share."""

    def __init__(self, root: Path, work: Path) -> None:
        self._root, self._work = root, work

    @cached_property
    def _spec(self) -> TrainSpec:
        return prepared(self._root, self._work)

    @cached_property
    def _exact(self) -> TrainSpec:
        """In the precision in which TRL computes on a CPU."""
        return replace(self._spec, precision="float32")

    @cached_property
    def _recipe(self) -> TrainSpec:
        """As the server trains when nothing is asked for."""
        return replace(
            self._spec, prompt_loss_weight=PROMPT_LOSS_WEIGHT, neftune_alpha=NEFTUNE_ALPHA
        )

    @cached_property
    def _ours(self) -> TimedTraining:
        return train(self._exact, self._work / "ours")

    @cached_property
    def _theirs(self) -> TimedTraining:
        return train_trl(self._root, self._exact, self._work / "same")

    @cached_property
    def _shipped(self) -> TimedTraining:
        return train(self._recipe, self._work / "shipped")

    def same_training(self) -> BenchRow:
        ours, theirs = self._ours.seconds, self._theirs.seconds
        return BenchRow(
            "same-training",
            "the same LoRA training in float32, against TRL's SFTTrainer with peft",
            "s",
            ours,
            theirs,
            "at least 2.5 times faster",
            theirs >= 2.5 * ours,
        )

    def loss_curve(self) -> BenchRow:
        pairs = zip(self._ours.losses, self._theirs.losses, strict=True)
        apart = max(abs(ours - theirs) for ours, theirs in pairs)
        what = "largest difference between the two loss curves"
        return BenchRow(
            "loss-curve", what, "", apart, None, "at most 0.001", apart <= LOSS_TOLERANCE
        )

    def same_arithmetic(self) -> BenchRow:
        what = "the same training, against its matrix products alone"
        return against_bound("same-arithmetic", what, self._ours.seconds, self._exact)

    def arithmetic(self) -> BenchRow:
        what = "the trainer as shipped, against its matrix products alone"
        return against_bound("arithmetic", what, self._shipped.seconds, self._recipe)

    def same_loss(self) -> BenchRow:
        longer = replace(self._recipe, n_epochs=3)
        theirs = train_trl(self._root, longer, self._work / "own", own_recipe=True)
        quick = train(longer, self._work / "quick")
        goal = theirs.valid[-1][1]
        reached = [seconds for seconds, loss in quick.valid if loss <= goal]
        ours = reached[0] if reached else quick.seconds
        return BenchRow(
            "same-loss",
            "until TRL's final validation loss, each with its own settings",
            "s",
            ours,
            theirs.seconds,
            "at least 5 times faster",
            bool(reached) and theirs.seconds >= 5 * ours,
        )

    def trainer_memory(self) -> BenchRow:
        ours, theirs = self._shipped.memory, self._theirs.memory
        what = "peak memory of the trainer, against TRL"
        return BenchRow("trainer-memory", what, "MB", ours, theirs, "at most 2,500", ours <= 2500)


def against_bound(name: str, what: str, seconds: float, spec: TrainSpec) -> BenchRow:
    """A training's time beside the least that its arithmetic takes here."""
    bound = least_seconds(spec)
    holds = seconds <= 1.3 * bound
    return BenchRow(name, what, "s", seconds, bound, "at most 1.3 times the bound", holds)


def prepared(root: Path, work: Path) -> TrainSpec:
    """A training file and a validation file from the course's data, and the spec for them."""
    work.mkdir(parents=True, exist_ok=True)
    source = jsonl.read(root / "data/support/train.jsonl")
    taken = list(itertools.islice(source, EXAMPLES + VALIDATION))
    jsonl.write(work / "train.jsonl", taken[:EXAMPLES])
    jsonl.write(work / "validation.jsonl", taken[EXAMPLES:])
    base = settings.base_gguf()
    if base is None:
        raise SetupError("the base model is not installed", fix="run: python3 -m helpers lab")
    return TrainSpec(
        base_gguf=str(base),
        training_file=str(work / "train.jsonl"),
        validation_file=str(work / "validation.jsonl"),
        n_epochs=EPOCHS,
        batch_size=BATCH,
        threads=settings.load().threads,
    )


def train(spec: TrainSpec, folder: Path) -> TimedTraining:
    """Our trainer, as the server starts it: once as it is, once without validation for the time."""
    rows, memory = train_once(spec, folder)
    alone, _ = train_once(
        replace(spec, validation_file=None), folder.with_name(f"{folder.name}-alone")
    )
    seconds = {row["step"]: float(row["seconds"]) for row in alone}
    # Losses of one run beside the clock of the other: validation takes time that is not training.
    valid = [(seconds[r["step"]], r["full_valid_loss"]) for r in rows if "full_valid_loss" in r]
    return TimedTraining([row["train_loss"] for row in rows], seconds[len(rows)], memory, valid)


def train_once(spec: TrainSpec, folder: Path) -> tuple[list[dict[str, Any]], float]:
    """The rows of all steps, and the peak memory."""
    _empty(folder)
    spec.write(folder)
    command = [sys.executable, "-m", "helpers.backend.training.worker", str(folder)]
    memory = run_measured(command, env=dict(os.environ), log=folder / "log")
    return [row for row in read_progress(folder) if row["type"] == "step"], memory


def train_trl(
    root: Path, spec: TrainSpec, folder: Path, *, own_recipe: bool = False
) -> TimedTraining:
    """TRL's trainer on the same tokens in the same order."""
    _empty(folder)
    spec.write(folder)
    if own_recipe:
        (folder / "own_recipe").touch()
    command = [sys.executable, "-m", "helpers.bench.trl_peer", str(folder)]
    path = os.pathsep.join([str(root), str(trl_packages(root))])
    memory = run_measured(command, env={**os.environ, "PYTHONPATH": path}, log=folder / "log")
    said: dict[str, Any] = json.loads((folder / "trl.json").read_text(encoding="utf-8"))
    valid = [(said["seconds"], said["valid_loss"])]
    return TimedTraining(said["losses"], said["seconds"], memory, valid)


def least_seconds(spec: TrainSpec) -> float:
    """The matrix products that this training cannot do without, at this machine's best rate.

    For each token forward and back through the frozen weights (2 + 2 operations a weight), and
    through the adapter (2 + 4); for each target the output layer, forward and back.
    """
    from helpers.backend.training.device import choose_precision
    from helpers.backend.training.examples import Example
    from helpers.backend.training.loop import epoch_order
    from helpers.backend.training.packing import pack
    from helpers.backend.training.prepared import examples_of

    built = examples_of(Path(spec.training_file), Path(spec.base_gguf), max_tokens=spec.max_tokens)
    examples = [item for item in built if isinstance(item, Example)]
    tokens = targets = batches = 0
    for epoch in range(spec.n_epochs):
        order = epoch_order(len(examples), seed=spec.seed, epoch=epoch)
        for chosen in _parts(order, spec):
            prompts = spec.prompt_loss_weight > 0
            # Packed as the trainer packs, so that shared prompts are not counted twice.
            packed = pack([examples[i] for i in chosen], prompts=prompts)
            tokens += len(packed.ids)
            targets += len(packed.labels)
            batches += 1
    # Weights of SmolLM2-135M: the matrices of thirty layers, a LoRA of rank 16 on all of them, and
    # the output layer.
    frozen, adapter, output = 106_168_320, 4_884_480, 49_152 * 576
    work = tokens * (4 * frozen + 6 * adapter) + targets * 4 * output
    dtype = str(choose_precision(spec.precision)).removeprefix("torch.")
    # 576 to 2 x 1,536: gate and up in one product.
    rate = gflops(
        rows=tokens // batches, inputs=576, outputs=3072, dtype=dtype, threads=spec.threads
    )
    return work / rate / 1e9


def _parts(order: list[int], spec: TrainSpec) -> list[list[int]]:
    return [order[i : i + spec.batch_size] for i in range(0, len(order), spec.batch_size)]


def trl_packages(root: Path) -> Path:
    """A folder with TRL and what the course's environment lacks for it."""
    folder = settings.load().state / "bench" / "packages"
    wanted = root / "requirements-bench.txt"
    stamp = folder / "installed.txt"
    if stamp.exists() and stamp.read_bytes() == wanted.read_bytes():
        return folder
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"]
    code = subprocess.call([*command, "--target", str(folder), "-r", str(wanted)])
    if code:
        raise SetupError("TRL could not be installed", fix="this row needs a network once")
    # Last, as all stamps: a broken installation is done again.
    stamp.write_bytes(wanted.read_bytes())
    return folder


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
