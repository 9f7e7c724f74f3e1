"""The process of a batch: many prompts in, their likeliest answers out, with PyTorch.

For: `queue`. A processor that multiplies bfloat16 reads long prompts two to three times as
fast in this way as llama.cpp, which its package has compiled for older ones; a single question
waits longer for it. It can be killed at any moment: what is answered is in the file.

    python -m helpers.backend.batch.worker .workbook/jobs/batch_…
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.backend.storage.processes import watch_parent
from helpers.base.files import write_text

if TYPE_CHECKING:
    import torch

TASK, ANSWERED = "bulk.json", "bulk.jsonl"
UNFIT = 77
"""Exit code where the processor does not multiply bfloat16: llama.cpp is the faster one there."""
AT_ONCE = 16
ROOM = 16_384
"""Most tokens of a group, padding and answers included: the attention of a group fills memory."""


@dataclass(frozen=True)
class Prompt:
    """One prompt as token ids, and how many tokens its answer may have."""

    id: str
    tokens: tuple[int, ...]
    most: int


@dataclass(frozen=True)
class Task:
    """What the process is told."""

    gguf: str
    adapter: str | None
    """PEFT folder."""
    ends: tuple[int, ...]
    """Ids of the tokens that end an answer."""
    threads: int
    prompts: tuple[Prompt, ...]

    def write(self, folder: Path) -> None:
        """Store it in the batch's folder, without the answers of an earlier one."""
        (folder / ANSWERED).unlink(missing_ok=True)
        write_text(folder / TASK, json.dumps(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> Task:
        """Load it from the batch's folder."""
        body = json.loads((folder / TASK).read_text(encoding="utf-8"))
        prompts = tuple(Prompt(p["id"], tuple(p["tokens"]), p["most"]) for p in body["prompts"])
        return cls(**body | {"prompts": prompts, "ends": tuple(body["ends"])})


@dataclass(frozen=True)
class BatchAnswer:
    """One answer: its tokens without the end token, and whether it came to that."""

    id: str
    tokens: tuple[int, ...]
    ended: bool


def read_answers(folder: Path, start: int = 0) -> tuple[list[BatchAnswer], int]:
    """The answers behind the first `start` bytes, and where to read on: only whole lines count."""
    try:
        with (folder / ANSWERED).open("rb") as stream:
            stream.seek(start)
            data = stream.read()
    except FileNotFoundError:
        return [], start
    whole = data[: data.rfind(b"\n") + 1]
    rows = [json.loads(line) for line in whole.splitlines()]
    found = [BatchAnswer(row["id"], tuple(row["tokens"]), row["ended"]) for row in rows]
    return found, start + len(whole)


def groups(prompts: Sequence[Prompt]) -> Iterator[list[Prompt]]:
    """Prompts of like length together, the longest first: what is short waits for no padding."""
    group: list[Prompt] = []
    for prompt in sorted(prompts, key=lambda p: (-len(p.tokens), -p.most)):
        longest = group[0] if group else prompt
        width = len(longest.tokens) + max(p.most for p in [*group, prompt])
        if group and (len(group) == AT_ONCE or width * (len(group) + 1) > ROOM):
            yield group
            group = []
        group.append(prompt)
    if group:
        yield group


def load(task: Task, device: torch.device, dtype: torch.dtype) -> Any:
    """transformers' model of a task, its adapter added to the weights. Takes about 3 s."""
    from peft import PeftModel

    from helpers.backend.training.base import load_base

    model: Any = load_base(Path(task.gguf))
    if task.adapter is not None:
        model = PeftModel.from_pretrained(model, task.adapter).merge_and_unload()
    # The last positions of several prompts lie apart; multiplied so, each reads all weights.
    model.lm_head.register_forward_pre_hook(lambda _, given: (given[0].contiguous(),))
    return model.to(device, dtype).eval()


def answer(model: Any, group: Sequence[Prompt], ends: Sequence[int]) -> list[BatchAnswer]:
    """The likeliest answer to each prompt of a group, which are padded on the left."""
    import torch
    from transformers import GenerationConfig

    width = max(len(prompt.tokens) for prompt in group)
    tokens = torch.full((len(group), width), ends[0])
    mask = torch.zeros_like(tokens)
    for row, prompt in enumerate(group):
        start = width - len(prompt.tokens)
        tokens[row, start:], mask[row, start:] = torch.tensor(prompt.tokens), 1
    config = GenerationConfig(
        max_new_tokens=max(prompt.most for prompt in group),
        do_sample=False,
        pad_token_id=ends[0],
        eos_token_id=list(ends),
    )
    with torch.inference_mode():
        whole = model.generate(
            tokens.to(model.device),
            attention_mask=mask.to(model.device),
            generation_config=config,
        )
    return [
        _until(ends, prompt, made)
        for prompt, made in zip(group, whole[:, width:].tolist(), strict=True)
    ]


def _until(ends: Sequence[int], prompt: Prompt, made: list[int]) -> BatchAnswer:
    own = made[: prompt.most]
    stop = next((place for place, token in enumerate(own) if token in ends), None)
    return BatchAnswer(prompt.id, tuple(own[:stop]), stop is not None)


def main(folder: Path) -> int:
    """Answer the task in `folder`; returns the exit code."""
    watch_parent()
    task = Task.read(folder)
    # PyTorch reads the number of threads when it is first imported.
    os.environ["OMP_NUM_THREADS"] = str(task.threads)
    import torch

    from helpers.backend.training.device import choose_device, multiplies_bfloat16

    device = choose_device()
    if not multiplies_bfloat16(device):
        return UNFIT
    model = load(task, device, torch.bfloat16)
    with (folder / ANSWERED).open("w", encoding="utf-8") as stream:
        for group in groups(task.prompts):
            rows = answer(model, group, task.ends)
            stream.writelines(json.dumps(asdict(row)) + "\n" for row in rows)
            stream.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
