from __future__ import annotations

import pytest

from helpers.datasets.same_question import asked_in_both, same_questions

LONG = "My wifi keeps dropping in the evening, what can I do about it?"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I reset my password?", "how do i reset my password, please"),
        (LONG, "my wifi keeps droping in the evenings, what can I do about it"),
        ("Where is my parcel?", "Hi, where is my parcel? Thanks"),
        ("Wie kündige ich mein Abonnement?", "Bitte: wie kündige ich das Abonnement"),
        ("Can I use the wifi in the garden house?", "Can I use the wi fi in the garden house?"),
        ("What's the price? I'm new", "What is the price? I am new"),
    ],
)
def test_politeness_and_slips_of_the_pen_make_no_other_question(one: str, other: str) -> None:
    assert same_questions([one, "Something else", other]).members() == [[0, 2]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("minimum balance of an Ultima current account", "minimum balance of an Apex account"),
        ("the least balance of an Ultima account", "the least balance of an Apex account"),
        ("limits of the Titanium debit card", "limits of the Titanium Royale debit card"),
        ("How can I pay for plan Alba?", "How can I pay for plan Alma?"),
        ("transfer money from savings to checking", "transfer money from checking to savings"),
        ("How do I switch the light on in the hall?", "How do I switch the light off in the hall?"),
        ("where is my card number 1 please", "where is my card number 2 please"),
        ("How long do I have to learn C++ here?", "How long do I have to learn C# here?"),
        ("如何重置我的电子邮件密码", "如何重置我的银行账户密码"),
        ("How do I buy size S?", "How do I buy size M?"),
        ("What does plan M cost?", "What does the plan cost?"),
        ("How long is delivery to the US?", "How long is delivery to us?"),
        ("Is the service available now?", "Is the service unavailable now?"),
        ("What does the employer pay?", "What does the employee pay?"),
        ("How is my limit increased?", "How is my limit decreased?"),
        ("Are mails encrypted by you?", "Are mails decrypted by you?"),
        ("What are the fees when importing?", "What are the fees when exporting?"),
        ("Wie kann ich das Auto anmelden?", "Wie kann ich das Auto abmelden?"),
    ],
)  # fmt: skip
def test_another_word_that_says_something_makes_another_question(one: str, other: str) -> None:
    assert same_questions([one, other]).members() == []


@pytest.mark.parametrize(("one", "other"), [("X100", "X100S"), ("Galaxy 2024", "Galaxy 2024s")])
def test_an_s_behind_a_digit_is_no_plural(one: str, other: str) -> None:
    assert not same_questions(
        [f"What does the {one} weigh?", f"What does the {other} weigh?"]
    ).repeated


def test_a_word_that_other_rows_use_is_no_slip() -> None:
    rows = ["fees of the plan Ember here", "fees of the plan Amber here"]
    assert same_questions(rows).members() == [[0, 1]]
    more = ["how is Ember delivered to me", "how is Amber delivered to me"]
    assert same_questions([*rows, *more]).members() == []


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("please where can i order the card", True),
        ("where do i order a card", False),
        ("where can i order my card", False),
    ],
)
def test_strictly_only_politeness_articles_and_slips_may_differ(other: str, same: bool) -> None:
    texts = ["Where can I order a card?", other]
    assert bool(same_questions(texts, strictly=True).members()) is same
    assert same_questions(texts).members() == [[0, 1]]


def test_strictly_names_are_no_slips_and_the_end_of_a_long_text_counts() -> None:
    names = ["fees of the plan Ember here", "fees of the plan Amber here"]
    long = ["what now " + "my parcel did not come " * 100 + end for end in ("today", "ever")]
    for texts in (names, long):
        assert same_questions(texts).members() == [[0, 1]]
        assert same_questions(texts, strictly=True).members() == []


def test_what_both_parts_ask_is_found_with_its_row() -> None:
    known = ["Can I keep my old number?", LONG, "How can I pay for plan Alba?"]
    asked = [
        "How can I pay for plan Dune?",
        "Can I keep my old number please?",
        LONG.replace("pp", "p"),
    ]
    assert asked_in_both(known, asked) == {1: 0, 2: 1}
    assert asked_in_both([], asked) == asked_in_both(known, []) == {}
