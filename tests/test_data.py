"""The course's own data is what its card says, and what its steps make."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from helpers import jsonl
from helpers.datasets import dedup, stats, support
from helpers.datasets.deep import leakage
from helpers.datasets.validate import validate_file
from helpers.scorers import contains

DATA = Path(__file__).resolve().parent.parent / "data"
SUPPORT = DATA / "support"
CARD = (DATA / "README.md").read_text(encoding="utf-8")
EXPECTED = json.loads((SUPPORT / "broken" / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def desk() -> support.Desk:
    return support.load(SUPPORT)


@pytest.fixture(scope="module")
def made(desk) -> support.Made:
    return support.build(desk)


def rows(name: str) -> list[dict]:
    return list(jsonl.read(SUPPORT / f"{name}.jsonl"))


def questions(name: str) -> list[str]:
    return [row["messages"][1]["content"] for row in rows(name)]


def card_number(name: str) -> int:
    found = re.search(rf"^\| `?{re.escape(name)}`? \|.*?\b(\d+) \|", CARD, re.M)
    assert found, f"the card does not mention {name}"
    return int(found[1])


def table(name: str) -> list[dict[str, str]]:
    with (SUPPORT / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_the_stored_files_are_what_the_steps_make(made, name):
    assert rows(name) == getattr(made, name)


@pytest.mark.parametrize("name", ["train.jsonl", "validation.jsonl", "test.jsonl", "gold.jsonl"])
def test_the_card_counts_the_lines(name):
    assert card_number(name) == len(rows(name.removesuffix(".jsonl")))


@pytest.mark.parametrize("name", ["tickets_raw.csv", "tickets_more.csv", "defects.csv"])
def test_the_card_counts_the_tickets(name):
    assert card_number(name) == len(table(name))


def test_the_card_counts_the_files():
    articles = list((SUPPORT / "kb").glob("*.md"))
    newer = [path for path in articles if path.name.endswith(support.UPDATE)]
    assert card_number("kb/*.v2.md") == len(newer) >= 6
    assert card_number("kb/*.md") == len(articles) - len(newer) >= 40
    assert card_number("broken/") == len(EXPECTED)


def test_the_card_counts_the_articles_with_other_rules():
    rules = json.loads((SUPPORT / "other_rules.json").read_text(encoding="utf-8"))
    assert card_number("other_rules.json") == len(rules)


def test_the_card_counts_every_defect():
    counted = Counter(row["defect"] for row in table("defects.csv"))
    assert {name: card_number(name) for name in counted} == counted


def test_the_card_counts_every_kind_of_test_question():
    counted = Counter(row["kind"] for row in rows("test"))
    assert {name: card_number(name) for name in counted} == counted
    assert sum(counted.values()) >= 240


def test_defects_are_where_they_are_said_to_be(desk):
    tickets = desk.tickets.set_index("ticket_id")
    for row in table("defects.csv"):
        ticket = tickets.loc[row["ticket_id"]]
        shown = {
            "html": "<p>" in ticket.question,
            "thread": "\n> " in ticket.question,
            "signature": "\n--" in ticket.question,
            "wrong_encoding": "â€" in ticket.question + ticket.answer,
            "empty_answer": not ticket.answer,
            "empty_question": not ticket.question,
            "no_tag": not ticket.intent,
            "two_questions": ";" in ticket.intent,
        }
        assert shown.get(row["defect"], True), row


def test_defects_that_would_be_learnt_are_cleaned_away(desk, made):
    wanted = {"contradiction", "useless_answer", "other_language", "no_question", "long_answer"}
    bad = {row["ticket_id"] for row in table("defects.csv") if row["defect"] in wanted}
    assert not bad & set(made.cleaning.table["ticket_id"])


def test_nothing_in_training_names_a_person(made):
    report = validate_file(SUPPORT / "train.jsonl", deep=True, keep=support.KEEP)
    assert report.ok
    assert report.counts.get("personal_data", 0) == 0


@pytest.mark.parametrize("part", ["validation", "test"])
def test_no_question_of_another_part_stands_in_training_even_nearly(part):
    assert leakage(SUPPORT / "train.jsonl", SUPPORT / f"{part}.jsonl") == []


def test_customers_do_not_talk_in_templates():
    asked = questions("train") + questions("test")
    assert stats.near_duplicate_rate(asked) <= 0.01
    assert stats.distinct_ngrams(asked, n=3) >= 0.9
    openings = Counter(" ".join(dedup.normalise(text).split()[:4]) for text in asked)
    assert max(openings.values()) <= 6


def test_key_facts_stand_in_the_right_answer_and_in_the_article():
    newest = support.articles(SUPPORT / "kb", updated=True)
    trained = support.articles(SUPPORT / "kb")
    for row in rows("test"):
        known = newest if row["kind"] == "changed policy" else trained
        article = " ".join(known[name] for name in row["article"].split(";") if name)
        for fact in row["key_facts"]:
            assert any(contains(row["messages"][2]["content"], way) for way in fact), row["id"]
            assert any(contains(article, way) for way in fact), (row["id"], fact)


def test_a_changed_policy_is_never_trained():
    old = support.articles(SUPPORT / "kb")
    for row in rows("test"):
        if row["kind"] == "changed policy":
            assert any(
                not any(contains(old[row["article"]], way) for way in fact)
                for fact in row["key_facts"]
            ), row["id"]


def test_articles_have_the_promised_length_and_front_matter():
    for path in (SUPPORT / "kb").glob("*.md"):
        text = path.read_text(encoding="utf-8")
        head = re.match(
            r"---\nid: (\S+)\ntitle: .+\nproduct: .+\neffective: 20\d\d-\d\d-\d\d\n", text
        )
        assert head, path.name
        assert path.name.split(".")[0] == head[1]
        assert 150 <= len(text.split("---\n", 2)[2].split()) <= 500, path.name


@pytest.mark.parametrize("code", sorted(EXPECTED))
def test_each_broken_file_shows_its_defect(code):
    report = validate_file(SUPPORT / "broken" / f"{code}.jsonl", deep=True)
    lines = {found.line for found in report.problems if found.code == code}
    assert lines
    line = EXPECTED[code]["line"]
    assert line is None or line in lines
