from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers.base import jsonl
from helpers.base.errors import DataError
from helpers.datasets.conversion import Conversion, Form, convert_file
from helpers.datasets.exporting.export import export
from helpers.datasets.exporting.targets import TARGETS
from helpers.datasets.reading.columns import Columns
from helpers.datasets.validation.file import validate_file
from tests.datasets.exporting.rows import EXAMPLES

FORMS: tuple[Form, ...] = ("chat", "completion", "table")


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def adds_up(done: Conversion) -> bool:
    return done.kept + done.changed + len(done.rejected) == done.rows_in


def test_any_columns_become_chat_with_a_system_prompt(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "Nr,Kundenfrage,Antwort\n1,Wo?,Hier.\n2,Wann?,\n")
    target = tmp_path / "a.jsonl"
    columns = Columns(question="Kundenfrage", answer="Antwort")
    done = convert_file(path, target, to="chat", columns=columns, system="Hilf.")
    assert list(jsonl.read(target)) == [
        {
            "messages": [
                {"role": "system", "content": "Hilf."},
                {"role": "user", "content": "Wo?"},
                {"role": "assistant", "content": "Hier."},
            ]
        }
    ]
    assert (done.rows_in, done.kept, done.changed, len(done.rejected)) == (2, 1, 0, 1)
    assert validate_file(target, minimum=1).ok


def test_rejects_are_written_beside_the_result_with_the_reason(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "question,answer\nWhen?,\nWhere?,Here.,so\n")
    done = convert_file(path, tmp_path / "out.jsonl", to="chat")
    assert done.rejects_file == tmp_path / "out.rejected.csv"
    with done.rejects_file.open(encoding="utf-8", newline="") as stream:
        assert [(row["row"], row["reason"], row["question"]) for row in csv.DictReader(stream)] == [
            ("1", "no answer", "When?"),
            ("2", "3 cells in a table of 2 columns", "Where?"),
        ]
    assert adds_up(done)
    clean = written(tmp_path, "b.csv", "question,answer\nWhen?,Now.\n")
    assert convert_file(clean, tmp_path / "out.jsonl", to="chat").rejects_file is None
    assert not (tmp_path / "out.rejected.csv").exists()


def test_a_column_that_is_called_like_ours_keeps_its_values_among_the_rejects(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, "a.csv", "row,reason,question,answer\n77,late,When?,\n")
    done = convert_file(path, tmp_path / "out.jsonl", to="chat")
    assert done.rejects_file is not None
    with done.rejects_file.open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["row"], row["reason"]) == ("1", "no answer")
    assert (row["row (source)"], row["reason (source)"]) == ("77", "late")


def test_columns_without_a_place_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "question,answer,intent,agent\nWhen?,Now.,time,Ann\n")
    done = convert_file(path, tmp_path / "b.jsonl", to="chat")
    assert done.notes[-1] == "columns without a place in the result: intent, agent"
    threads = convert_file(path, tmp_path / "b.csv", to="table")
    assert threads.notes[-1] == "columns without a place in the result: agent"


def test_a_table_with_a_column_called_turns_becomes_pairs(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "question,answer,turns,intent\nWhen?,Now.,2,\n")
    done = convert_file(path, tmp_path / "b.jsonl", to="completion")
    assert done.examples == ({"prompt": "When?", "completion": "Now."},)
    assert adds_up(done)
    threads = convert_file(path, tmp_path / "b.csv", to="table")
    assert all("intent" not in row for row in threads.examples)


def test_old_marks_are_taken_off_and_counted_as_changes(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"{question}\n\n###\n\n", "completion": f" {answer} END"}
        for question, answer in [("Where?", "Here."), ("When?", "Now.")]
    ]
    path = tmp_path / "a.jsonl"
    jsonl.write(path, rows)
    done = convert_file(path, tmp_path / "b.jsonl", to="chat")
    assert done.examples[0]["messages"][0]["content"] == "Where?"
    assert done.examples[0]["messages"][1]["content"] == "Here."
    assert (done.kept, done.changed) == (0, 2)


THREAD = """ticket,author,body,created
7,customer,The zip broke.,2025-03-01 10:00
8,customer,Do you dye?,2025-03-01 09:00
7,Kim,Bring it in.,2025-03-01 11:30
7,Kim,We open at 9.,2025-03-01 11:31
7,customer,Thanks!,2025-03-01 12:00
7,robot,auto-closed,2025-03-02 12:00
,customer,lost,2025-03-02 12:00
8,Kim,Good day!,2025-03-01 08:00
9,customer,,2025-03-01 08:00
9,Kim,Fine.,2025-03-01 08:30
7,system,closed by rule,2025-03-01 10:30
"""


def test_threads_become_conversations_and_every_row_is_accounted_for(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", THREAD)
    done = convert_file(path, tmp_path / "b.jsonl", to="chat", roles={"Kim": "assistant"})
    assert [example["messages"] for example in done.examples] == [
        [
            {"role": "user", "content": "The zip broke."},
            {"role": "assistant", "content": "Bring it in.\n\nWe open at 9."},
        ]
    ]
    assert {reject.row: reject.reason for reject in done.rejected} == {
        2: "nobody answered in this thread",
        5: "comes after the last answer",
        6: "unknown role 'robot'",
        7: "no thread",
        8: "comes before the first question",
        9: "no text",
        10: "comes before the first question",
        11: "a system message after the first question",
    }
    assert (done.kept, done.changed) == (2, 1)
    assert adds_up(done)


def test_chat_examples_with_tools_are_rejected_with_the_reason(tmp_path: Path) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    user = {"role": "user", "content": "x"}
    path = tmp_path / "a.jsonl"
    rows: list[dict[str, Any]] = [
        {"messages": [user, {"role": "assistant", "content": None, "tool_calls": [call]}]},
        {"messages": [user]},
        {"messages": 3},
        {"messages": [user, {"role": "assistant", "content": "y", "weight": 1}]},
    ]
    jsonl.write(path, rows)
    done = convert_file(path, tmp_path / "b.jsonl", to="completion")
    assert len(done.rejected) == 4
    assert done.examples == ()


def test_chats_with_tools_and_weights_stay_chats_as_they_stand(tmp_path: Path) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    user = {"role": "user", "content": "x"}
    answer = {"role": "assistant", "content": "y"}
    tools = [{"type": "function", "function": {"name": "f"}}]
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    rows: list[dict[str, Any]] = [
        {"messages": [user, said], "tools": tools},
        {"messages": [user, answer]},
        {"messages": [user, {**answer, "weight": 0}, user, answer]},
        {"messages": [user, said]},
    ]
    path = tmp_path / "a.jsonl"
    jsonl.write(path, rows)
    done = convert_file(path, tmp_path / "b.jsonl", to="chat")
    assert list(jsonl.read(tmp_path / "b.jsonl")) == rows[:3]
    assert [reject.reason for reject in done.rejected] == [
        'message 2 calls "f", which it does not offer'
    ]
    assert (done.kept, done.changed) == (3, 0)
    again = convert_file(path, tmp_path / "b.jsonl", to="chat", system="Help.")
    assert [len(example["messages"]) for example in again.examples] == [3, 3, 5]
    assert adds_up(again)


def test_chats_whose_messages_have_names_keep_their_calls_and_weights(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    user = {"role": "user", "content": "Where is it?"}
    answer = {"role": "assistant", "content": "It is in 0."}
    called = {"role": "assistant", "content": None, "tool_calls": [call]}
    found = {"role": "tool", "tool_call_id": "c1", "content": "{}"}
    tools = [{"type": "function", "function": {"name": "f"}}]
    rows: list[dict[str, Any]] = [
        {"messages": [user, answer]},
        {"messages": [{**user, "role": "developer"}, user, called, found, answer], "tools": tools},
        {"messages": [user, {**answer, "weight": 0}, user, answer]},
        {"messages": [user, answer]},
        {"messages": [user, answer]},
    ]
    named = [
        {**row, "messages": [{"id": f"m{n}", **m} for n, m in enumerate(row["messages"])]}
        for row in rows
    ]
    path = tmp_path / "a.jsonl"
    jsonl.write(path, named)
    done = convert_file(path, tmp_path / "b.jsonl", to="chat")
    assert list(jsonl.read(tmp_path / "b.jsonl")) == rows
    assert (done.kept, done.changed) == (5, 0)


@pytest.mark.parametrize("as_text", [False, True])
def test_whole_chats_are_found_in_a_column_of_any_name(tmp_path: Path, as_text: bool) -> None:
    asked = {"role": "human", "content": "Open?"}
    said = {"role": "assistant", "content": "Yes.", "weight": 0}
    turns = [asked, said, asked, {**said, "weight": 1}]
    path = tmp_path / "a.jsonl"
    jsonl.write(path, [{"conversations": json.dumps(turns) if as_text else turns}])
    done = convert_file(path, tmp_path / "b.jsonl", to="chat", system="Help.")
    messages = done.examples[0]["messages"]
    assert [m["role"] for m in messages] == ["system", *["user", "assistant"] * 2]
    assert [m.get("weight") for m in messages] == [None, None, 0, None, 1]
    assert adds_up(done)


def test_preferences_of_any_trainer_become_openais(tmp_path: Path) -> None:
    asked = [{"role": "user", "content": "When?"}]
    good, bad = ({"role": "assistant", "content": text} for text in ("At 9.", "Never."))
    sides = {"preferred_output": [good], "non_preferred_output": [bad]}
    openai: dict[str, Any] = {"input": {"messages": asked}, **sides}
    rows: list[dict[str, Any]] = [
        openai,
        {"prompt": asked, "chosen": [good], "rejected": [bad]},
        {"chosen": [*asked, good], "rejected": [*asked, bad]},
        {"prompt": "When?", "chosen": "At 9.", "rejected": "Never."},
        {"messages": [*asked, good], "rejected_response": "Never."},
        {"messages": [*asked, good]},
    ]
    path = tmp_path / "a.jsonl"
    jsonl.write(path, rows)
    done = convert_file(path, tmp_path / "b.jsonl", to="preference")
    assert list(done.examples) == [openai] * 5
    assert (done.kept, done.changed) == (1, 4)
    assert [reject.reason for reject in done.rejected] == ["a chat, not a preference"]


ABROAD = [name for name in TARGETS if name not in ("openai", "azure", "safe")]


@pytest.mark.parametrize("name", ABROAD)
def test_chats_in_the_form_of_another_trainer_come_home(name: str, tmp_path: Path) -> None:
    rows = [EXAMPLES[case] for case in ("chat", "tool_answers", "several_calls", "no_system")]
    path, target = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    jsonl.write(path, rows)
    sent = export(path, tmp_path / "out", target=name, accept=True)
    for file in sent.rows:
        done = convert_file(sent.folder / file, target, to="chat", system="You help.")
        assert done.rejected == ()
        assert adds_up(done)
        back = list(jsonl.read(target))
        said = [row["messages"][-1].get("content") for row in back]
        assert set(said) <= {"At 9.", None}
        assert validate_file(target, minimum=1).ok
        assert all(row["messages"][0]["content"] == "You help." for row in back)
        tools = [row for row in back if row.get("tools")]
        assert bool(tools) == (TARGETS[name].fate("tools") != "row left out")


def test_a_row_in_no_form_that_is_known_stays_a_reject(tmp_path: Path) -> None:
    user, answer = {"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}
    rows: list[dict[str, Any]] = [
        {"messages": [user, answer], "tools": "no JSON"},
        {"messages": [user, {**answer, "loss": True}, {"role": "robot", "content": "z"}]},
        {"messages": [user, {**answer, "loss": True}]},
    ]
    path = tmp_path / "a.jsonl"
    jsonl.write(path, rows)
    done = convert_file(path, tmp_path / "b.jsonl", to="chat")
    assert list(done.examples) == [{"messages": [user, answer]}]
    assert (done.kept, done.changed, [reject.row for reject in done.rejected]) == (0, 1, [1, 2])


def test_several_turns_do_not_fit_a_pair(tmp_path: Path) -> None:
    turns = [{"role": role, "content": role} for role in ("user", "assistant") * 2]
    path = tmp_path / "a.jsonl"
    jsonl.write(path, [{"messages": turns}])
    done = convert_file(path, tmp_path / "b.jsonl", to="completion")
    assert done.rejected[0].reason == "4 messages do not fit a prompt/completion pair"
    assert adds_up(done)


def test_a_wrong_column_is_an_error_that_lists_the_columns(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "a,b\n1,2\n")
    columns = Columns(question="Q", answer="b")
    with pytest.raises(DataError, match=r"no column 'Q'.*'a', 'b'"):
        convert_file(path, tmp_path / "b.jsonl", to="chat", columns=columns)


# Blank texts are rejected; lone surrogates cannot be written as UTF-8.
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
pairs = st.lists(st.tuples(words, words), min_size=1, max_size=4)


@settings(max_examples=10)
@given(pairs, st.none() | words)
@example([("A", "0")], None)  # a prompt that looks like a state, and a number
def test_chat_to_pairs_and_back_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[str, str]], system: str | None
) -> None:
    folder = tmp_path_factory.getbasetemp()
    before = [
        {
            "messages": [
                *([{"role": "system", "content": system}] if system else []),
                {"role": "user", "content": question},
                {"role": "assistant", "content": answer},
            ]
        }
        for question, answer in made
    ]
    marks = {"separator": "\n\n###\n\n", "stop": " END"}
    jsonl.write(folder / "chat.jsonl", before)
    to_pairs = convert_file(folder / "chat.jsonl", folder / "pair.jsonl", to="completion", **marks)
    back = convert_file(
        folder / "pair.jsonl", folder / "back.jsonl", to="chat", system=system, **marks
    )
    assert list(back.examples) == before
    assert adds_up(to_pairs)
    assert adds_up(back)


@settings(max_examples=10)
@given(st.lists(st.lists(words, min_size=1, max_size=3), min_size=1, max_size=3))
def test_chat_to_a_csv_of_threads_and_back_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, threads: list[list[str]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    before = [
        {
            "messages": [
                {"role": role, "content": f"{text}{role}"}
                for text in texts
                for role in ("user", "assistant")
            ]
        }
        for texts in threads
    ]
    jsonl.write(folder / "chat.jsonl", before)
    convert_file(folder / "chat.jsonl", folder / "threads.csv", to="table")
    back = convert_file(folder / "threads.csv", folder / "again.jsonl", to="chat")
    assert [json.loads(line) for line in (folder / "again.jsonl").open("rb")] == before
    assert back.rejected == ()


@settings(max_examples=10)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["question", "answer", "x"]), st.text() | st.integers())
    )
)
@example([{"question": "\ud800", "answer": "b"}, {"question": "", "answer": "\ud800"}])
def test_counts_add_up_for_any_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    rows = [{"question": "a", "answer": "b"}, *rows]
    (folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    for form in FORMS:
        done = convert_file(folder / "rows.json", folder / f"rows.{form}", to=form)
        assert done.rows_in == len(rows)
        assert adds_up(done)
        assert len(done.rejected) == rejects_read_back(done)


def rejects_read_back(done: Conversion) -> int:
    if done.rejects_file is None:
        return 0
    with done.rejects_file.open(encoding="utf-8", newline="") as stream:
        return len(list(csv.DictReader(stream)))


@settings(max_examples=25)
@given(
    st.binary(max_size=150) | st.text('question,answer\n";{}[]:\t', max_size=80).map(str.encode),
    st.sampled_from([".csv", ".tsv", ".json", ".jsonl", ".xlsx"]),
)
def test_any_bytes_are_converted_or_refused_with_a_remedy(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = folder / f"any{suffix}"
    path.write_bytes(b"question,answer\n" + data if suffix == ".csv" else data)
    assert sums_or_remedy(path, folder / "any.out.jsonl")


def sums_or_remedy(path: Path, target: Path) -> bool:
    try:
        return adds_up(convert_file(path, target, to="chat"))
    except DataError as error:
        return bool(error.fix)


def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "question,answer\nWhen?,Now.\n")
    with pytest.raises(DataError, match=r"a\.csv cannot be written.*choose another place"):
        convert_file(path, path / "inside" / "a.csv", to="chat")
