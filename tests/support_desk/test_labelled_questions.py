"""Questions with their articles: from tickets, limited, and two in one message."""

from __future__ import annotations

import re

import pytest

from helpers.support_desk.desk import DECLINE
from helpers.support_desk.labelled_questions import (
    LabelledQuestion,
    asked_before,
    at_most,
    by_article,
    joined,
    samples,
)
from tests.places import ROOT

SUPPORT = ROOT / "data" / "support"
FEE = LabelledQuestion("What is the late fee?", "Late payment: It is $8.", ("late-fee",))
MOVE = LabelledQuestion("I move, what now?", "Moving: Tell us 10 days ahead.", ("moving",))
EGG = LabelledQuestion("Boil an egg?", DECLINE, ())


def test_training_questions_come_with_their_articles(made, articles):
    asked = asked_before(made, articles)
    assert len(asked) == len(made.train)
    known = {article.id for article in articles}
    assert all(set(one.articles) <= known for one in asked)
    late = next(one for one in asked if one.articles == ("late-fee",))
    assert "late fee" in late.answer
    assert all(not one.articles for one in asked if one.answer == DECLINE)


def test_the_number_of_questions_of_a_topic_can_be_limited(made, articles):
    asked = asked_before(made, articles)
    few = at_most(asked, 3)
    assert max(len(texts) for texts in by_article(few).values()) == 3
    assert [one for one in few if not one.articles] == [o for o in asked if not o.articles]


def test_no_known_question_is_a_test_question(made, articles):
    asked = {question.lower() for texts in by_article(asked_before(made, articles)).values()
             for question in texts}  # fmt: skip
    assert not asked & {row["messages"][1]["content"].lower() for row in made.test}


def test_further_tickets_come_with_their_articles_too(made, later):
    closed = {row["messages"][1]["content"] for row in [*made.test, *made.validation]}
    assert not closed & {one.question for one in later}
    assert {len(one.articles) for one in later} == {0, 1, 2}


def test_labelled_questions_can_be_searched_for_as_test_questions():
    fee, egg = samples([FEE, EGG])
    assert (fee.question, fee.articles, egg.articles) == (FEE.question, ("late-fee",), ())


def test_two_questions_in_one_message_get_both_answers_in_their_order():
    for one in joined([FEE, MOVE, EGG], 20):
        first, second = (FEE, MOVE) if one.articles[0] == "late-fee" else (MOVE, FEE)
        assert one.question.startswith(first.question)
        assert one.question.lower().endswith(second.question.lower())
        assert one.answer == f"{first.answer} {second.answer}"
        assert one.articles == first.articles + second.articles


@pytest.mark.parametrize(
    ("alone", "behind"),
    [
        ("I move, what now?", "I move, what now?"),
        ("Is there a fee?", "is there a fee?"),
        ("A bill came.", "a bill came."),
        ("USB port dead", "USB port dead"),
        ("Larkwell bill?", "Larkwell bill?"),
    ],
)
def test_a_second_question_begins_as_inside_a_sentence(alone, behind):
    second = LabelledQuestion(alone, "Call.", ("moving",))
    found = [one.question for one in joined([FEE, second], 40) if one.articles[0] == "late-fee"]
    assert {question.removeprefix(f"{FEE.question} ") for question in found} >= {f"Also, {behind}"}


def test_the_same_seed_joins_the_same_questions():
    assert joined([FEE, MOVE], 9, seed=1) == joined([FEE, MOVE], 9, seed=1)
    assert joined([FEE, MOVE], 9, seed=1) != joined([FEE, MOVE], 9, seed=2)


def test_one_topic_alone_cannot_be_joined():
    with pytest.raises(ValueError, match="two articles"):
        joined([FEE, FEE, EGG], 3)


def test_no_further_question_to_decline_is_a_test_question_in_other_clothes(made, later):
    new = [telling(one.question) for one in later if not one.articles]
    tested = [row for row in made.test if row["kind"] in ("out of scope", "misuse")]
    for row in tested:
        words = telling(row["messages"][1]["content"])
        near = max(new, key=lambda other: len(words & other) / max(3, len(other)))
        assert len(words & near) < 0.67 * max(3, len(near)), (sorted(words), sorted(near))


def telling(text):
    """The longer words of a text, which carry what it is about."""
    return set(re.findall(r"[a-z]{4,}", text.lower())) - {"your", "what", "that", "with", "from"}
