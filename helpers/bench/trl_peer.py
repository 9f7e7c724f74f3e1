"""The same training with TRL's `SFTTrainer` and peft: what ours is measured against.

Runs as a program of its own, with the packages of requirements-bench.txt on its path.

    python -m helpers.bench.trl_peer FOLDER     # reads FOLDER/spec.json, writes FOLDER/trl.json
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast, TrainerCallback
from trl import SFTConfig, SFTTrainer

from helpers.backend.training.base import load_base, with_adapter
from helpers.backend.training.examples import Example
from helpers.backend.training.loop import epoch_order, learning_rate
from helpers.backend.training.prepared import examples_of
from helpers.backend.training.spec import TrainSpec
from helpers.base.tokens import local_tokenizer


class Timed(TrainerCallback):
    """Loss of each step and the seconds since the first began; validation is not counted."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.valid: list[float] = []
        self.seconds = 0.0
        self._started = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._started = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.seconds += time.perf_counter() - self._started

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if "loss" in logs:
            self.losses.append(float(logs["loss"]))
        if "eval_loss" in logs:
            self.valid.append(float(logs["eval_loss"]))


class InOrder(SFTTrainer):
    """Takes the rows as they come: they were shuffled as our trainer shuffles them."""

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        return torch.utils.data.SequentialSampler(self.train_dataset)


def as_dataset(examples: list[Example]) -> Any:
    """Token ids with a mask of what is learned, so that both trainers see the same tokens."""
    return Dataset.from_list(
        [
            {"input_ids": list(e.ids), "completion_mask": [int(t) for t in e.targets]}
            for e in examples
        ]
    )


def main(folder: Path) -> None:
    """Train as the spec says: `same` settings as ours, or TRL's own recommended ones."""
    spec = TrainSpec.read(folder)
    own_recipe = (folder / "own_recipe").exists()
    torch.set_num_threads(spec.threads)
    gguf = Path(spec.base_gguf)
    ours = local_tokenizer(gguf)
    train, valid = (
        [
            item
            for item in examples_of(Path(file or ""), gguf, max_tokens=spec.max_tokens)
            if isinstance(item, Example)
        ]
        for file in (spec.training_file, spec.validation_file)
    )
    # All epochs as one long one: TRL would shuffle each epoch in its own way.
    rows = [
        train[i]
        for epoch in range(spec.n_epochs)
        for i in epoch_order(len(train), seed=spec.seed, epoch=epoch)
    ]
    core = Tokenizer.from_str(ours.core.to_str())
    end = core.id_to_token(ours.end_id)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token=end, pad_token=end)
    model = with_adapter(load_base(gguf), rank=spec.rank, alpha=spec.alpha, seed=spec.seed)
    steps = len(rows) // spec.batch_size
    timed = Timed()
    config = SFTConfig(
        output_dir=str(folder / "trl"),
        num_train_epochs=1,
        per_device_train_batch_size=spec.batch_size,
        learning_rate=2e-4 if own_recipe else spec.learning_rate,
        logging_steps=1,
        save_strategy="no",
        eval_strategy="no",
        report_to=[],
        use_cpu=True,
        bf16=spec.precision == "bfloat16",
        gradient_checkpointing=False,
        completion_only_loss=True,
        # Nothing is cut: both trainers see whole examples.
        max_length=None,
        weight_decay=0.0,
        adam_beta2=0.999 if own_recipe else 0.99,
        seed=spec.seed,
        disable_tqdm=True,
    )
    trainer = InOrder(
        model=model,
        args=config,
        train_dataset=as_dataset(rows),
        eval_dataset=as_dataset(valid),
        processing_class=tokenizer,
        callbacks=[timed],
    )
    # Before `train`, which makes its own optimiser and schedule where there are none.
    if not own_recipe:
        trainer.create_optimizer()
        peak = spec.learning_rate
        trainer.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
            trainer.optimizer, lambda step: learning_rate(step, steps, peak) / peak
        )
    trainer.train()
    trainer.evaluate()
    result = {"losses": timed.losses, "valid_loss": timed.valid[-1], "seconds": timed.seconds}
    (folder / "trl.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
