"""Arguments of Python in the words of the command line."""

from __future__ import annotations

import inspect
import shlex

import pytest

from helpers.__main__ import parser
from helpers.base.errors import Candidate, ChoiceNeeded
from helpers.base.remedies import argument, spelt
from helpers.cli.flags import flag
from helpers.cli.mine import table_options


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("language", "any"),
        ("language", "de"),
        ("keep", ["a@b.example", "0800 1234567"]),
        ("without", ["signatures", "markup"]),
        ("own", False),
        ("majority", True),
        ("header", False),
        ("encoding", "cp1252"),
        ("date_format", "%d/%m/%Y %H:%M"),
        ("roles", {"Ann B.": "user", "Shop": "assistant"}),
        ("columns", {"question": ("Titel", "Text 2"), "answer": "Antwort"}),
    ],
)
def test_what_a_flag_says_is_read_back_as_the_argument(name, value):
    words = shlex.split(flag(name, value))
    read = getattr(table_options(parser().parse_args(["mine", "t.csv", *words])), name)
    if name == "columns":
        read = {"question": read.question, "answer": read.answer}
    assert (list(read) if isinstance(value, list) else read) == value


@pytest.mark.parametrize(("name", "value"), [("epochs", 2), ("test", 0.4), ("validation", 0.05)])
def test_numbers_too(name, value):
    given = parser().parse_args(["mine", "t.csv", *shlex.split(flag(name, value))])
    assert float(getattr(given, name)) == value


def test_in_python_the_same_remedy_is_an_argument_of_prepare():
    from helpers.datasets.pipeline import prepare

    for name, value in (("language", "any"), ("own", False), ("keep", ["x"]), ("without", ("a",))):
        said = argument(name, value)
        assert eval(f"dict({said})")[name] in (value, list(value) if name != "own" else value)
        assert name in inspect.signature(prepare).parameters


def test_an_error_spells_its_candidates_where_it_is_raised():
    ways = [Candidate({"question": "a", "answer": "b"}, "by name")]
    assert """columns={"question": "a", "answer": "b"}""" in _choice(ways)
    with spelt(flag):
        assert "--column question=a --column answer=b (by name)" in _choice(ways)
    assert "--" not in _choice(ways)


def _choice(ways):
    return str(ChoiceNeeded("cannot tell", argument="columns", candidates=ways))
