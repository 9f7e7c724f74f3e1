from __future__ import annotations

from helpers.datasets.cleaning.run import run
from helpers.datasets.frame import make_table
from helpers.support_desk import tickets

KNOWN = {
    "late-fee": "---\nid: late-fee\ntitle: Late payment\n---\nAfter 10 days the fee is $8.",
    "bill-date": "---\nid: bill-date\ntitle: Date of the bill\n---\nOn the 6th, 14 days to pay.",
}


def ticket(intent: str, answer: str) -> dict[str, str]:
    return {"question": "When?", "answer": answer, "intent": intent}


def test_an_answer_begins_with_the_title_of_its_article() -> None:
    rows = [
        ticket("late-fee", "The fee is $8."),
        ticket("bill-date", "On the 6th."),
        ticket("bill-date;late-fee", "On the 6th. The fee is $8."),
        ticket("bill-date;late-fee", "On the 6th, and $8."),
        ticket("other", "Call 555-0142."),
    ]
    result = run([tickets.topic_first(KNOWN)], make_table(rows))
    assert result.table["answer"].tolist() == [
        "Late payment: The fee is $8.",
        "Date of the bill: On the 6th.",
        "Date of the bill: On the 6th. Late payment: The fee is $8.",
        "On the 6th, and $8.",
        "Call 555-0142.",
    ]


def test_an_answer_must_not_state_what_its_article_does_not() -> None:
    rows = [
        ticket("late-fee", "After 10 days the fee is $8."),
        ticket("late-fee", "After 12 days the fee is $8."),
        ticket("late-fee", "It depends."),
        ticket("other", "Call 555-0142."),
        ticket("other", "No idea."),
    ]
    result = run([tickets.agrees_with_article(KNOWN)], make_table(rows))
    assert result.rejected["reason"].to_dict() == {
        1: "says 12, the article does not",
        2: "states nothing from its article",
        4: "neither an article nor 555-0142",
    }


def test_lines_around_an_answer_go_and_an_answer_without_numbers_stays() -> None:
    assert tickets.without_greeting("Hello!\n\nOn the 6th.\n\nBest, Dana") == "On the 6th."
    assert tickets.without_greeting("Hello!\nAsk your neighbour.") == "Hello! Ask your neighbour."
