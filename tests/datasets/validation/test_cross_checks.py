from __future__ import annotations

import io
from typing import Any

import pytest

from helpers.base import jsonl
from helpers.datasets.validation.cross_checks import CrossChecker, leakage
from helpers.datasets.validation.file import validate_file

QUESTION = "My wifi keeps dropping in the evening, what can I do about it?"
ANSWER = "Move the router to channel 6 and restart it, which takes about 3 minutes."


def chat(question: str, answer: str, **more: Any) -> dict[str, Any]:
    messages = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    ]
    return {"messages": messages, **more}


def stream(*rows: dict[str, Any]) -> io.BytesIO:
    return io.BytesIO(b"".join(map(jsonl.dump, rows)))


def deep(*rows: dict[str, Any], **options: Any) -> list[tuple[int, str]]:
    report = validate_file(stream(*rows), minimum=1, deep=True, **options)
    return [(problem.line, problem.code) for problem in report.problems]


def test_sound_examples_have_no_problems() -> None:
    assert deep(chat(QUESTION, ANSWER), chat("Can I keep my number?", "Yes, for 30 days.")) == []


def test_an_example_that_comes_again_is_found() -> None:
    assert deep(chat(QUESTION, ANSWER), chat(QUESTION.upper(), ANSWER)) == [
        (2, "duplicate_example")
    ]


def test_a_near_duplicate_is_found() -> None:
    almost = chat(QUESTION.replace("dropping", "droping"), ANSWER)
    assert deep(chat("Hello there, who are you?", "The desk."), chat(QUESTION, ANSWER), almost) == [
        (3, "near_duplicate")
    ]


def test_contradictory_answers_name_both_lines_and_facts() -> None:
    rows = [chat(QUESTION, "Wait 3 days."), chat(QUESTION, "Wait 5 days.")]
    report = validate_file(stream(*rows), minimum=1, deep=True)
    (found,) = [p for p in report.problems if p.code == "contradictory_answers"]
    assert found.line == 2
    assert "line 1" in found.message
    assert "5 day against 3 day" in found.message


def test_one_question_under_two_system_prompts_may_have_two_answers() -> None:
    first, second = chat(QUESTION, "Wait 3 days."), chat(QUESTION, "Attends 5 jours.")
    second["messages"].insert(0, {"role": "system", "content": "Answer in French."})
    assert deep(first, second) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Write to ann@post.example", "personal_data"),
        ("Call 020 7946 0018", "personal_data"),
        ("Card 4111 1111 1111 1111", "personal_data"),
        ("Use sk-" + "abcdefghijklmnopqrstuv", "secret_key"),
        ("The cafÃ© wifi is slow", "damaged_text"),
        ("The caf\ufffd wifi is slow", "damaged_text"),
    ],
)
def test_texts_are_looked_into(text: str, code: str) -> None:
    assert deep(chat(text, ANSWER)) == [(1, code)]


def test_a_report_never_repeats_the_personal_data() -> None:
    report = validate_file(stream(chat("I am ann@post.example", ANSWER)), deep=True)
    assert "ann@post" not in str(report)


def test_rare_classes_are_named_for_classification_data() -> None:
    rows = [
        {"prompt": f"mail number {i} {'xyz'[i % 3] * i}", "completion": " spam"} for i in range(20)
    ]
    rows.append({"prompt": "a letter from my bank", "completion": " ham"})
    assert (0, "class_imbalance") in deep(*rows)


def test_classes_are_named_as_they_are_spelt_and_signs_tell_them_apart() -> None:
    letters = "abcdefghijklmnopqrst"
    rows = [{"prompt": f"{letters[i] * 9}?", "completion": " +1"} for i in range(20)]
    rows.append({"prompt": "a letter from my bank", "completion": " -1"})
    report = validate_file(stream(*rows), deep=True)
    (told,) = [p.message for p in report.problems if p.code == "class_imbalance"]
    assert '"+1" is the class of 20 examples, "-1" of 1' in told
    rows = [{**row, "completion": " HUM" if "1" in row["completion"] else ""} for row in rows]
    rows[0]["completion"] = " Abbr"
    report = validate_file(stream(*rows), deep=True)
    (told,) = [p.message for p in report.problems if p.code == "class_imbalance"]
    assert '"HUM" is the class of 20 examples, "Abbr" of 1' in told


def test_classes_may_stand_in_a_label_of_their_own() -> None:
    rows = [chat(f"{'abc'[i % 3] * 9} {i}?", f"Answer {i}.", intent="wifi") for i in range(12)]
    rows.append(chat("And the refund?", "Soon.", intent="refund"))
    assert (0, "class_imbalance") in deep(*rows, label="intent")
    assert (0, "class_imbalance") not in deep(*rows)


def test_leakage_is_found_equal_and_nearly_equal() -> None:
    train = stream(chat("Can I keep my number?", "Yes."), chat(QUESTION, ANSWER))
    test = stream(
        chat("Where is my parcel?", "On its way."),
        chat("can i keep my number", "Yes, you can."),
        chat(QUESTION.replace("dropping", "droping"), ANSWER),
    )
    found = [(p.line, p.code) for p in leakage(train, test)]
    assert found == [(2, "leakage"), (3, "near_leakage")]


def test_of_an_endless_line_only_a_part_is_held(monkeypatch) -> None:
    monkeypatch.setattr("helpers.datasets.validation.cross_checks.SEEN", 40)
    checker = CrossChecker()
    list(checker.look(1, "chat", chat("why " * 50, "so " * 50)))
    held = [*checker._signing._waiting, *checker._asked._waiting]
    assert [len(text) for text in held] == [40, 40]


def test_the_same_file_twice_is_one_problem() -> None:
    rows = [chat("Can I keep my number?", "Yes."), chat(QUESTION, ANSWER)]
    (found,) = leakage(stream(*rows), stream(*reversed(rows)))
    assert (found.line, found.code) == (0, "same_file")


def test_leakage_passes_over_broken_lines() -> None:
    broken = io.BytesIO(b'{"messages": [{]}\n\xff\n\n[1]\n')
    assert leakage(broken, stream(chat(QUESTION, ANSWER))) == []
    assert leakage(io.BytesIO(b""), io.BytesIO(b"")) == []
