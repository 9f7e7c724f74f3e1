from __future__ import annotations

from typing import Any

import pytest

from helpers.datasets.reading.internal_notes import find_marks, names_notes, note_in


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("public", "false"),
        ("public", False),
        ("jsdPublic", "False"),
        ("is_public", 0),
        ("IsVisibleForCustomer", "0"),
        ("private", True),
        ("is_private", "1"),
        ("isInternal", "yes"),
        ("private_notes", "t"),
        ("part_type", "note"),
        ("type", "note"),
        ("note_type", "Private note"),
        ("visibility", "internal"),
        ("visibility", "agents"),
        ("Sichtbarkeit", "intern"),
        ("comment kind", "Internal comment"),
        ("Art", "Interne Notiz"),
        ("tipo", "Nota interna"),
        ("element", "work_notes"),
        ("channel", "internal-note"),
        ("shared_with_customer", "N"),
        ("visible_to", "agents"),
        ("hide_from_customer", 1),
        ("source", "internal"),
        ("message_type", "internal_message"),
        ("kind", "memo"),
        ("kind", "comment_internal"),
        ("staff_only", "1"),
        ("is_customer_facing", "FALSE"),
        ("Vermerk", "ja"),
        ("種別", "社内メモ"),
        ("種別", "社内確認中"),
        ("区分", "社内用コメント"),
        ("分类", "内部备注"),
        ("분류", "내부 메모"),
        ("社内メモ", "はい"),
    ],
)
def test_notes_in_the_words_of_many_desks(column: str, value: Any) -> None:
    assert (
        note_in({column: value, "body": "Stall him."}, text="body") == f"{column} = {str(value)!r}"
    )


@pytest.mark.parametrize(
    "text",
    [
        "[Internal note] stall",
        "Internal: stall",
        "Interne Notiz: x",
        "##Internal## stall",
        "NOTE TO SELF: stall",
        "For internal use only: stall",
    ],
)
def test_a_text_can_say_it_itself(text: str) -> None:
    assert note_in({"body": text}, text="body")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("public", "true"),
        ("private", "false"),
        ("type", "comment"),
        ("part_type", "comment"),
        ("visibility", "public"),
        ("author_type", "agent"),
        ("user type", "staff"),
        ("tags", "private note"),
        ("product", "Galaxy Note"),
        ("shared_with_customer", "yes"),
        ("visible_to", "everyone"),
        ("source", "email"),
        ("category", "note"),
        ("status", "internal"),
        ("subject", "A private matter and what we do about it"),
        ("type", "メモリ"),
        ("type", "메모리"),
        ("種別", "内部エラー"),
        ("类型", "内部服务器错误"),
        ("유형", "내부 서버 오류"),
        ("category", "メモリ増設"),
        ("category", "内部構造"),
        ("内部エラー", "はい"),
        ("メモリ", "1"),
    ],
)
def test_what_only_looks_like_a_note_stays(column: str, value: Any) -> None:
    row = {column: value, "body": "Internal medicine is on floor two."}
    assert note_in(row, text="body") == ""


def test_columns_of_notes_are_known_by_name() -> None:
    assert all(map(names_notes, ["work_notes", "Internal Notes", "Private comments", "Notizen"]))
    assert not any(map(names_notes, ["comments", "body", "answer", "notebook", "メモリ"]))


def threads(name: str, sent: str, noted: str) -> tuple[list[dict[str, str]], list[str], list[str]]:
    """Two tickets: asked, noted, answered."""
    said = [("user", sent), ("assistant", noted), ("assistant", sent)] * 2
    rows = [{name: value, "body": f"text {place}"} for place, (_, value) in enumerate(said)]
    return rows, ["1"] * 3 + ["2"] * 3, [role for role, _ in said]


@pytest.mark.parametrize(
    ("column", "sent", "noted"),
    [
        ("activity", "Email sent", "Note added"),
        ("transition", "Antwort an Kunde", "interner Vermerk"),
        ("tags", "", "internal"),
        ("sharing", "shared", "not shared"),
        ("customer_notified", "1", "0"),
        ("Send to customer", "y", "n"),
        ("show_to_requester", "true", "false"),
        ("incoming/outgoing", "message", "whisper"),
    ],
)
def test_what_only_some_of_the_staff_s_messages_are_marks_notes(
    column: str, sent: str, noted: str
) -> None:
    rows, tickets, roles = threads(column, sent, noted)
    found = find_marks(rows, tickets, roles, without=("body",))
    assert [bool(found.found_in(row)) for row in rows] == [False, True, False] * 2
    assert not found.notes


def test_a_mark_without_a_word_for_it_is_named_and_taken_for_none() -> None:
    rows, tickets, roles = threads("level", "A", "B")
    found = find_marks(rows, tickets, roles, without=("body",))
    assert not found.values
    (note,) = found.notes
    assert note.startswith("'level' is 'b' in 2 messages of the staff and in none of a customer")


def test_a_word_about_the_whole_ticket_marks_none_of_its_messages() -> None:
    rows, tickets, roles = threads("product", "Galaxy Note", "Galaxy Note")
    assert find_marks(rows, tickets, roles, without=("body",)).values == {}
