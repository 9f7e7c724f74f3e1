"""Settings of the property tests, and the desk's dataset as the course makes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from helpers.chunking import Article, load_articles
from helpers.datasets import support

SUPPORT = Path(__file__).resolve().parents[2] / "data" / "support"

# The first example pays for imports such as pandas; a slow machine is no failure.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def made() -> support.Made:
    """The three parts of the course's dataset."""
    return support.build(support.load(SUPPORT))


@pytest.fixture(scope="session")
def articles() -> list[Article]:
    """The knowledge base of today."""
    return load_articles(SUPPORT / "kb")
