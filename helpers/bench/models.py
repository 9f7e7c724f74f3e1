"""What each base model of this machine costs: seconds a step, memory, tokens a second; and how
much faster it trains than with TRL.

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
from helpers.backend.service.job_memory import needed
from helpers.backend.training.examples import read_examples
from helpers.backend.training.spec import TrainSpec
from helpers.base import jsonl, settings
from helpers.base.tokens import local_tokenizer
from helpers.bench.machine import median_seconds, resident
from helpers.bench.measurements import BenchRow, Measurement
from helpers.bench.training import prepared, train_once, train_trl

STEPS, BATCH = 3, 8
TOKENS = 48
PROMPT = [{"role": "user", "content": "Write about the sea."}]
KINDS = ("step", "memory", "answer", "loaded", "trl")
TRL_TIMES, APART = 1.5, 0.01
"""How much faster than TRL it must be, and how far their losses may lie apart."""


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
        "trl": bench.trl,
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
        self._trained: dict[str, tuple[list[dict[str, Any]], float]] = {}
        self._answered: dict[str, tuple[float, float]] = {}

    def _training(self, base: str) -> tuple[list[dict[str, Any]], float]:
        """All steps, and the peak memory in MB."""
        if base not in self._trained:
            self._trained[base] = train_once(self._spec(base), self._work / base)
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
        """The first step is left out: it also warms up."""
        steps, _ = self._training(base)
        first, last = steps[0], steps[-1]
        seconds = (last["seconds"] - first["seconds"]) / (last["step"] - first["step"])
        what = f"{base}: a step of {BATCH} short examples"
        return BenchRow(f"{base}:step", what, "s", seconds)

    def memory(self, base: str) -> BenchRow:
        """Beside what the server estimates before the job."""
        _, peak = self._training(base)
        spec = self._spec(base)
        tokenizer = local_tokenizer(Path(spec.base_gguf))
        report = read_examples(
            Path(spec.training_file), tokenizer, lambda _: None, max_tokens=spec.max_tokens
        )
        assert report.tokens
        expected = needed(spec, report.tokens) / 2**20
        what = f"{base}: peak memory of the trainer, beside its estimate"
        aim = "at most the estimate"
        return BenchRow(f"{base}:memory", what, "MB", peak, expected, aim, peak <= expected)

    def trl(self, base: str) -> BenchRow:
        """The same steps in float32 with TRL's trainer. Raises `RuntimeError` if its losses differ:
        then it did something else."""
        exact = replace(self._spec(base), precision="float32")
        steps, _ = train_once(exact, self._work / f"{base}-exact")
        validated = replace(exact, validation_file=str(self._work / "validation.jsonl"))
        theirs = train_trl(self._root, validated, self._work / f"{base}-trl")
        pairs = zip((step["train_loss"] for step in steps), theirs.losses, strict=True)
        apart = max(abs(ours - other) for ours, other in pairs)
        if apart > APART:
            raise RuntimeError(f"{base}: TRL's losses differ from ours by {apart:.3f}")
        ours = float(steps[-1]["seconds"])
        return BenchRow(
            f"{base}:trl",
            f"{base}: the same LoRA training in float32, against TRL's SFTTrainer with peft",
            "s",
            ours,
            theirs.seconds,
            f"at least {TRL_TIMES} times faster",
            theirs.seconds >= TRL_TIMES * ours,
        )

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
