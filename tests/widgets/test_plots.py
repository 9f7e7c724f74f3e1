"""What the figures say, read from what they draw."""

from __future__ import annotations

import json

from matplotlib.figure import Figure

from helpers.widgets import plots
from tests.places import ROOT

KNOWN = json.loads((ROOT / "data" / "targets.json").read_text(encoding="utf-8"))["targets"]


def drawn(found):
    ax = plots.outcomes(Figure().add_subplot(), found)
    return ax, [text.get_text() for text in ax.texts]


def test_each_outcome_elsewhere_has_its_sign():
    kinds = [*plots.SIGNS, "refused: KeyError: content"]
    ax, signs = drawn({"trl": {"package": "trl 1.16.0", **{kind: kind for kind in kinds}}})
    assert signs == ["=", "+", "r", "–", "?", "≠", "≠"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["trl\n1.16.0"]


def test_what_was_not_tried_is_no_outcome():
    found = {"a": {"package": "a 1", "chat": "read"}, "b": {"package": "b 1"}}
    assert drawn(found)[1] == ["r", "?"]


def test_the_stored_outcomes_are_drawn_whole():
    ax, signs = drawn(KNOWN)
    assert len(signs) == len(KNOWN) * (len(KNOWN["trl"]) - 2)
    assert len(ax.get_yticklabels()) == len(KNOWN["trl"]) - 2
