"""The verb `quiz`, without starting Voilà."""

from __future__ import annotations

import argparse

import nbformat

from helpers.cli import quiz
from tests.places import ROOT


def test_it_serves_the_quiz_alone_and_to_this_machine_only():
    words = quiz.command(ROOT, argparse.Namespace(port=8899, no_browser=True))
    assert {"--Voila.ip=localhost", "--port=8899", "--no-browser"} <= set(words)
    page = nbformat.read(words[3], as_version=4)
    nbformat.validate(page)
    assert [cell.source for cell in page.cells if cell.cell_type == "code"] == [quiz.CODE]
    assert "finish" not in quiz.CODE


def test_by_default_it_opens_a_browser_at_a_port_of_its_choice():
    words = quiz.command(ROOT, argparse.Namespace(port=None, no_browser=False))
    assert not any(word.startswith(("--port", "--no-browser")) for word in words)
