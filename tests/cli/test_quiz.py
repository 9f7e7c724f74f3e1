"""The verb `quiz`, without starting Voilà."""

from __future__ import annotations

import argparse

import pytest

from helpers.base.errors import CourseError
from helpers.cli import quiz
from tests.places import ROOT


def test_it_serves_the_review_notebook_to_this_machine_only():
    words = quiz.command(ROOT, argparse.Namespace(port=8899, no_browser=True))
    assert words[2:4] == ["voila", str(ROOT / "notebooks" / "08_review_quiz.ipynb")]
    assert {"--Voila.ip=localhost", "--port=8899", "--no-browser"} <= set(words)


def test_by_default_it_opens_a_browser_at_a_port_of_its_choice():
    words = quiz.command(ROOT, argparse.Namespace(port=None, no_browser=False))
    assert not any(word.startswith(("--port", "--no-browser")) for word in words)


def test_a_clone_without_the_notebook_is_told_so(tmp_path):
    with pytest.raises(CourseError, match="no 08_review_quiz"):
        quiz.command(tmp_path, argparse.Namespace(port=None, no_browser=True))
