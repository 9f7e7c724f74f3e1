"""The page that names bases worth a try says of each what the estimate says."""

from __future__ import annotations

import re

import pytest

from helpers.backend.bases.families import FAMILIES, ModelShape, Rope
from helpers.backend.bases.memory import training_bytes
from helpers.backend.training.spec import MAX_ROWS
from tests.places import ROOT

PAGE = (ROOT / "docs" / "bases.md").read_text(encoding="utf-8")
SIZES = {
    "google/gemma-3-270m-it": ("gemma3_text", 18, 640, 2048, 4, 1, 256, 262_144),
    "Qwen/Qwen3-0.6B": ("qwen3", 28, 1024, 3072, 16, 8, 128, 151_936),
    "HuggingFaceTB/SmolLM3-3B": ("smollm3", 36, 2048, 11_008, 16, 4, 128, 128_256),
    "microsoft/Phi-4-mini-instruct": ("phi3", 32, 3072, 8192, 24, 8, 128, 200_064),
    "Qwen/Qwen3-4B-Instruct-2507": ("qwen3", 36, 2560, 9728, 32, 8, 128, 151_936),
}
"""Family, layers, width, inner width, heads, key heads, width of a head, rows of the embedding."""


def shape_of(name: str) -> ModelShape:
    kind, layers, width, inner, heads, groups, head_width, vocabulary = SIZES[name]
    return ModelShape(
        kind, layers, width, inner, heads, groups, head_width, head_width, vocabulary,
        context=8192, epsilon=1e-6, rope=Rope("default", 1e4, {}), tied=True,
        window=512 if kind == "gemma3_text" else 0,
    )  # fmt: skip


def rows() -> dict[str, list[str]]:
    cells = (line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| `"))
    return {c[0].strip(" `"): [one.strip() for one in c[1:]] for c in cells if "/" in c[0]}


def test_five_are_named_with_a_day_a_size_and_a_licence() -> None:
    assert list(rows()) == list(SIZES)
    assert re.search(r"on 20\d\d-\d\d-\d\d; look at the card", PAGE)
    for name, (size, licence, *_) in rows().items():
        assert float(size.split()[0]) == round(
            shape_of(name).parameters / 1e9, 2 - (size[0] != "0")
        )
        assert licence


@pytest.mark.parametrize("name", SIZES)
def test_the_memory_is_that_of_the_estimate(name: str) -> None:
    """In float32; with activations worked out twice; and so in 4 bits."""
    shape = shape_of(name)
    ways = ({}, {"recompute": True}, {"recompute": True, "four_bit": True})
    found = [float(one) for one in re.findall(r"[\d.]+", " ".join(rows()[name][2:4]))]
    assert len(found) == len(ways)
    for said, how in zip(found, ways, strict=True):
        need = training_bytes(shape, rows=MAX_ROWS, longest=MAX_ROWS, targets=MAX_ROWS, **how)
        assert said == pytest.approx(need / 1e9, rel=0.03)


def test_each_family_is_on_the_page() -> None:
    for kind in FAMILIES:
        assert f"`{kind}`" in PAGE
