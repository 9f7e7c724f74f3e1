"""What a job is estimated to take before it starts, beside what its process takes at its peak."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.backend.service.job_memory import needed
from helpers.backend.training.examples import read_examples
from helpers.backend.training.spec import MAX_ROWS, TrainSpec
from helpers.base.settings import base_gguf
from helpers.base.tokens import local_tokenizer
from helpers.bench.training import train_once
from tests.backend.bases.sized import write_chats, write_sized

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
EXAMPLES, WORDS = 8, 96
AT_MOST = 1.4
"""Times the peak that an estimate may be: a job that would fit is then seldom refused."""


@pytest.mark.parametrize(
    ("base", "recompute"),
    [("Qwen3", False), ("Qwen3", True), ("Gemma 3", False), ("SmolLM2", False)],
)
def test_a_job_takes_at_most_what_was_estimated_and_not_much_less(
    tmp_path: Path, base: str, recompute: bool
) -> None:
    gguf = base_gguf() if base == "SmolLM2" else write_sized(base, tmp_path)
    file = write_chats(tmp_path / "chats.jsonl", examples=EXAMPLES, words=WORDS)
    report = read_examples(file, local_tokenizer(gguf), lambda _: None, max_tokens=2048)
    lengths = report.tokens
    # All of a step in one pass, which is as large as passes get.
    assert lengths
    assert 0.9 * MAX_ROWS < lengths.longest * EXAMPLES <= MAX_ROWS
    spec = TrainSpec(
        str(gguf),
        str(file),
        n_epochs=1,
        batch_size=EXAMPLES,
        precision="float32",
        recompute=recompute,
    )
    _, peak = train_once(spec, tmp_path / "job")
    expected = needed(spec, lengths) / 2**20
    print(f"{base}, recompute={recompute}: peak {peak:,.0f} MB, estimated {expected:,.0f}")
    assert peak <= expected <= AT_MOST * peak
