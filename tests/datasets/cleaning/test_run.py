from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.base.errors import DataError
from helpers.datasets.cleaning import steps
from helpers.datasets.cleaning.run import Step, StepOutcome, run
from helpers.datasets.frame import make_table

QUESTION = "My wifi keeps dropping in the evening, what can I do about it?"
ANSWER = "Move the router to channel 6, which takes about 3 minutes."


def table(*pairs: tuple[str, str], **columns: list[Any]) -> Any:
    rows = [{"question": question, "answer": answer} for question, answer in pairs]
    made = make_table(rows)
    for name, values in columns.items():
        made[name] = values
    return made


def test_counts_add_up_and_rejects_carry_step_and_reason() -> None:
    rows = table(
        (QUESTION, ANSWER),
        (f"<p>{QUESTION}</p>", "ok"),
        (QUESTION.upper(), ANSWER),
        ("Where is &amp; my parcel?", "It is  on its way."),
    )
    result = run(steps.default_steps(), rows)
    assert (result.rows_in, result.kept, len(result.rejected)) == (4, 2, 2)
    assert result.changed == 1
    assert result.rejected[["step", "reason"]].values.tolist() == [
        ["useless", "the answer says nothing"],
        ["duplicates", "duplicate of row 0"],
    ]
    assert result.rejected.loc[1, "question"] == f"<p>{QUESTION}</p>"
    assert result.table.loc[3, "question"] == "Where is & my parcel?"
    summary = result.summary()
    assert summary.loc["useless"].tolist() == [4, 0, 1, 3]


def test_each_step_shows_before_and_after() -> None:
    result = run([steps.markup(), steps.whitespace()], table(("<b>Hi</b>  there", ANSWER)))
    shown = result.before_after("markup")
    assert shown.loc[0, "before"].startswith("<b>Hi</b>  there")
    assert shown.loc[0, "after"].startswith("Hi  there")
    with pytest.raises(DataError, match="choose one of: markup, whitespace"):
        result.before_after("ironing")


def test_a_step_that_loses_rows_is_refused() -> None:
    thief = Step("thief", "", lambda rows: StepOutcome(rows.iloc[1:], {}))
    with pytest.raises(DataError, match="'thief' loses rows without a reason"):
        run([thief], table((QUESTION, ANSWER)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>Hi</p><p>Press <b>Reset</b><br>now</p>", "Hi\nPress Reset\nnow"),
        ("a &lt; b &amp; c", "a < b & c"),
        ("if 3 < 4 > 2", "if 3 < 4 > 2"),
        ("<style>p {}</style>x<script>y()</script>", "x"),
    ],
)
def test_markup(text: str, expected: str) -> None:
    assert steps.strip_markup(text) == expected


def test_signatures_and_quotes_are_cut() -> None:
    mail = (
        "Hold the button for 12 seconds.\n\nBest regards,\nTom\nTel 020 7946 0018\n\n"
        "On Mon, 3 Mar 2025 at 10:12, Ann <ann@post.example> wrote:\n> My router is dead\n"
    )
    assert steps.strip_signature(mail) == "Hold the button for 12 seconds."
    assert steps.strip_signature("Turn it off.\n\n-- \nKim Novak\nSupport") == "Turn it off."
    assert steps.strip_signature("Thank you for waiting. It arrives on Friday.") == (
        "Thank you for waiting. It arrives on Friday."
    )
    assert steps.strip_signature("") == ""


@pytest.mark.parametrize(
    "text", ["a" + "\n" * 20_000 + "b", "Am Mo schrieb\n" * 900, "> x\n" * 9000]
)
def test_a_text_that_no_mail_looks_like_takes_no_time(text: str) -> None:
    start = time.process_time()
    steps.strip_signature(text)
    assert time.process_time() - start < 1


def test_encoding_and_whitespace_are_repaired() -> None:
    result = run([steps.encoding(), steps.whitespace()], table(("The cafÃ© \t wifi\r\n", ANSWER)))
    assert result.table.loc[0, "question"] == "The café wifi"


def test_redaction_reaches_earlier_turns_too() -> None:
    rows = table((QUESTION, ANSWER))
    rows["turns"] = [[{"role": "user", "content": "I am ann@post.example"}]]
    result = run([steps.redaction()], rows)
    assert result.table.loc[0, "turns"] == [{"role": "user", "content": "I am [email]"}]
    assert result.changed == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Mein Internet geht seit gestern nicht mehr, was soll ich tun?", "de"),
        ("Bonjour, je voudrais résilier mon contrat.", "fr"),
        ("My bill is wrong, I was charged £42 twice", "en"),
        ("ok thx", ""),
        ("", ""),
    ],
)
def test_languages_are_told_apart_offline(text: str, code: str) -> None:
    assert steps.guess_language(text) == code


def test_other_languages_are_rejected() -> None:
    german = "Mein Internet geht seit gestern nicht mehr, was soll ich tun?"
    result = run([steps.language()], table((QUESTION, ANSWER), (german, ANSWER)))
    assert result.rejected["reason"].tolist() == ["the question is in another language (de)"]


CLASH = [(QUESTION, "Wait 3 days."), (QUESTION + "!", "Wait 5 days."), (QUESTION, "Wait 5 days!")]


def test_of_contradictory_answers_the_majority_stays() -> None:
    result = run([steps.contradictions()], table(*CLASH))
    assert result.rejected["reason"].to_dict() == {0: "contradicts row 1"}


def test_or_the_newest_or_the_one_that_agrees_with_the_article() -> None:
    dated = table(*CLASH, date=["2025-03-01", "2024-01-01", "2024-02-01"])
    newest = run([steps.contradictions(newest="date")], dated)
    assert set(newest.rejected.index) == {1, 2}
    told = run([steps.contradictions(article=lambda _: "It takes 3 days.")], table(*CLASH))
    assert set(told.rejected.index) == {1, 2}


def test_near_duplicates_are_named_as_such() -> None:
    rows = table((QUESTION, ANSWER), (QUESTION.replace("dropping", "droping"), ANSWER))
    result = run([steps.duplicates()], rows)
    assert result.rejected["reason"].tolist() == ["near duplicate of row 0"]
    assert run([steps.duplicates(near=False)], rows).kept == 2


@settings(max_examples=15)
@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), max_size=5))
def test_counts_add_up_for_any_texts(pairs: list[tuple[str, str]]) -> None:
    result = run(steps.default_steps(), table(*pairs))
    assert result.rows_in == len(pairs) == result.kept + len(result.rejected)
    assert result.changed <= result.kept
    for done in result.steps:
        assert done.rows_in - len(done.rejected) == done.rows_out
