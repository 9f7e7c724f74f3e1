from __future__ import annotations

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
    ("before", "after", "step", "kind"),
    [
        ("a line_x000D_\nand more", "a line\nand more", "encoding", "Excel's escapes"),
        ("The cafÃ© is open", "The café is open", "encoding", "wrongly decoded letters"),
        ("a line\r\nand more", "a line\nand more", "whitespace", "line ends of Windows (CR)"),
        ("soft\u00adhyphen", "softhyphen", "whitespace", "invisible letters"),
        ("too   wide", "too wide", "whitespace", "blanks and empty lines"),
        ("<b>Yes</b>, it is", "Yes, it is", "markup", "HTML tags"),
        ("this &amp; that", "this & that", "markup", "HTML entities"),
        ("It is.\n\nCheers\nTom", "It is.", "signatures", "signature"),
        ("I am ann@post.example", "I am [email]", "redaction", "[email]"),
    ],
)
def test_each_change_is_called_by_its_kind(before: str, after: str, step: str, kind: str) -> None:
    result = run(steps.default_steps(), table((QUESTION, before)))
    assert result.table.loc[0, "answer"] == after
    told = {done.step.name: done.kinds for done in result.steps}
    assert told[step] == {kind: 1}
    assert result.changed_by()[0].split("; ")[-1].startswith(step) or step == "encoding"
    undone = run(steps.default_steps(without=[step]), table((QUESTION, before)))
    assert undone.table.loc[0, "answer"] != after or step == "encoding"


@pytest.mark.parametrize(
    "text",
    [
        "services:\n  camera:\n    port: 80",
        "def f():\n\treturn 1",
        "- one\n  - two\n    - three",
        "می\u200cخواهم",
        "क्\u200dष and 👩\u200d💻",
        "```\na:   1\n\n\n\nb:\t2\n```",
        "全角：１２３，（ok）？",
        "ครับ\u200bผม",
        "Please have ready:\n\n- this\n- that",
    ],
)
def test_code_lists_and_joined_letters_stay(text: str) -> None:
    result = run(steps.default_steps(wanted="any"), table((QUESTION, text)))
    assert result.table.loc[0, "answer"] == text
    assert result.changed == 0


def test_a_step_that_is_not_there_cannot_be_left_out() -> None:
    with pytest.raises(DataError, match=r"no step 'signature'.*choose from: encoding"):
        steps.default_steps(without=["signature"])


def test_an_answer_that_loses_more_than_a_third_is_named_with_the_step() -> None:
    long = "It works.\n\nBest regards\nThe friendly desk of the shop\nOpen from nine to five"
    rows = table((QUESTION, long), (QUESTION + " Two", ANSWER), ("And <b>tags</b>?", "<p>Yes</p>"))
    result = run(steps.default_steps(), rows)
    (found,) = result.shortened
    assert (found.row, found.after, found.kinds) == (0, "It works.", ("signatures",))
    lost = {done.step.name: done.lost for done in result.steps if done.lost}
    assert lost == {"signatures": sum(map(str.isalnum, long)) - 7}


@pytest.mark.parametrize("answer", ["Yes", "No.", "7%", "24", "42 €", "はい", "В среду", "Blue"])
def test_short_true_answers_stay(answer: str) -> None:
    assert run(steps.default_steps(wanted="any"), table((QUESTION, answer))).kept == 1


@pytest.mark.parametrize("answer", ["", "...", "ok", "see above", "n/a", "asdf"])
def test_answers_that_say_nothing_go_unless_they_are_labels(answer: str) -> None:
    assert run([steps.useless()], table((QUESTION, answer))).kept == 0
    kept = run([steps.useless(task="labels")], table((QUESTION, answer))).kept
    assert kept == (answer != "")


def chat(*said: str) -> dict[str, object]:
    """A table's row of a chat; the customer begins."""
    roles = ("user", "assistant")
    turns = [{"role": roles[n % 2], "content": text} for n, text in enumerate(said)]
    return {"turns": turns[:-2], "question": said[-2], "answer": said[-1]}


def test_a_chat_ends_before_an_answer_that_says_nothing() -> None:
    rows = make_table([
        chat("Two tickets?", "They are booked.", "Great", "Thanks!"),
        chat("Two tickets?", "Which day?", "Friday", "Friday it is.", "Go", "ok", "Bye", "Thanks."),
        chat("Hello", "ok", "Bye", "Thanks."),
        chat("Two tickets?", "ok", "Where are they?", "In the mail."),
    ])  # fmt: skip
    result = run([steps.useless()], rows)
    assert list(result.rejected.index) == [2]
    kept = result.table
    assert kept["answer"].tolist() == ["They are booked.", "Friday it is.", "In the mail."]
    assert kept["question"].tolist() == ["Two tickets?", "Friday", "Where are they?"]
    assert [len(turns) for turns in kept["turns"]] == [0, 2, 2]
    assert list(result.steps[0].kinds) == ["the end of a chat whose last answer says nothing"]
    assert list(result.changed_by()) == [0, 1]
    assert result.steps[0].lost == len("GreatThanks") + len("GookByeThanks")


def test_the_desks_own_contacts_stay_and_are_named() -> None:
    own = "Write to help@desk.example or call 0800 123 4567."
    rows = [(f"{QUESTION} {n} I am user{n}@post.example", own) for n in range(3)]
    rows.append(("Where?", "As we told ann@post.example, in Graz."))
    result = run([steps.redaction()], table(*rows))
    assert result.table["answer"].tolist() == [own] * 3 + ["As we told [email], in Graz."]
    assert result.table.loc[0, "question"].endswith("I am [email]")
    assert "0800 123 4567 (in 3 answers), help@desk.example (in 3 answers)" in result.notes[0]
    without = run([steps.redaction(own=False, keep=["0800 123 4567"])], table(*rows))
    assert without.table.loc[0, "answer"] == "Write to [email] or call 0800 123 4567."


def test_the_desks_own_account_stays_and_a_customers_goes() -> None:
    own = "Please pay to DE89 3704 0044 0532 0130 00."
    rows = [(f"{QUESTION} {n} Mine is GB29NWBK60161331926819.", own) for n in range(3)]
    result = run([steps.redaction()], table(*rows))
    assert result.table["answer"].tolist() == [own] * 3
    assert result.table.loc[0, "question"].endswith("Mine is [iban].")


def test_what_customers_write_again_and_again_is_not_the_desks() -> None:
    rows = [(f"{n} I am ann@post.example", "I see, ann@post.example.") for n in range(5)]
    result = run([steps.redaction()], table(*rows))
    assert set(result.table["answer"]) == {"I see, [email]."}


def test_a_canned_answer_swallows_no_other_question() -> None:
    canned = "Thank you for writing. Open the app, choose Account and follow the steps there."
    asked = ["pay for plan Alba", "pay for plan Boreal", "pay for plan Cirrus", "cancel plan Alba"]
    rows = table(*((f"How can I {what}?", canned) for what in asked))
    assert run(steps.default_steps(), rows).kept == 4


def test_answers_that_differ_in_a_number_or_a_not_are_no_duplicates() -> None:
    long = "You can cancel the contract in the app at any time before the end of {} days."
    rows = [(QUESTION, long.format(3)), (QUESTION, long.format(5)), (QUESTION, long.format(3))]
    rows.append((QUESTION, long.format(3).replace("can", "can not")))
    result = run([steps.duplicates()], table(*rows))
    assert result.rejected["reason"].to_dict() == {2: "duplicate of row 0"}


@pytest.mark.parametrize(
    ("one", "other", "kept"),
    [
        ("Gold Bars come with a certificate of purity.", "Silver Bars", 2),
        ("You pay monthly or quarterly.", "You pay monthly or quarterly or once.", 2),
        ("The service is available here.", "The service is unavailable here.", 2),
        ("The card will beready at once.", "The card will be ready at once", 1),
    ],
)
def test_an_answer_with_another_word_is_no_duplicate(one: str, other: str, kept: int) -> None:
    other = one.replace("Gold Bars", other) if other == "Silver Bars" else other
    assert run([steps.duplicates()], table((QUESTION, one), (QUESTION, other))).kept == kept


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
