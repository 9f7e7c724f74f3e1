"""A large index finds what comparing every vector finds."""

from __future__ import annotations

import pytest

from helpers.bench import retrieval
from helpers.rag import index
from tests.places import ROOT


@pytest.mark.slow
@pytest.mark.parametrize(("above", "least"), [(10**9, 0.9), (0, 0.99)])
def test_the_graph_finds_the_ten_nearest_chunks(
    monkeypatch: pytest.MonkeyPatch, above: int, least: float
) -> None:
    monkeypatch.setattr(index, "REFINED_ABOVE", above)
    with retrieval.measuring(ROOT, chunks=2 * index.EXACT_BELOW) as rows:
        assert rows["search-agreement"]().ours >= least
