"""The training loop: epochs, steps, validation, checkpoints, and a clean way to stop.

For: the trainer process, and anything that trains in process (`bench`, tests).

    trainer = Trainer(spec, job_dir, emit=print)
    trainer.run()
"""

from __future__ import annotations

import csv
import io
import math
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from helpers.backend.training import checkpoint
from helpers.backend.training.base import load_base, save_adapter, with_adapter
from helpers.backend.training.device import (
    choose_device,
    job_precision,
    repeatable,
)
from helpers.backend.training.examples import Item, Pair
from helpers.backend.training.forward import Noise
from helpers.backend.training.networks import network
from helpers.backend.training.objectives import Stats, dpo, supervised
from helpers.backend.training.prepared import examples_of
from helpers.backend.training.spec import LOSSES, RESUME, TrainSpec
from helpers.base.files import write_text
from helpers.base.heap import keep_freed_memory

Emit = Callable[[dict[str, Any]], None]

SAVE_EVERY = 60.0
"""Seconds between two saved states: what a kill may cost at most."""
WARMUP_SHARE = 0.05
VALID_PART = 8
"""Validation examples looked at in a step; an epoch's end looks at all."""
VALID_TIMES, VALID_EVERY = 12, 4
"""Looks between the ends of epochs: so many in a run, and not more often than each fourth step."""


class Stopped(Exception):
    """The run was asked to stop; its state is saved."""


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up, then a cosine down to zero. `step` counts from 0."""
    warmup = max(1, round(steps * WARMUP_SHARE))
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def epoch_order(n: int, *, seed: int, epoch: int) -> list[int]:
    """The shuffled order of n examples in one epoch; the same for the same seed."""
    order = list(range(n))
    # A string as seed is hashed the same way in every process, unlike `hash`.
    random.Random(f"{seed} {epoch}").shuffle(order)
    return order


class Trainer:
    """One run of one spec. State: the model, the optimizer, and how far it is."""

    def __init__(
        self,
        spec: TrainSpec,
        job_dir: Path,
        *,
        emit: Emit,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.spec, self.job_dir = spec, job_dir
        self.emit, self.should_stop = emit, should_stop
        torch.set_num_threads(spec.threads)
        device = choose_device()
        repeatable(device)
        keep_freed_memory()
        self.train = self._read(spec.training_file)
        self.valid = self._read(spec.validation_file) if spec.validation_file else []
        self.steps_per_epoch = math.ceil(len(self.train) / spec.batch_size)
        self.steps = self.steps_per_epoch * spec.n_epochs
        parent = Path(spec.parent_adapter) if spec.parent_adapter else None
        self.model = with_adapter(
            load_base(Path(spec.base_gguf), four_bit=spec.four_bit),
            rank=spec.rank,
            alpha=spec.alpha,
            seed=spec.seed,
            parent=parent,
        )
        if not spec.four_bit:  # it is there already, and cannot be moved
            self.model = self.model.to(device)
        self.net = network(
            self.model,
            precision=job_precision(job_dir, spec.precision, device),
            release=True,
            recompute=spec.recompute,
        )
        # Before `restore`, which puts a resumed run's matrices where the parent's stand now.
        if parent and spec.method == "dpo":
            self.net.reference.keep()
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(),
            lr=spec.learning_rate,
            weight_decay=0.0,
            # A job has some hundred steps: the usual 0.999 would average over more than that.
            betas=(0.9, 0.99),
            fused=True,
        )

    def _read(self, file: str) -> Sequence[Item]:
        spec = self.spec
        return examples_of(Path(file), Path(spec.base_gguf), max_tokens=spec.max_tokens)

    @property
    def tokens_per_epoch(self) -> int:
        """All tokens of the training examples, context and targets."""
        return sum(_length(item) for item in self.train)

    def restore(self) -> int:
        """Go back to the last saved state; returns the number of steps already done."""
        step, extra = checkpoint.restore(self.job_dir / RESUME, self.model, self.optimizer)
        self.by_line: dict[int, float] = extra.get("by_line", {})
        self.seconds: float = extra.get("seconds", 0.0)
        return step

    def run(self) -> None:
        """Train to the end, reporting each step. Raises `Stopped` when asked to stop."""
        done = self.restore()
        self._report_start(done)
        saved = started = time.monotonic()
        # The seconds of earlier starts count too: a resumed curve goes on where it was.
        before = self.seconds
        for step in range(done, self.steps):
            stats = self._step(step)
            self.by_line.update(stats.by_line)
            self.seconds = before + time.monotonic() - started
            # Told before it is saved: after a kill between the two the step is done again, and
            # `worker.ProgressFile` drops its first line.
            self._report_step(step + 1, stats)
            epoch_ended = (step + 1) % self.steps_per_epoch == 0
            if epoch_ended or time.monotonic() - saved > SAVE_EVERY:
                self.save(step + 1)
                saved = time.monotonic()
            # After the last step a stop saves nothing: the run is over in a moment.
            if self.should_stop() and step + 1 < self.steps:
                self.save(step + 1)
                raise Stopped
        self._write_losses()
        # Last, since it says that the job's folder is complete.
        self.emit({"type": "done", "trained_tokens": self.tokens_per_epoch * self.spec.n_epochs})

    def save(self, step: int) -> None:
        """Store the state after `step` steps."""
        extra = {"by_line": self.by_line, "seconds": self.seconds}
        checkpoint.save_state(
            self.job_dir / RESUME,
            step=step,
            model=self.model,
            optimizer=self.optimizer,
            extra=extra,
        )

    def _step(self, step: int) -> Stats:
        epoch, place = divmod(step, self.steps_per_epoch)
        # Made anew from the seed at each step, so that a resumed run needs no saved order.
        order = epoch_order(len(self.train), seed=self.spec.seed, epoch=epoch)
        size = self.spec.batch_size
        batch = [self.train[i] for i in order[place * size : (place + 1) * size]]
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, self.steps, self.spec.learning_rate)
        self.optimizer.zero_grad()
        stats = self._learn(step, batch)
        # One odd example in a small batch must not undo what many steps have learnt.
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        return stats

    def _learn(self, step: int, batch: Sequence[Any]) -> Stats:
        """One pass forward and back. The noise follows from seed and step, as the order does."""
        spec = self.spec
        if spec.method == "dpo":
            return dpo(self.net, batch, torch.Tensor.backward, beta=spec.beta)
        # `seed * steps + step`: no two steps of a run share a draw.
        draw = torch.Generator().manual_seed(spec.seed * self.steps + step)
        return supervised(
            self.net,
            batch,
            torch.Tensor.backward,
            prompt_loss_weight=spec.prompt_loss_weight,
            noise=Noise(spec.neftune_alpha, draw) if spec.neftune_alpha else None,
        )

    @torch.no_grad()
    def measure(self, items: Sequence[Item]) -> Stats:
        """Loss and accuracy on items, without learning from them."""
        stats = Stats()
        for start in range(0, len(items), VALID_PART):
            part: Sequence[Any] = items[start : start + VALID_PART]
            if self.spec.method == "dpo":
                stats.add(dpo(self.net, part, None, beta=self.spec.beta))
            else:
                stats.add(supervised(self.net, part, None))
        return stats

    def _report_start(self, done: int) -> None:
        trainable = sum(p.numel() for p in self.net.parameters())
        # The output layer is the embedding itself, so it counts once.
        total = sum(p.numel() for p in self.model.parameters())
        self.emit(
            {
                "type": "started",
                "steps": self.steps,
                "resumed_at": done,
                "examples": len(self.train),
                "tokens": self.tokens_per_epoch,
                "trainable_parameters": trainable,
                "total_parameters": total,
            }
        )

    def _report_step(self, step: int, stats: Stats) -> None:
        row: dict[str, Any] = {
            "type": "step",
            "step": step,
            "steps": self.steps,
            "epoch": math.ceil(step / self.steps_per_epoch),
            "train_loss": stats.mean_loss,
            "train_mean_token_accuracy": stats.accuracy,
            "seconds": round(self.seconds, 3),
        }
        epoch_ended = step % self.steps_per_epoch == 0
        every = max(VALID_EVERY, self.steps // VALID_TIMES)
        if self.valid and (epoch_ended or step % every == 0):
            row |= self._validation(step, whole=epoch_ended)
        self.emit(row)
        if epoch_ended:
            self._checkpoint(step, row)

    def _validation(self, step: int, *, whole: bool) -> dict[str, float]:
        """Loss on the validation set: all of it at an epoch's end, a few examples between."""
        if whole:
            seen = self.measure(self.valid)
            full = {
                "full_valid_loss": seen.mean_loss,
                "full_valid_mean_token_accuracy": seen.accuracy,
            }
        else:
            # Others each time, in turn: a curve over the same few would be theirs alone.
            few = min(VALID_PART, len(self.valid))
            n = len(self.valid)
            seen = self.measure([self.valid[(step * VALID_PART + i) % n] for i in range(few)])
            full = {}
        return {
            "valid_loss": seen.mean_loss,
            "valid_mean_token_accuracy": seen.accuracy,
            **full,
        }

    def _checkpoint(self, step: int, row: dict[str, Any]) -> None:
        name = f"checkpoints/step-{step}"
        # Before it is told of: who reads that there is a checkpoint finds it whole.
        save_adapter(self.model, self.job_dir / name)
        metrics = {k: v for k, v in row.items() if "loss" in k or "accuracy" in k or k == "step"}
        self.emit(
            {
                "type": "checkpoint",
                "step": step,
                "epoch": row["epoch"],
                "path": name,
                "metrics": metrics,
            }
        )

    def _write_losses(self) -> None:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(["line", "loss"])
        writer.writerows(sorted(self.by_line.items()))
        write_text(self.job_dir / LOSSES, text.getvalue())


def _length(item: Item) -> int:
    if isinstance(item, Pair):
        return len(item.preferred.ids) + len(item.other.ids)
    return len(item.ids)
