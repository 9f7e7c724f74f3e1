"""Read chats that were saved as text: WhatsApp in any language, IRC, transcripts with names.

For: a .txt file whose lines begin with a speaker, and mostly a time before. Not for: Telegram,
Slack and Discord, which write JSON, see `exports`.

    read_chat_log("[03.12.23, 09:14:05] Ann: Are you open?").rows    # [(1, {"time": …})]
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from helpers.datasets.reading.source import Reject, Row
from helpers.datasets.reading.speakers import role_of

# Mornings and afternoons, a day (03.12.23, 2023年12月3日), a time of day (9:14 pm, 오후 9:14).
_HALVES = r"[ap]\.? ?m\.?|上午|下午|午前|午後|오전|오후|π\.?μ\.?|μ\.?μ\.?"
_DAY = r"\d{1,4}[./\-年년] ?\d{1,2}[./\-月월] ?\d{1,4}[日일]?\.?"
_CLOCK = rf"(?:(?:{_HALVES}) ?)?\d{{1,2}}[:.]\d{{2}}(?:[:.]\d{{2}})?(?: ?(?:{_HALVES}))?"
_DATED = re.compile(
    rf"\[?(?P<time>{_DAY},? (?:um |à |a las |klo |kl\. )?{_CLOCK})(?: Uhr)?"
    r"(?:\]|(?: [-–])|[,:](?= [^:]{1,40}:)| (?=<))"
    r" ?(?P<rest>.*)",
    re.IGNORECASE,
)
"""WhatsApp's, and IRC's with a date."""
_HEADED = re.compile(
    rf"\[(?P<time>(?:{_DAY}|\d{{1,2}}-[A-Za-z]{{3}}-\d{{2,4}}),? {_CLOCK})\] "
    r"(?P<name>[^:]{1,60})",
    re.IGNORECASE,
)
"""Discord's, with the text on the lines below."""
# IRC's lines without a date, `[09:14] <@ann> Are you open?`; and names with a colon behind them.
_TIMED = re.compile(rf"[\[(]?(?P<time>{_CLOCK})[\])]? (?P<rest>.*)", re.IGNORECASE)
_NICK = re.compile(r"<[ @+]?(?P<name>[^<>\n]{1,40})> (?P<text>.*)")
_NAMED = re.compile(r"(?P<name>[^:\n]{1,60}?): ?(?P<text>.*)")
# A name of few letters that begins with a capital: "Note that: …" is no speaker.
_TRANSCRIPT = re.compile(r"(?P<name>[A-ZÀ-ÞА-Я@][^:\n.?!,]{0,30}):(?:\s+|$)(?P<text>.*)")
# A blank line, or one of dashes, as they stand between conversations.
_LINE = re.compile(r"\s*(?:[-=*_]{3,}\s*)?$")
# Signs of reading direction, and blanks that do not break: WhatsApp puts both into its heads.
_MARKS = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_SPACES = re.compile(r"[\u00a0\u202f\u2009]")
# What stands in place of a picture: "<Media omitted>", "IMG-01.jpg (file attached)".
_MEDIA = re.compile(
    r"<[^<>]{3,40}>|\S+\.\w{3,4} \([^()]{4,40}\)"
    r"|.{0,40}\b(?:omitted|weggelassen|omitid[oa]|omis[e]?|absente?|omess[oa]|weggelaten|ocultad[oa])"
)
# Lines that WhatsApp writes itself, in the languages that were looked at.
_OF_THE_PROGRAM = re.compile(
    r"end-to-end encrypted|Ende-zu-Ende-verschl|cifrad[oa]s de extremo|chiffrés de bout en bout"
    r"|this message was deleted|you deleted this message|diese nachricht wurde gelöscht"
    r"|missed (?:voice|video) call|se eliminó este mensaje|ce message a été supprimé"
    r"|criptografia de ponta a ponta|esta mensagem foi apagada|crittografia end-to-end"
    r"|questo messaggio è stato eliminato|end-to-end versleuteld|dit bericht (?:is|werd) verwijderd"
    r"|w pełni szyfrowane|ta wiadomość została usunięta|uçtan uca şifreli|bu mesaj silindi"
    r"|сквозн\w+ шифрован|(?:это )?сообщение (?:было )?удалено|エンドツーエンド|端到端加密",
    re.IGNORECASE,
)
_EDITED = re.compile(r"\s*<(?:this message was edited|diese nachricht wurde bearbeitet)>\s*$", re.I)
# Lines that tell the kind of a log, and the share of them that must have its form.
_LOOKED_AT, _MOST = 60, 0.6


@dataclass(frozen=True)
class ChatLog:
    """The messages of a chat, and lines that are none."""

    rows: tuple[tuple[int, Row], ...]
    rejected: tuple[Reject, ...]
    timed: bool
    threaded: bool


def read_chat_log(text: str) -> ChatLog | None:
    """The messages of a text, numbered by line; None if it is no chat."""
    lines = [_SPACES.sub(" ", line) for line in text.splitlines()]
    head = [_MARKS.sub("", line) for line in lines if line.strip()][:_LOOKED_AT]
    if not head:
        return None
    if _HEADED.fullmatch(head[0]) and sum(bool(_HEADED.fullmatch(line)) for line in head) > 1:
        return _headed(lines)
    dated = [line for line in head if _DATED.match(line)]
    if len(dated) >= _MOST * len(head) or (_DATED.match(head[0]) and len(dated) > 1):
        return _log(lines, _DATED, timed=True)
    timed = [line for line in head if (m := _TIMED.match(line)) and _NICK.match(m["rest"])]
    spoken = [line for line in head if (m := _TIMED.match(line)) and _NAMED.match(m["rest"])]
    if max(len(timed), len(spoken)) >= _MOST * len(head) and _TIMED.match(head[0]):
        return _log(lines, _TIMED, timed=False)
    return _transcript(lines, head)


def _log(lines: Sequence[str], pattern: re.Pattern[str], *, timed: bool) -> ChatLog:
    rows: list[tuple[int, Row]] = []
    rejected: list[Reject] = []
    current: Row | None = None
    for number, line in enumerate(lines, 1):
        found = pattern.match(_MARKS.sub("", line))
        if not found:
            # A line without a head goes on with the message before it.
            if current is not None:
                current["text"] += "\n" + line
            elif line.strip():
                rejected.append(Reject(number, "stands before the first message", {"text": line}))
            continue
        said = _NICK.match(found["rest"]) or _NAMED.match(found["rest"])
        if said is None:
            row: Row = {"time": found["time"], "text": found["rest"]}
            rejected.append(Reject(number, "a message of the program: nobody says it", row))
            current = None
            continue
        marked = bool(re.search(r"[:>] ?\u200e", line))
        current = {"time": found["time"], "role": said["name"].strip(), "text": said["text"]}
        reason = _unspoken(said["text"], marked=marked)
        if reason:
            rejected.append(Reject(number, reason, current))
        else:
            rows.append((number, current))
    for _, row in rows:
        row["text"] = _EDITED.sub("", row["text"]).rstrip()
    return ChatLog(tuple(rows), tuple(rejected), timed, threaded=False)


def _headed(lines: Sequence[str]) -> ChatLog:
    rows: list[tuple[int, Row]] = []
    for number, line in enumerate(lines, 1):
        found = _HEADED.fullmatch(line)
        if found:
            rows.append((number, {"time": found["time"], "role": found["name"], "text": ""}))
        elif rows:
            rows[-1][1]["text"] = f"{rows[-1][1]['text']}\n{line}".strip("\n")
    return ChatLog(tuple(rows), (), timed=True, threaded=False)


def _unspoken(text: str, *, marked: bool) -> str:
    """Why nobody said this, or "". WhatsApp on an iPhone marks what it wrote itself."""
    plain = text.strip()
    if _OF_THE_PROGRAM.search(plain):
        return "a message of the program"
    if _MEDIA.fullmatch(plain) or (marked and len(plain) < 60):
        return "a picture, a file or a message of the program"
    return ""


def _transcript(lines: Sequence[str], head: Sequence[str]) -> ChatLog | None:
    """ "Name: text" on most lines, by two to six speakers."""
    found = [match["name"] for line in head if (match := _TRANSCRIPT.match(line))]
    names = Counter(found)
    if len(found) < _MOST * len(head) or not 1 < len(names) < 7 or not _TRANSCRIPT.match(head[0]):
        return None
    # Two lines with a colon are no talk, unless customer and agent say them.
    if sum(count > 1 for count in names.values()) < 2 and not all(map(role_of, names)):
        return None
    rows: list[tuple[int, Row]] = []
    rejected: list[Reject] = []
    thread, parts = 1, {1: set[str]()}
    for number, line in enumerate(lines, 1):
        said = _TRANSCRIPT.match(line)
        if _LINE.match(line):
            thread += bool(parts[thread])
            parts.setdefault(thread, set())
        elif said and said["name"] in names:
            parts[thread].add(said["name"])
            rows.append(
                (number, {"thread": str(thread), "role": said["name"], "text": said["text"]})
            )
        elif rows:
            rows[-1][1]["text"] += "\n" + line
        else:
            rejected.append(Reject(number, "stands before the first message", {"text": line}))
    # Blank lines divide conversations only if each part has more than one speaker.
    threaded = all(len(part) > 1 for part in parts.values() if part)
    return ChatLog(tuple(rows), tuple(rejected), timed=False, threaded=threaded)
