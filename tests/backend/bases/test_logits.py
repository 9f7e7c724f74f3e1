"""Each family: trainer, engine and exports say what transformers says. Without this, no family."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backend.bases.tiny_families import CASES
from tests.places import ROOT

FAST = ("Llama 2", "Llama 3, untied, scaled", "Llama 3.2, tied, scaled", "SmolLM2", "Mistral")
ENGINE, TRAINER = 0.02, 1e-4
"""Nats. llama.cpp keeps keys and values in 16 bits."""


def test_the_page_of_measurements_lists_each_family_and_what_trains_it() -> None:
    page = (ROOT / "docs" / "measurements.md").read_text(encoding="utf-8")
    for case in CASES:
        kernels = "the course's kernels" if case in FAST else "transformers and peft"
        assert f"| {case} | {kernels} |" in page
    assert f"at most {ENGINE} nats" in page
    assert f"at most {TRAINER:.4f}" in page


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_family_is_trained_and_served_as_transformers_computes_it(
    case: str, tmp_path: Path
) -> None:
    from tests.backend.bases.logits import measure

    found = measure(case, tmp_path)
    assert found.base < ENGINE
    assert found.adapter < ENGINE
    assert found.trainer < TRAINER
    assert found.gradients < 1e-3
    assert found.fast == (case in FAST)
