"""A base in 4 bits, by bitsandbytes: trained by our loop on this processor.

The package has an environment of its own, in which all others are the course's. What a training
is compared with is the same one on the matrices that the 4 bits stand for, in float32.
"""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.backend.service.job_memory import needed
from helpers.backend.training.examples import read_examples
from helpers.backend.training.spec import TrainSpec, read_progress
from helpers.base.tokens import local_tokenizer
from helpers.bench.machine import run_measured
from tests.backend.bases.sized import write_chats, write_sized
from tests.backend.bases.tiny_families import write_folder
from tests.places import ROOT

pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(2400)]
EPOCHS, NEAR = 8, 1e-4
LOOK = ROOT / "tests" / "peers" / "four_bits.py"


@pytest.fixture(scope="module")
def python(environment_of: Callable[[str], Path]) -> Path:
    """With bitsandbytes, and the course's packages behind it."""
    made = environment_of("four_bits")
    [packages] = made.parents[1].glob("lib/python3*/site-packages")
    (packages / "zz_course.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return made


def rows(folder: Path) -> Path:
    path = folder / "train.jsonl"
    chats = [
        [("user", f"What opens locker {n}?"), ("assistant", f"Code {n}.")] for n in range(1, 9)
    ]
    lines = [{"messages": [{"role": r, "content": t} for r, t in chat]} for chat in chats]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("case", ["Qwen3", "Llama 2"])
def test_a_training_in_four_bits_is_that_of_the_matrices_they_stand_for(case, python, tmp_path):
    """Llama's matrices have kernels of the course's own, which know no 4 bits."""
    write_folder(case, tmp_path / "hf")
    (tmp_path / "base.json").write_text(json.dumps({"folder": str(tmp_path / "hf")}))
    spec = TrainSpec(
        str(tmp_path / "model.gguf"), str(rows(tmp_path)), str(rows(tmp_path)), n_epochs=EPOCHS,
        batch_size=4, learning_rate=4e-3, precision="float32",
    )  # fmt: skip
    found = said(python, spec, tmp_path)
    assert found["kinds"] == ["Linear4bit"]
    # Through validations too, after which no gradient may be lost.
    assert found["four"] == pytest.approx(found["plain"], rel=NEAR)
    assert found["four"][-1] < 0.5 * found["four"][0]
    assert found["saved"]


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}


def said(python: Path, spec: TrainSpec, folder: Path) -> dict[str, Any]:
    job = folder / "job"
    job.mkdir()
    spec.write(job)
    done = subprocess.run(
        [str(python), str(LOOK), str(job)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_it_takes_the_memory_that_was_estimated(python, tmp_path):
    gguf = write_sized("Qwen3", tmp_path)
    file = write_chats(tmp_path / "chats.jsonl", examples=8, words=96)
    report = read_examples(file, local_tokenizer(gguf), lambda _: None, max_tokens=2048)
    assert report.tokens
    spec = TrainSpec(str(gguf), str(file), n_epochs=1, batch_size=8, four_bit=True)
    job = tmp_path / "job"
    job.mkdir()
    spec.write(job)
    command = [str(python), "-m", "helpers.backend.training.worker", str(job)]
    peak = run_measured(command, env=environment(), log=tmp_path / "log")
    expected = needed(spec, report.tokens) / 2**20
    [step] = [row for row in read_progress(job) if row["type"] == "step"]
    print(f"peak {peak:,.0f} MB, estimated {expected:,.0f}; a step {step['seconds']:.1f} s")
    assert peak <= expected <= 1.4 * peak
