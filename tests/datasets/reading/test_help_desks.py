"""Exports of many help desks, each with one question, one internal note and one answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.base.errors import DataError
from helpers.datasets.reading.formats import read_source
from helpers.datasets.reading.to_examples import ExampleTable, to_table

ASKED, NOTED, SAID = "Where is my parcel?", "Stall her.", "In Graz."


def read(folder: Path, value: Any, ending: str = "json") -> ExampleTable:
    path = folder / f"a.{ending}"
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return to_table(read_source(path))


def at(minute: int) -> str:
    return f"2024-03-01T09:{minute:02d}:00Z"


def rows(*columns: str, texts: str, values: list[tuple[Any, ...]], time: str) -> list[Any]:
    """Question, note and answer, each with its values in some columns."""
    return [
        {**dict(zip(columns, told, strict=True)), texts: text, time: at(minute)}
        for minute, (told, text) in enumerate(zip(values, (ASKED, NOTED, SAID), strict=True))
    ]


ANN, BOB = {"id": 3, "name": "Ann"}, {"id": 4, "name": "Bob"}


def ticket(around: dict[str, Any], messages: str, inner: list[Any]) -> list[Any]:
    return [{"id": 1, "subject": "Parcel", **around, messages: inner}]


def opened(around: dict[str, Any], messages: str, inner: list[Any]) -> list[Any]:
    """A ticket that holds the question itself, and only what came after in a list."""
    return ticket(around, messages, inner[1:])


EXPORTS = {
    "crisp": ticket({}, "messages", rows("type", "from", texts="content", time="timestamp", values=[
        ("text", "user"), ("note", "operator"), ("text", "operator")])),
    "livechat": [{
        "users": [{"id": "u", "type": "customer"}, {"id": "a", "type": "agent"}],
        "threads": [{"id": "t", "events": rows(
            "author_id", "visibility", texts="text", time="created_at",
            values=[("u", "all"), ("a", "agents"), ("a", "all")])}],
    }],
    "zoho": [{
        "ticketNumber": "1",
        "threads": [
            {"direction": "in", "content": ASKED, "createdTime": at(0)},
            {"direction": "out", "content": SAID, "createdTime": at(2)},
        ],
        "comments": [{"isPublic": False, "content": NOTED, "commenter": BOB}],
    }],
    "otrs": [{"Ticket": {"TicketID": 1, "Article": rows(
        "SenderType", "IsVisibleForCustomer", texts="Body", time="CreateTime",
        values=[("customer", 1), ("agent", 0), ("agent", 1)])}}],
    "osticket": rows("thread_id", "type", "poster", texts="body", time="created", values=[
        (1, "M", "Ann"), (1, "N", "Bob"), (1, "R", "Bob")]),
    "request tracker": rows("Ticket", "Type", "Creator", texts="Content", time="Created", values=[
        (7, "Create", "ann"), (7, "Comment", "bob"), (7, "Correspond", "bob")]),
    "redmine": {"issues": opened(
        {"description": ASKED, "author": ANN, "created_on": at(0)}, "journals",
        rows("user", "private_notes", texts="notes", time="created_on", values=[
            (ANN, False), (BOB, True), (BOB, False)]))},
    "gitlab": opened(
        {"description": ASKED, "author": {"username": "ann"}, "created_at": at(0)}, "notes",
        [{}, {"body": "added a label", "system": True, "author": {"username": "bob"}}, *rows(
            "author", "internal", texts="body", time="created_at", values=[
                ({}, False), ({"username": "bob"}, True), ({"username": "bob"}, False)])[1:]]),
    "re:amaze": ticket({}, "messages", rows("user", "visibility", texts="body", time="created_at",
        values=[({"staff?": False}, 0), ({"staff?": True}, 1), ({"staff?": True}, 0)])),
    "trengo": rows("ticket_id", "type", texts="message", time="created_at", values=[
        (5, "INBOUND"), (5, "NOTE"), (5, "OUTBOUND")]),
    "dixa": [{
        "messages": [
            {"author_role": "endUser", "text": ASKED, "created_at": at(0)},
            {"author_role": "agent", "text": SAID, "created_at": at(2)},
        ],
        "internal_notes": [{"text": NOTED, "author": "Bob", "created_at": at(1)}],
    }],
    "freshchat": rows("conversation_id", "actor_type", "message_type", texts="message_parts",
        time="created_time", values=[
            ("c", "user", "normal"), ("c", "agent", "private"), ("c", "agent", "normal")]),
    "jitbit": opened(
        {"Body": ASKED, "SubmitterUserInfo": {"UserID": 3}, "IssueDate": at(0)}, "Comments",
        rows("UserID", "ForTechsOnly", texts="Body", time="CommentDate", values=[
            (3, False), (4, True), (4, False)])),
    "deskpro": ticket({}, "messages", rows("person", "is_agent_note", texts="message",
        time="date_created", values=[(3, False), (4, True), (4, False)])),
    "happyfox": ticket({"user": ANN}, "updates", rows("by", "message_type", texts="message",
        time="timestamp", values=[
            ({"type": "user"}, "p"), ({"type": "staff"}, "pvt"), ({"type": "staff"}, "p")])),
    "kayako": ticket({}, "posts", rows("is_requester", "source_channel", texts="contents",
        time="created_at", values=[(True, "MAIL"), (False, "NOTE"), (False, "MAIL")])),
    "liveagent": ticket({}, "messages", rows("userType", "type", texts="message",
        time="datecreated", values=[("customer", "M"), ("agent", "N"), ("agent", "M")])),
    "missive": rows("conversation", "kind", "from", texts="body", time="delivered_at", values=[
        ("c", "email", "ann@a.example"), ("c", "comment", "bob@b.example"),
        ("c", "email", "bob@b.example")]),
    "salesforce": rows("CaseNumber", "IsPublished", "UserType", texts="CommentBody",
        time="CreatedDate", values=[
            ("1", True, "Customer"), ("1", False, "Agent"), ("1", True, "Agent")]),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPORTS)
def test_a_note_of_any_desk_is_rejected_by_name(tmp_path: Path, name: str) -> None:
    export = EXPORTS[name]
    if name == "freshchat":
        for row in export:
            row["message_parts"] = [{"text": {"content": row["message_parts"]}}]
    made = read(tmp_path, export)
    (row,) = made.table.to_dict("records")
    assert row["question"].removeprefix("Parcel\n\n") == ASKED
    assert row["answer"] == SAID
    assert [r.reason[:16] for r in made.rejected if NOTED in str(r.values)] == ["an internal note"]
    assert sum(map(len, made.rows.values())) + len(made.rejected) == made.rows_in


@pytest.mark.parametrize(
    "table",
    [
        "Ticket;Afzender;Bericht;Soort;Datum|Klant;Openbaar|Medewerker;Interne notitie",
        "Zgłoszenie;Autor;Wiadomość;Widoczność;Data|Klient;publiczna|Konsultant;wewnętrzna",
        "Ticket;Autore;Messaggio;Nota interna;Data|Cliente;no|Operatore;sì",
        "Заявка;Автор;Сообщение;Внутренний;Дата|Клиент;нет|Оператор;да",
        "Ärende;Författare;Meddelande;Typ;Datum|Kund;Publikt svar|Handläggare;Intern anteckning",
        "チケットID;投稿者;本文;種別;日時|顧客;公開|担当者;社内メモ",
        "工单号;发送者;内容;类型;时间|客户;公开|客服;内部备注",
        "Talep;Yazan;Mesaj;Gizli;Tarih|Müşteri;Hayır|Temsilci;Evet",
        "Tapaus;Kirjoittaja;Viesti;Näkyvyys;Aika|Asiakas;julkinen|Asiakaspalvelija;sisäinen",
    ],
)
def test_tables_of_messages_in_many_languages(tmp_path: Path, table: str) -> None:
    head, customer, agent = table.split("|")
    (asker, openly), (staff, hidden) = customer.split(";"), agent.split(";")
    told = [(asker, ASKED, openly), (staff, NOTED, hidden), (staff, SAID, openly)]
    lines = [f"1;{who};{text};{how};2024-03-01 09:0{i}" for i, (who, text, how) in enumerate(told)]
    made = read(tmp_path, "\n".join([head, *lines]), "csv")
    assert made.table[["question", "answer"]].to_numpy().tolist() == [[ASKED, SAID]]
    (note,) = made.rejected
    assert note.reason.startswith("an internal note: ")


CHATS = {
    "tawk": [{"messages": [{"sender": {"t": "v"}, "msg": ASKED, "time": at(0)},
                           {"sender": {"t": "a"}, "msg": SAID, "time": at(1)}]}],
    "messenger": {"participants": [{"name": "Ann"}, {"name": "Shop"}], "messages": [
        {"sender_name": "Shop", "timestamp_ms": 1710000120000, "content": SAID},
        {"sender_name": "Ann", "timestamp_ms": 1710000000000, "content": ASKED}]},
    "skype": {"conversations": [{"MessageList": [
        {"from": "8:shop", "content": SAID, "originalarrivaltime": at(1)},
        {"from": "8:ann", "content": ASKED, "originalarrivaltime": at(0)}]}]},
    "matrix": {"messages": [
        {"sender": "@ann:x", "content": {"body": ASKED}, "origin_server_ts": 1710000000000},
        {"sender": "@bob:x", "content": {"body": SAID}, "origin_server_ts": 1710000120000}]},
    "mattermost": [{"type": "post", "post": {
        "user": "ann", "message": ASKED, "create_at": 1710000000000,
        "replies": [{"user": "bob", "message": SAID, "create_at": 1710000120000}]}}],
    "rocket.chat": [
        {"_id": "1", "msg": ASKED, "ts": at(0), "u": {"username": "ann"}},
        {"_id": "2", "msg": SAID, "ts": at(1), "u": {"username": "bob"}, "tmid": "1"}],
    "github": [{"title": "Parcel", "body": ASKED, "user": {"login": "ann"}, "created_at": at(0),
                "comments": [{"user": {"login": "bob"}, "author_association": "MEMBER",
                              "body": SAID, "created_at": at(1)}]}],
    "open webui": [{"chat": {"messages": [{"id": "a", "role": "user", "content": ASKED},
                                          {"id": "b", "role": "assistant", "content": SAID}]}}],
}  # fmt: skip


@pytest.mark.parametrize("name", CHATS)
def test_chats_of_many_programs(tmp_path: Path, name: str) -> None:
    (row,) = read(tmp_path, CHATS[name]).table.to_dict("records")
    assert (row["question"].removeprefix("Parcel\n\n"), row["answer"]) == (ASKED, SAID)


def test_who_opened_a_ticket_asks_on_in_it(tmp_path: Path) -> None:
    later = [("bob", "Which one?"), ("ann", "The red one."), ("bob", SAID)]
    comments = [
        {"user": {"login": name}, "body": text, "created_at": at(minute)}
        for minute, (name, text) in enumerate(later, 1)
    ]
    issue = {"title": "Parcel", "body": ASKED, "user": {"login": "ann"}, "created_at": at(0)}
    (row,) = read(tmp_path, [{**issue, "comments": comments}]).table.to_dict("records")
    assert (row["question"], row["answer"]) == ("The red one.", SAID)
    assert [turn["role"] for turn in row["turns"]] == ["user", "assistant"]


def test_a_conversation_that_the_staff_opened_has_no_question(tmp_path: Path) -> None:
    source = {"body": "Hello from us", "author": {"type": "admin", "id": "1"}}
    part = {"part_type": "comment", "body": "Buy now!", "author": {"type": "admin", "id": "1"}}
    made = read(
        tmp_path, [{"source": source, "conversation_parts": {"conversation_parts": [part]}}]
    )
    assert len(made.table) == 0
    assert {r.reason for r in made.rejected} == {"comes before the first question"}


def test_a_column_of_notes_alone_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="named as notes of the staff"):
        read(tmp_path, f"question,社内メモ\n{ASKED},{NOTED}\n", "csv")
