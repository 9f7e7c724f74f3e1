"""Settings of the property tests, and the desk's dataset as the course makes it."""

from __future__ import annotations

import pytest
from hypothesis import settings

from helpers.rag.documents import Article, load_articles
from helpers.support_desk import tickets
from helpers.support_desk.labelled_questions import LabelledQuestion, new_questions
from tests.places import ROOT

SUPPORT = ROOT / "data" / "support"

# The first example pays for imports such as pandas; a slow machine is no failure.
settings.register_profile("unhurried", deadline=None)
# `--fast` asks for this one by name; the whole run makes the usual hundred examples.
settings.register_profile("fast", deadline=None, max_examples=40)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def made() -> tickets.BuiltDataset:
    """The three parts of the course's dataset."""
    return tickets.build(tickets.load(SUPPORT))


@pytest.fixture(scope="session")
def articles() -> list[Article]:
    """The knowledge base of today."""
    return load_articles(SUPPORT / "kb")


@pytest.fixture(scope="session")
def later() -> list[LabelledQuestion]:
    """The questions of the tickets that came after v1's data were made."""
    return new_questions(SUPPORT)
