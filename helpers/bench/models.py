"""What each base model of this machine costs: seconds a step, memory, tokens a second.

For: the benchmark's rows that are measured when they are asked for, `bench models`, or one base
with `bench NAME:step`. Not for: how good a model is, which its own data must say.

    with measuring(root) as measurements:
        measurements["smollm2-135m-instruct:step"]()
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from helpers.backend.bases.registry import find
from helpers.backend.training.spec import TrainSpec
from helpers.base import jsonl, settings
from helpers.bench.machine import median_seconds, resident
from helpers.bench.measurements import BenchRow, Measurement
from helpers.bench.training import prepared, train_once

STEPS, BATCH = 3, 8
TOKENS = 48
PROMPT = [{"role": "user", "content": "Write about the sea."}]
KINDS = ("step", "memory", "answer", "loaded")


def __getattr__(name: str) -> Any:
    # Which rows there are depends on the bases of this machine.
    if name == "NAMES":
        return tuple(f"{base}:{kind}" for base in find(settings.load()).fit for kind in KINDS)
    raise AttributeError(name)


@contextmanager
def measuring(root: Path) -> Iterator[Mapping[str, Measurement]]:
    """All measurements; each base trains once, when a row first needs it."""
    work = settings.load().state / "bench" / "models"
    bench = ModelBench(root, work)
    measures = {
        "step": bench.step,
        "memory": bench.memory,
        "answer": bench.answer,
        "loaded": bench.loaded,
    }
    yield {
        f"{base}:{kind}": partial(measures[kind], base)
        for base in find(settings.load()).fit
        for kind in KINDS
    }


class ModelBench:
    """The measurements, and the trainings that they share."""

    def __init__(self, root: Path, work: Path) -> None:
        self._root, self._work = root, work
        self._trained: dict[str, tuple[float, float]] = {}
        self._answered: dict[str, tuple[float, float]] = {}

    def _training(self, base: str) -> tuple[float, float]:
        """Seconds a step, the first one left out, and the peak memory in MB."""
        if base not in self._trained:
            rows, memory = train_once(self._spec(base), self._work / base)
            first, last = rows[0], rows[-1]
            # The first step also compiles and warms up.
            seconds = (last["seconds"] - first["seconds"]) / (last["step"] - first["step"])
            self._trained[base] = seconds, memory
        return self._trained[base]

    def _spec(self, base: str) -> TrainSpec:
        """The first examples of the desk, as the server would train the base on them."""
        plain = prepared(self._root, self._work)
        few = self._work / "few.jsonl"
        jsonl.write(few, list(jsonl.read(Path(plain.training_file)))[: STEPS * BATCH])
        gguf = str(find(settings.load()).fit[base].gguf)
        return replace(
            plain,
            base_gguf=gguf,
            training_file=str(few),
            validation_file=None,
            n_epochs=1,
            batch_size=BATCH,
        )

    def step(self, base: str) -> BenchRow:
        what = f"{base}: a step of {BATCH} short examples"
        return BenchRow(f"{base}:step", what, "s", self._training(base)[0])

    def memory(self, base: str) -> BenchRow:
        what = f"{base}: peak memory of the trainer"
        return BenchRow(f"{base}:memory", what, "MB", self._training(base)[1])

    def answer(self, base: str) -> BenchRow:
        """One answer at a time, after the model is loaded."""
        rate = self._answering(base)[0]
        return BenchRow(f"{base}:answer", f"{base}: one answer", "tokens/s", rate)

    def loaded(self, base: str) -> BenchRow:
        """What the process holds more once the model has answered."""
        held = self._answering(base)[1]
        return BenchRow(f"{base}:loaded", f"{base}: memory of the loaded model", "MB", held)

    def _answering(self, base: str) -> tuple[float, float]:
        """Tokens a second of one answer, and the memory in MB that the model took."""
        from helpers.backend.inference.engine import Engine
        from helpers.backend.inference.engine_choice import resolved
        from helpers.backend.inference.models import ServedModel
        from helpers.backend.protocol.sampling import Sampling

        if base in self._answered:
            return self._answered[base]
        known = settings.load()
        model = ServedModel.of(find(known).fit[base])
        engine = Engine(threads=known.threads, cache=known.state / "cache", chosen=resolved(known))
        made: list[int] = []

        def ask() -> None:
            how = Sampling(max_tokens=TOKENS, temperature=0)
            parts = list(engine.generate(model, PROMPT, how))
            made.append(parts[-1].completion_tokens or 0)

        before = resident(os.getpid()) or 0.0
        try:
            engine.warm(model)
            seconds = median_seconds(ask, runs=3)
            held = (resident(os.getpid()) or 0.0) - before
        finally:
            engine.close()
        self._answered[base] = made[-1] / seconds, held
        return self._answered[base]
