from __future__ import annotations

from pathlib import Path

import pytest

from helpers.base.errors import ChoiceNeeded
from helpers.datasets.reading.formats import read_source
from helpers.datasets.reading.to_examples import ExampleTable, to_table


def read(folder: Path, text: str, **told: dict[str, str]) -> ExampleTable:
    path = folder / "chat.txt"
    path.write_text(text, encoding="utf-8")
    return to_table(read_source(path), **told)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "[03.12.23, 09:14:05] Ann: Open?\n[03.12.23, 09:20:11] Shop: Yes.\n",
        "[11/8/21, 9:41:32\u202fAM] Ann: Open?\n[11/8/21, 9:43:32\u202fAM] Shop: Yes.\n",
        "09/10/2023, 11:11 am - +44 7123 456789: Open?\n09/10/2023, 12:57 pm - Tailor: Yes.\n",
        "8/3/2025, 9:29\u00a0p.\u00a0m. - Ana: Open?\n8/3/2025, 9:36\u00a0p.\u00a0m. - Luz: Yes.\n",
        "2023-12-20, 5:46 p.m. - Farid: Open?\n2023-12-20, 5:48 p.m. - Store: Yes.\n",
        "30/08/25 18.00 - Budi: Open?\n30/08/25 18.05 - Toko: Yes.\n",
        "[2026/7/9 02:28:09] Alice: Open?\n[2026/7/9 02:28:37] Bob:Yes.\n",
        "2024. 3. 12. 오후 4:40, 고객: Open?\n2024. 3. 12. 오후 4:42, 상점: Yes.\n",
        "9.4.17, 20:43 - Jana left\n9.4.17, 20:43 - Jana: Open?\n9.4.17, 20:50 - Laden: Yes.\n",
        "[12:30:01] <ann> Open?\n[12:31:00] <ben> Yes.\n",
        "2024-03-12 12:30:01 <ann> Open?\n2024-03-12 12:31:00 <ben> Yes.\n",
        "(09:14:05) Visitor 44: Open?\n(09:15:10) Kim: Yes.\n",
        "Customer: Open?\nAgent: Yes.\n",
        "Q: Open?\nA: Yes.\n",
        "[08-Oct-20 02:40 PM] ann#3348\nOpen?\n\n[08-Oct-20 03:00 PM] sai#2795\nYes.\n",
    ],
)
def test_one_talk_from_many_programs(tmp_path: Path, text: str) -> None:
    made = read(tmp_path, text)
    assert list(made.table["question"]) == ["Open?"]
    assert list(made.table["answer"]) == ["Yes."]


def test_what_the_program_wrote_is_rejected_by_line(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "[11/8/21, 9:41:32 AM] Ann: \u200eMessages and calls are end-to-end encrypted.\n"
        "[11/8/21, 9:42:32 AM] Ann: Is it ready,\nor not?\n"
        "\u200e[11/8/21, 9:43:32 AM] Shop: \u200eimage omitted\n"
        "[11/8/21, 9:44:32 AM] Shop: Friday.\n"
        "[11/8/21, 9:45:32 AM] Ann: <Media omitted>\n"
        "[11/8/21, 9:46:32 AM] Ann: PTT-1.opus (archivo adjunto)\n",
    )
    assert list(made.table["question"]) == ["Is it ready,\nor not?"]
    assert {reject.row for reject in made.rejected} == {1, 4, 6, 7}


def test_a_long_chat_is_cut_at_silence_and_roles_are_found_by_who_asks(tmp_path: Path) -> None:
    days = [
        f"{day:02d}.12.23, 09:0{minute} - {name}: {text} {day}"
        for day in range(1, 5)
        for minute, name, text in ((1, "Mia", "Open on day?"), (2, "Tom", "Yes on"))
    ]
    made = read(tmp_path, "\n".join(days))
    assert len(made.table) == 4
    assert any("4 conversations" in note for note in made.notes)
    assert any("'Tom' answer" in note and "begin 0" in note for note in made.notes)


def test_two_people_who_ask_alike_are_asked_about(tmp_path: Path) -> None:
    days = [
        f"{day:02d}.12.23, 09:0{minute} - {name}: Hello {day}"
        for day in range(1, 7)
        for minute, name in enumerate(("Mia", "Tom") if day % 2 else ("Tom", "Mia"))
    ]
    with pytest.raises(ChoiceNeeded) as raised:
        read(tmp_path, "\n".join(days))
    assert raised.value.argument == "roles"
    told = raised.value.candidates[0].value
    assert set(told) == {"Mia", "Tom"}
    assert len(read(tmp_path, "\n".join(days), roles=told).table) == 3


def test_a_list_of_questions_is_no_chat(tmp_path: Path) -> None:
    made = read(tmp_path, "question\tanswer\nWhen: now?\tYes: now.\nWhere: here?\tNo: there.\n")
    assert list(made.table["answer"]) == ["Yes: now.", "No: there."]


def test_two_numbered_users_are_told_by_who_asks(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "28/3/2025, 9:29 p. m. - user1: ¿Está abierto?\n"
        "28/3/2025, 9:36 p. m. - user1: PTT-0014.opus (archivo adjunto)\n"
        "29/3/2025, 1:23 a. m. - user2: Sí, hasta las diez.\n"
        "29/3/2025, 1:24 a. m. - user2: imagen omitida\n",
    )
    assert made.table[["question", "answer"]].to_numpy().tolist() == [
        ["¿Está abierto?", "Sí, hasta las diez."]
    ]
    assert [reject.row for reject in made.rejected] == [2, 4]


def test_an_old_export_puts_a_colon_behind_the_time(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "3/24/14, 1:59:59 PM: Ann Lee: Is it open?\n3/24/14, 2:00:59 PM: Desk: Until ten.\n",
    )
    assert made.table[["question", "answer"]].to_numpy().tolist() == [["Is it open?", "Until ten."]]
