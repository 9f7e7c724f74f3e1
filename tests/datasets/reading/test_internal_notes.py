from __future__ import annotations

from typing import Any

import pytest

from helpers.datasets.reading.internal_notes import names_notes, note_in


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
    ],
)
def test_what_only_looks_like_a_note_stays(column: str, value: Any) -> None:
    row = {column: value, "body": "Internal medicine is on floor two."}
    assert note_in(row, text="body") == ""


def test_columns_of_notes_are_known_by_name() -> None:
    assert all(map(names_notes, ["work_notes", "Internal Notes", "Private comments", "Notizen"]))
    assert not any(map(names_notes, ["comments", "body", "answer", "notebook"]))
