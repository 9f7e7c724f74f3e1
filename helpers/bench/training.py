"""How fast the trainer is: against TRL, and against the machine's own arithmetic.

For: the rows of the benchmark's table about training. TRL comes from requirements-bench.txt,
installed beside the course's environment at the first use.

    rows(root)
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from helpers import jsonl, settings
from helpers.backend.training.spec import TrainSpec, read_progress
from helpers.bench.machine import gflops, run_measured
from helpers.bench.rows import Row
from helpers.errors import SetupError

EXAMPLES, VALIDATION, EPOCHS, BATCH = 48, 16, 2, 8
LOSS_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Run:
    """One training: the loss of each step, the seconds up to each, and the peak memory in MB."""

    losses: list[float]
    seconds: float
    memory: float
    valid: list[tuple[float, float]]
    """(seconds, loss on the whole validation file) at each epoch's end."""


def rows(root: Path) -> list[Row]:
    """Measure both trainers on the same examples, one after the other."""
    work = settings.load().state / "bench"
    spec = prepared(root, work)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(trl_packages(root))])}
    same = replace(spec, precision="float32")
    ours, theirs = train(same, work / "ours"), train_trl(same, work / "same", env)
    apart = max(abs(a - b) for a, b in zip(ours.losses, theirs.losses, strict=True))
    as_shipped = train(spec, work / "shipped")
    own_trl = train_trl(replace(spec, n_epochs=3), work / "own", env, own_recipe=True)
    quick = train(replace(spec, n_epochs=3), work / "quick")
    bound = least_seconds(spec)
    reached = next((s for s, loss in quick.valid if loss <= own_trl.valid[-1][1]), quick.seconds)
    return [
        Row(
            "same LoRA training, float32, against TRL",
            "s",
            ours.seconds,
            theirs.seconds,
            "at least 2.5 times faster",
            theirs.seconds >= 2.5 * ours.seconds,
        ),
        Row(
            "largest difference of the two loss curves",
            "",
            apart,
            None,
            "at most 0.001",
            apart <= LOSS_TOLERANCE,
        ),
        Row(
            "the trainer as shipped, against the matrix products alone",
            "s",
            as_shipped.seconds,
            bound,
            "at most 1.3 times the bound",
            as_shipped.seconds <= 1.3 * bound,
        ),
        Row(
            "until TRL's final validation loss, each with its own settings",
            "s",
            reached,
            own_trl.seconds,
            "at least 5 times faster",
            own_trl.seconds >= 5 * reached,
        ),
        Row(
            "peak memory of the trainer",
            "MB",
            as_shipped.memory,
            theirs.memory,
            "at most 2,500",
            as_shipped.memory <= 2500,
        ),
    ]


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


def train(spec: TrainSpec, folder: Path) -> Run:
    """Our trainer, as the server starts it. Validation is left out of the time."""
    _empty(folder)
    spec.write(folder)
    command = [sys.executable, "-m", "helpers.backend.train", str(folder)]
    memory = run_measured(command, env=dict(os.environ), log=folder / "log")
    steps = [row for row in read_progress(folder) if row["type"] == "step"]
    valid = [(r["seconds"], r["full_valid_loss"]) for r in steps if "full_valid_loss" in r]
    without = _train_alone(spec, folder.with_name(folder.name + "-alone"))
    return Run([row["train_loss"] for row in steps], without, memory, valid)


def _train_alone(spec: TrainSpec, folder: Path) -> float:
    """Seconds of the steps when nothing is validated between them."""
    _empty(folder)
    replace(spec, validation_file=None).write(folder)
    command = [sys.executable, "-m", "helpers.backend.train", str(folder)]
    run_measured(command, env=dict(os.environ), log=folder / "log")
    steps = [row for row in read_progress(folder) if row["type"] == "step"]
    return float(steps[-1]["seconds"])


def train_trl(
    spec: TrainSpec, folder: Path, env: dict[str, str], *, own_recipe: bool = False
) -> Run:
    """TRL's trainer on the same tokens in the same order."""
    _empty(folder)
    spec.write(folder)
    if own_recipe:
        (folder / "own_recipe").touch()
    command = [sys.executable, "-m", "helpers.bench.trl_peer", str(folder)]
    memory = run_measured(command, env=env, log=folder / "log")
    said: dict[str, Any] = json.loads((folder / "trl.json").read_text(encoding="utf-8"))
    valid = [(said["seconds"], said["valid_loss"])]
    return Run(said["losses"], said["seconds"], memory, valid)


def least_seconds(spec: TrainSpec) -> float:
    """The matrix products that this training cannot do without, at this machine's best rate.

    For each token forward and back through the frozen weights (2 + 2 operations a weight), and
    through the adapter (2 + 4); for each target the output layer, forward and back.
    """
    from helpers.backend.training.examples import read_examples
    from helpers.backend.training.loop import epoch_order
    from helpers.backend.training.machine import choose_precision
    from helpers.backend.training.packing import pack
    from helpers.tokens import local_tokenizer

    tokenizer = local_tokenizer(Path(spec.base_gguf))
    examples = read_examples(Path(spec.training_file), tokenizer, max_tokens=spec.max_tokens)
    tokens = targets = batches = 0
    for epoch in range(spec.n_epochs):
        order = epoch_order(len(examples), seed=spec.seed, epoch=epoch)
        for chosen in _parts(order, spec):
            packed = pack([examples[i] for i in chosen])
            tokens += len(packed.ids)
            targets += len(packed.labels)
            batches += 1
    frozen, adapter, output = 106_168_320, 4_884_480, 49_152 * 576
    work = tokens * (4 * frozen + 6 * adapter) + targets * 4 * output
    dtype = str(choose_precision(spec.precision)).removeprefix("torch.")
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
    stamp.write_bytes(wanted.read_bytes())
    return folder


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
