"""Read mails: a mailbox in mbox form, or a single .eml file.

For: threads by what each mail answers, the text without what it quotes, automatic mails set
apart. Not for: attachments; Outlook's .msg and .pst, which its export to mbox or EML opens.

    read_mails(Path("desk.mbox")).rows      # [(1, {"thread": …, "role": "ann@example.com", …})]
"""

from __future__ import annotations

import email
import re
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.utils import parseaddr, parsedate_to_datetime
from pathlib import Path

from helpers.base import files
from helpers.base.errors import DataError
from helpers.datasets.reading.source import Reject, Row

_LANGUAGES = ["en", "de", "fr", "es", "it", "nl", "pl", "sv", "da"]
_LONGEST = 20_000
"""Letters of a mail up to which it is searched for quotes."""
# A line "From ann@example.com Mon Mar  4 10:15:00 2024": only with a time is it a new mail.
_BETWEEN = re.compile(rb"^From [^\r\n]*\d{1,2}:\d{2}:\d{2}[^\r\n]*\r?\n", re.MULTILINE)
# What begins with "From " inside a mail is stored as ">From ", and an older ">" stays.
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
# Words with which a quoted mail may begin, "On Monday Ann wrote:".
_MOST_OPENINGS = 25
_OPENINGS = re.compile(r"\b(?:On|Am|Le|El|Il|Op|W|Den|Från|Fra)\b")
# "Re: ", "AW: ", "[Ticket 7] Fwd[2]: ".
_ANSWERING = re.compile(
    r"\s*(?:\[[^\]]{1,40}\]\s*)?(?:re|aw|antw|sv|vs|rv|rif|odp|ref|fwd?|wg|tr)(?:\[\d+\])?\s*:\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class MailThreads:
    """Mails as rows, and those that are no message of a person."""

    rows: tuple[tuple[int, Row], ...]
    rejected: tuple[Reject, ...]
    notes: tuple[str, ...] = ()


def read_mails(path: Path) -> MailThreads:
    """All mails of a file. Raises `DataError` where there are none."""
    messages = _eml(path) if path.suffix.lower() == ".eml" else _mbox(path)
    if not messages:
        raise DataError(f"{path.name} holds no mails", fix="check that the right file was exported")
    rows: list[tuple[int, Row]] = []
    rejected: list[Reject] = []
    roots = _Roots()
    for number, message in enumerate(messages, 1):
        row = _row(message, roots)
        reason = _automatic(message) or ("" if row["text"].strip() else "no text")
        if reason:
            rejected.append(Reject(number, reason, row))
        else:
            rows.append((number, row))
    # A mail may come before the one that it answers.
    rows = [(number, {**row, "thread": roots.of(row["thread"])}) for number, row in rows]
    if len(messages) == 1 and rows:
        return _with_quoted(rows[0][1], tuple(rejected))
    quoted = "what a mail quotes of earlier ones is left out"
    return MailThreads(tuple(rows), tuple(rejected), (quoted,))


def _eml(path: Path) -> list[EmailMessage]:
    with files.opened(path) as stream:
        return [_parse(stream.read())]


def _mbox(path: Path) -> list[EmailMessage]:
    """The mails between lines of "From", an address and a time.

    The standard library's `mailbox` begins a new mail at every line that begins with "From ",
    so that "From what I see, …" cuts an answer in two.
    """
    with files.opened(path) as stream:
        _, *found = _BETWEEN.split(stream.read())
    return [_parse(_QUOTED_FROM.sub(rb"\1", data)) for data in found]


def _parse(data: bytes) -> EmailMessage:
    return email.message_from_bytes(data, policy=policy.default)


class _Roots:
    """Which mail begins the thread of each."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}
        self._subjects: dict[str, str] = {}

    def of(self, place: str) -> str:
        seen = {place}
        while (above := self._above.get(place)) and above not in seen:
            seen.add(above)
            place = above
        return place

    def add(self, own: str, answered: str, subject: str) -> str:
        plain = _ANSWERING.sub("", subject).strip().lower()
        # By what it answers, else by its subject, if it says that it answers something.
        if answered:
            self._above[own] = answered
        elif _ANSWERING.match(subject) and plain in self._subjects:
            self._above[own] = self._subjects[plain]
        self._subjects.setdefault(plain, own)
        return own


def _row(message: EmailMessage, roots: _Roots) -> Row:
    subject = _header(message, "Subject")
    # The first reference is the mail that began the thread; In-Reply-To names the last one only.
    references = _header(message, "References").split() or _header(message, "In-Reply-To").split()
    # A mail without a name of its own gets one that no other mail refers to.
    own = _header(message, "Message-ID").strip() or f"mail {id(message)}"
    text, *quoted = _parts(_body(message))
    # The first mail's subject is part of the question, unless its text repeats it.
    if subject.strip() and not references and not _ANSWERING.match(subject):
        repeated = subject.strip().casefold() in text.casefold()
        text = text if repeated or not text.strip() else f"{subject.strip()}\n\n{text}"
    return {
        "thread": roots.add(own, references[0] if references else "", subject),
        "role": parseaddr(_header(message, "From"))[1].lower(),
        "text": text,
        "time": _time(message),
        "subject": subject,
        "to": _header(message, "To"),
        "quoted": quoted[0] if quoted else "",
    }


def _header(message: EmailMessage, name: str) -> str:
    try:
        return str(message.get(name) or "")
    except (ValueError, IndexError, AttributeError):
        # The parser of the standard library gives up on some headers.
        return ""


def _time(message: EmailMessage) -> str:
    try:
        return parsedate_to_datetime(_header(message, "Date")).isoformat()
    except (ValueError, TypeError):
        return ""


def _body(message: EmailMessage) -> str:
    part = message.get_body(("plain", "html"))
    if part is None:
        return ""
    try:
        content = str(part.get_content())
    except (LookupError, ValueError):
        raw = part.get_payload(decode=True)
        content = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""
    if part.get_content_type() == "text/html":
        from bs4 import BeautifulSoup

        content = BeautifulSoup(content, "html.parser").get_text("\n")
    return content.replace("\r\n", "\n").strip()


def _parts(text: str) -> list[str]:
    """The mail, and after it those that it quotes, newest first."""
    from mailparser_reply import EmailReplyParser

    # The parser's patterns take time with the cube of what could open a quoted mail.
    if len(text) > _LONGEST or len(_OPENINGS.findall(text)) > _MOST_OPENINGS:
        return [text]
    replies = EmailReplyParser(languages=_LANGUAGES).read(text=text).replies
    # Its signatures are left in: a list of steps looks like one to it.
    parts = [reply.content.removeprefix(reply.headers or "").strip() for reply in replies]
    return [_unquoted(part) if place else _own(part) for place, part in enumerate(parts)] or [text]


def _own(text: str) -> str:
    """Without the quoted lines at its end, which some programs write without a heading."""
    lines = text.split("\n")
    while lines and (lines[-1].startswith(">") or not lines[-1].strip()):
        lines.pop()
    return "\n".join(lines)


def _unquoted(text: str) -> str:
    return "\n".join(re.sub(r"^(?:> ?)+", "", line) for line in text.split("\n")).strip()


def _automatic(message: EmailMessage) -> str:
    """Why nobody wrote this mail, or ""."""
    told = _header(message, "Auto-Submitted").lower()
    if told and told != "no":
        return f"an automatic mail: Auto-Submitted {told}"
    if message.get_content_type() == "multipart/report":
        return "a report of delivery"
    if _header(message, "X-Autoreply") or _header(message, "X-Auto-Response-Suppress") == "All":
        return "an automatic mail"
    return ""


def _with_quoted(row: Row, rejected: tuple[Reject, ...]) -> MailThreads:
    """A mail by itself: what it quotes is the question that it answers."""
    if not row["quoted"]:
        return MailThreads(((1, row),), rejected)
    asked = {**row, "role": "user", "text": row["quoted"], "time": ""}
    said = {**row, "role": "assistant", "time": ""}
    note = "a guess: the mail that is quoted asks, the mail around it answers"
    return MailThreads(((1, asked), (2, said)), rejected, (note,))
