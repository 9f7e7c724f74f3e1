"""What a training process is told, and what it tells back: plain JSON in files.

For: both sides of the process boundary, so it imports nothing heavy.

    spec = TrainSpec(base_gguf="…/base.gguf", training_file="…/train.jsonl")
    spec.write(job_dir)
    read_progress(job_dir)      # [{"type": "started", ...}, {"type": "step", ...}]
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

from helpers.base.files import own_copy, write_text
from helpers.base.settings import Precision

SPEC, PROGRESS, STOP, RESUME = "spec.json", "progress.jsonl", "stop", "resume.pt"
LOSSES = "example_losses.csv"
PRECISION = "precision.txt"
"""What was chosen at a job's first start; it goes with the job to any other machine."""
RATE = "training_rate.json"
"""In the state folder: `{"trained_tokens": …, "seconds": …}` of the job that finished last."""
MAX_ROWS = 1024
"""Tokens in one forward pass; more are done in parts, which bounds the memory."""
PAUSED = 75
"""Exit code of a process that saved its state and stopped as asked (EX_TEMPFAIL)."""
NO_FOUR_BITS = "training in 4 bits needs the package bitsandbytes"
GET_FOUR_BITS = "install it beside the course's packages, or unset WORKBOOK_4BIT"


def has_four_bits() -> bool:
    """Whether the package is there, which is not among the course's own."""
    return find_spec("bitsandbytes") is not None


@dataclass(frozen=True)
class TrainSpec:
    """One training run. Equal specs on one machine give equal adapters."""

    base_gguf: str
    training_file: str
    validation_file: str | None = None
    parent_adapter: str | None = None
    """PEFT folder of the fine-tuned model to go on from."""
    method: Literal["supervised", "dpo"] = "supervised"
    n_epochs: int = 3
    batch_size: int = 8
    learning_rate: float = 1e-3
    """Peak; it falls to zero along a cosine."""
    prompt_loss_weight: float = 0.0
    """How much a word of the question counts beside one of the answer."""
    neftune_alpha: float = 0.0
    """Size of the noise on the embeddings; 0 is none."""
    beta: float = 0.1
    """DPO only: how strongly the model is held to where it started."""
    seed: int = 42
    threads: int = 2
    rank: int = 16
    alpha: int = 32
    max_tokens: int = 2048
    """Longer examples are cut at the end."""
    precision: Precision = "auto"
    """"auto" is bfloat16 where it is measured to be faster, see `device.choose_precision`."""
    recompute: bool = False
    """Work activations out twice: slower, and far less memory."""
    four_bit: bool = False
    """Hold the frozen matrices in 4 bits (QLoRA, Dettmers et al. 2023), by bitsandbytes."""
    training_sha256: str = ""
    """Of the training file as it was uploaded; what was made of it says nothing of that."""

    def write(self, job_dir: Path) -> None:
        """Store it in the job's folder."""
        write_text(job_dir / SPEC, json.dumps(asdict(self), indent=1))

    def with_own_files(self, job_dir: Path) -> TrainSpec:
        """The same with files in the job's folder: uploads may be deleted while it waits."""
        job_dir.mkdir(parents=True, exist_ok=True)
        training = _own(self.training_file, job_dir, "training")
        other = self.validation_file
        validation = _own(other, job_dir, "validation") if other else None
        return replace(self, training_file=training, validation_file=validation)

    @classmethod
    def read(cls, job_dir: Path) -> TrainSpec:
        """Load it from the job's folder."""
        return cls(**json.loads((job_dir / SPEC).read_text(encoding="utf-8")))


class ProgressPlace(NamedTuple):
    """How far a progress file has been read."""

    inode: int = 0
    """Which file: a trainer that goes on writes a new one in its place."""
    start: int = 0
    """Bytes."""


def read_new_progress(
    job_dir: Path, place: ProgressPlace
) -> tuple[list[dict[str, Any]], ProgressPlace]:
    """The complete lines behind `place`, and where to read on; from the start of a new file."""
    try:
        with (job_dir / PROGRESS).open("rb") as stream:
            known = os.fstat(stream.fileno())
            inode = known.st_ino
            # A file that is shorter than the place was cut or replaced under a number that was used
            # before.
            start = place.start if inode == place.inode and place.start <= known.st_size else 0
            stream.seek(start)
            data = stream.read()
    except FileNotFoundError:
        return [], place
    # A last line without its end is still being written.
    whole = data[: data.rfind(b"\n") + 1]
    rows = [json.loads(line) for line in whole.splitlines() if line]
    return rows, ProgressPlace(inode, start + len(whole))


def read_progress(job_dir: Path) -> list[dict[str, Any]]:
    """All complete lines of the progress file."""
    return read_new_progress(job_dir, ProgressPlace())[0]


def write_rate(state: Path, *, tokens: int, seconds: float) -> None:
    """Note how fast a finished job trained, for whoever plans the next one."""
    if tokens and seconds > 0:
        known = {"trained_tokens": tokens, "seconds": seconds}
        write_text(state / RATE, json.dumps(known))


def read_rate(state: Path) -> float | None:
    """Trained tokens a second of the job that finished last; None before the first."""
    try:
        known = json.loads((state / RATE).read_text(encoding="utf-8"))
        return float(known["trained_tokens"]) / float(known["seconds"])
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return None


def _own(source: str, job_dir: Path, name: str) -> str:
    target = job_dir / f"{name}{Path(source).suffix or '.jsonl'}"
    if not Path(source).is_file():
        return source
    own_copy(Path(source), target)
    return str(target)
