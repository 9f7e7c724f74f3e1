from __future__ import annotations

from pathlib import Path

import pytest

from helpers.base.errors import ChoiceNeeded, DataError
from helpers.datasets.reading.formats import read_source
from helpers.datasets.reading.speakers import find_roles, role_of
from helpers.datasets.reading.to_examples import ExampleTable, to_table

HEAD = "ticket_id,author_role,body,created_at\n"


def read(folder: Path, text: str) -> ExampleTable:
    path = folder / "a.csv"
    path.write_text(text, encoding="utf-8")
    return to_table(read_source(path))


def texts(made: ExampleTable) -> list[list[str]]:
    rows = made.table.to_dict("records")
    return [[t["content"] for t in r["turns"]] + [r["question"], r["answer"]] for r in rows]


@pytest.mark.parametrize(
    "times",
    [
        ["12/04/2024 16:40", "12/04/2024 17:05", "13/04/2024 08:15", "13/04/2024 09:00"],
        ["1710000000", "1710000100", "1710000200", "1710000300"],
        ["1. März 2024", "2. März 2024", "1. April 2024", "3. April 2024"],
        ["9", "10", "11", "100"],
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_messages_stand_in_the_order_of_their_times(
    tmp_path: Path, times: list[str], backwards: bool
) -> None:
    said = ["customer,Dead.", "agent,Serial?", "customer,SN-4.", "agent,Sent."]
    lines = [f"9,{what},{when}" for what, when in zip(said, times, strict=True)]
    made = read(tmp_path, HEAD + "\n".join(lines[::-1] if backwards else lines))
    assert texts(made) == [["Dead.", "Serial?", "SN-4.", "Sent."]]
    assert any("newest first" in note for note in made.notes) is backwards


@pytest.mark.parametrize("lost", ["", "yesterday", "13/13/2024 10:00"])
def test_a_thread_that_cannot_be_put_in_order_is_not_paired(tmp_path: Path, lost: str) -> None:
    made = read(
        tmp_path,
        f"{HEAD}9,customer,Dead.,2024-04-12 16:40\n9,agent,Serial?,{lost}\n"
        "8,customer,Open?,2024-04-12 16:40\n8,agent,Yes.,2024-04-12 16:50\n",
    )
    assert texts(made) == [["Open?", "Yes."]]
    assert [r.row for r in made.rejected] == [1, 2]
    assert all("order of its thread is unknown: row 2" in r.reason for r in made.rejected)


def test_equal_times_in_a_file_without_order_are_not_paired(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        f"{HEAD}9,customer,A?,2024-04-12\n9,agent,B.,2024-04-12\n9,customer,C?,2024-04-10\n"
        "9,agent,D.,2024-04-11\n",
    )
    assert not len(made.table)
    assert "several messages of one time" in made.rejected[0].reason


def test_equal_times_in_a_file_that_runs_backwards_are_turned(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        f"{HEAD}9,agent,D.,2024-04-13\n9,agent,B.,2024-04-12\n9,customer,A?,2024-04-12\n",
    )
    assert texts(made) == [["A?", "B.\n\nD."]]


def test_times_of_no_known_form_are_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read, such as 'soon'.*date_format="):
        read(tmp_path, f"{HEAD}9,customer,A?,soon\n9,agent,B.,later\n")


def test_without_times_a_file_that_begins_with_answers_runs_backwards(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "ticket,author,body\n1,agent,Here.\n1,customer,Where?\n2,agent,Now.\n2,customer,When?\n",
    )
    assert texts(made) == [["Where?", "Here."], ["When?", "Now."]]
    assert any(note.startswith("a guess: the file runs newest first") for note in made.notes)


def test_a_conversation_that_lacks_a_message_is_named(tmp_path: Path) -> None:
    rows = [
        f"{n},{who},{text},2024-01-0{n} 09:0{k}"
        for n in (1, 2)
        for k, (who, text) in enumerate(
            [
                ("customer", "Two tickets?"),
                ("agent", "Which day?"),
                ("customer", "Friday"),
                ("agent", "Done so."),
            ]
        )
    ]
    rows[1] += ",one cell too many"
    made = read(tmp_path, HEAD + "\n".join(rows) + "\n")
    assert "1 conversations lack messages whose rows could not be read" in made.notes
    assert len(made.rejected) == 1


def test_notes_are_rejected_by_name_and_never_joined(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "ticket_id,author_role,body,public,created_at\n"
        "7,end-user,Where?,true,2024-05-01T09:00:00Z\n"
        "7,agent,Stall him.,false,2024-05-01T09:05:00Z\n"
        "7,agent,Tomorrow.,true,2024-05-01T09:10:00Z\n"
        "8,end-user,When?,true,2024-05-02T09:00:00Z\n"
        "8,agent,We lost it.,false,2024-05-02T09:06:00Z\n",
    )
    assert texts(made) == [["Where?", "Tomorrow."]]
    reasons = {reject.row: reject.reason for reject in made.rejected}
    assert reasons[2] == reasons[5] == "an internal note: public = 'false'"


def test_nicknames_get_roles_by_who_asks(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "dialogueID,date,from,to,text\n"
        "1.tsv,2008-04-23T14:55:00Z,zed,,How do I mount a disc?\n"
        "1.tsv,2008-04-23T14:56:00Z,leo,zed,Use mount.\n"
        "2.tsv,2008-04-23T15:55:00Z,leo,,Where are the logs?\n"
        "2.tsv,2008-04-23T15:56:00Z,ivy,leo,In /var/log.\n",
    )
    assert texts(made) == [
        ["How do I mount a disc?", "Use mount."],
        ["Where are the logs?", "In /var/log."],
    ]
    assert any("found by who asks" in note for note in made.notes)


@pytest.mark.parametrize(
    ("name", "column", "role"),
    [
        ("Customer A", "", "user"),
        ("visitor 4432", "", "user"),
        ("Acme Support", "", "assistant"),
        ("support@shop.example", "", "assistant"),
        ("True", "inbound", "user"),
        ("0", "is_agent", "user"),
        ("true", "from agent", "assistant"),
        ("system-bot", "", None),
        ("Ann", "", None),
        ("User Support", "", None),
    ],
)
def test_roles_by_words(name: str, column: str, role: str | None) -> None:
    assert role_of(name, column=column) == role


def test_staff_that_begins_a_conversation_stays_staff() -> None:
    threads = [["ann", "kim"], ["bob", "kim"], ["kim", "cid"], ["dan", "kim"]]
    roles = find_roles(threads, {})
    assert roles.of(2, "kim") == "assistant"
    assert roles.of(2, "cid") == "user"


def test_where_public_is_said_for_some_an_empty_one_is_no_answer(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "ticket_id,author_role,body,public,created_at\n1,end-user,Where?,,2024-01-01 10:00\n"
        "1,agent,Stall him.,,2024-01-01 10:01\n1,agent,Here.,true,2024-01-01 10:02\n",
    )
    assert texts(made) == [["Where?", "Here."]]
    assert made.rejected[0].reason == "an internal note: public says nothing"


def test_a_chat_of_many_nicknames_without_threads(tmp_path: Path) -> None:
    lines = [
        f"user{day},2024-03-0{day} 10:00,Option {day}?\nhelper,2024-03-0{day} 10:01,Set {day}."
        for day in range(1, 10)
    ]
    made = read(tmp_path, "nick,time,message\n" + "\n".join(lines))
    assert texts(made) == [[f"Option {day}?", f"Set {day}."] for day in range(1, 10)]
    assert any("'helper' answer" in note for note in made.notes)


def test_a_customer_who_joins_another_s_conversation_is_no_staff(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "nick,time,message\nann,2024-05-01 09:00,How do I reset?\nbob,2024-05-01 09:01,Hold it.\n"
        "cid,2024-05-02 19:00,How do I pay?\nbob,2024-05-02 19:01,By card.\n"
        "ann,2024-05-02 19:02,How do I cancel?\nbob,2024-05-02 19:03,In the app.\n",
    )
    second = ["How do I pay?", "By card.", "How do I cancel?", "In the app."]
    assert texts(made) == [["How do I reset?", "Hold it."], second]


def test_among_equals_whoever_begins_asks_and_no_message_is_lost(tmp_path: Path) -> None:
    names = ["ann", "bob", "cid", "dot"]
    lines = [
        f"{n},{names[(n + place) % 4]},{word}\n"
        for n in range(16)
        for place, word in enumerate(("Where is it?", "Here.", "Or there."))
    ]
    guest = "90,ann,Who is it?\n90,eve,Me.\n91,bob,And you?\n91,eve,Me too.\n"
    made = read(tmp_path, "dialogue,speaker,utterance\n" + "".join(lines) + guest)
    assert texts(made) == [["Where is it?", "Here.\n\nOr there."]] * 16 + [
        ["Who is it?", "Me."],
        ["And you?", "Me too."],
    ]
    assert made.rejected == ()


def test_days_as_a_spreadsheet_counts_them_put_messages_in_order(tmp_path: Path) -> None:
    made = read(tmp_path, f"{HEAD}9,agent,B.,45413.45\n9,customer,A?,45413.41\n")
    assert texts(made) == [["A?", "B."]]


def test_times_without_a_day_order_nothing_that_goes_up_and_down(tmp_path: Path) -> None:
    said = ["9,customer,SN-4.,18:15", "9,customer,Dead.,16:40", "9,agent,Sent.,19:00"]
    made = read(tmp_path, HEAD + "\n".join([*said, "8,customer,Open?,10:00", "8,agent,Yes.,10:05"]))
    assert texts(made) == [["Open?", "Yes."]]
    assert {r.reason for r in made.rejected} == {
        "the order of its thread is unknown: its times have no day, and go up and down"
    }


def test_days_without_a_clock_leave_the_order_to_the_speakers(tmp_path: Path) -> None:
    said = ["agent,Sent.", "customer,SN-4.", "agent,Serial?", "customer,Dead."]
    made = read(tmp_path, HEAD + "\n".join(f"9,{what},2024-04-12" for what in said))
    assert texts(made) == [["Dead.", "Serial?", "SN-4.", "Sent."]]
    assert any("newest first, every conversation begins with an answer" in n for n in made.notes)


def test_times_in_one_number_put_messages_in_order(tmp_path: Path) -> None:
    said = ["9,agent,Sent.,20240413090000", "9,customer,Dead.,20240412164000"]
    assert texts(read(tmp_path, HEAD + "\n".join(said))) == [["Dead.", "Sent."]]


def test_days_and_clocks_may_stand_in_two_columns(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "ticket,role,text,date,time\n"
        "1,agent,In Graz.,2024-03-02,00:10\n1,customer,Where is it?,2024-03-01,23:50\n",
    )
    assert made.table[["question", "answer"]].to_numpy().tolist() == [["Where is it?", "In Graz."]]
    assert any("their days stand in 'date'" in note for note in made.notes)


@pytest.mark.parametrize(("told", "answer"), [("day first", "Second."), ("month first", "First.")])
def test_days_beside_their_times_are_read_as_told(tmp_path: Path, told: str, answer: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "ticket,role,date,time,text\n"
        "1,agent,05/04/2024,12:00,First.\n"
        "1,customer,03/03/2024,10:00,Hi?\n"
        "1,agent,04/05/2024,09:00,Second.\n",
        encoding="utf-8",
    )
    with pytest.raises(ChoiceNeeded):
        to_table(read_source(path))
    made = to_table(read_source(path), date_format=told)
    assert str(made.table["answer"].iloc[0]).endswith(answer)
