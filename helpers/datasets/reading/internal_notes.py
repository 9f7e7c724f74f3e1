"""Find messages that a help desk's staff wrote for each other.

For: keeping internal notes out of what a customer is taught to hear, in the words of any help
desk. Not for: judging what a public message says.

    note_in({"public": "false", "body": "Stall him."}, text="body")   # "public = 'false'"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from helpers.datasets.reading.source import words

_PUBLIC = frozenset(
    words(
        "public publico público pública publique pubblico öffentlich oeffentlich openbaar "
        "published visible visibile sichtbar customerfacing shared"
    )
)
_PRIVATE = frozenset(
    words(
        "private internal intern interne interno interna intern interner internes privat privado "
        "privada privé privée hidden hide confidential internalonly note isnote agentonly staffonly"
    )
)
_KINDS = frozenset(
    words(
        "type types kind visibility scope audience privacy access element channel source "
        "sichtbarkeit visibilité visibilidad visibilidade tipo typ art sort mode class via role "
        "event"
    )
)
"""Words in the name of a column that says of which kind a message is."""
_VISIBILITY = frozenset(words("visibility sichtbarkeit visibilité visibilidad visibilidade"))
_YES = frozenset(words("true 1 1.0 yes y t ja si sí oui sim x on wahr vrai verdadero"))
_NO = frozenset(words("false 0 0.0 no n f nein non não nee off falsch faux falso"))
_SECRET = re.compile(
    r"\b(?:internal|intern|interne[rs]?|interno|interna|private|privat|privado|privada|priv[ée]e?"
    r"|work|staff|agents?|team|hidden|side|whisper)\b"
)
_NOTED = re.compile(
    r"\b(?:notes?|notiz(?:en)?|nota|notas|notitie|notat|comments?|kommentare?|commentaire"
    r"|comentario|comentário|commento|conversation|remark|memo|only)\b"
)
_ALONE = frozenset(
    words(
        "note notes internal private intern interne interno interna worknote worknotes work_notes "
        "internalnote internalcomment privatenote privatecomment internal_note internal_comment "
        "private_note private_comment note-internal note_and_reopen agentonly staffonly whisper "
        "hidden notiz nota notas notitie internalnotes privat privado privada commentprivate "
        "internal-note private-note nonpublic non-public memo internal_message internal-message "
        "internalmessage internal_reply private_message agent_note staff_note"
    )
)
_READERS = frozenset(words("audience scope access visibility visible"))
_STAFF = frozenset(words("agents agent staff team employees employee admins operators"))
_OPENLY = frozenset(
    words(
        "public external all everyone customer customers customer-visible client comment reply "
        "message email chat öffentlich extern externe public_reply portal requester end-user"
    )
)
_OPENING = re.compile(
    r"\s*[\[(*#<_]{0,3}\s*(?:note to self"
    r"|(?:for )?(?:internal|staff|agents?) (?:use|eyes)(?: only)?"
    r"|(?:internal|private|intern\w{0,2}|staff|agent|work)[ _-]"
    r"(?:note|notes|comment|notiz|kommentar|only)|interne notiz|note interne|nota interna"
    r"|internal|private note)\s*(?:[\])*#>_]{2,3}|[\])*#>_]?\s*[:\])\-–—])",
    re.IGNORECASE,
)
_LONGEST_KIND = 40


def note_in(row: Mapping[str, Any], *, text: str | None, role: str | None = None) -> str:
    """What shows that a row is an internal note, as "column = value", or "".

    A column that tells it but says nothing here, or something unknown, shows it too: what
    may be a note is not taught.
    """
    said = row.get(text or "")
    if isinstance(said, str) and _OPENING.match(said):
        return f"the text begins with {_OPENING.match(said)[0].strip()!r}"  # type: ignore[index]
    for name, value in row.items():
        if name != text and _is_internal(name, value, is_role=name == role):
            return f"{name} = {str(value)[:_LONGEST_KIND]!r}"
    return ""


@lru_cache(maxsize=10_000)
def _words(name: str) -> tuple[str, ...]:
    spaced = re.sub(r"(?<=[a-zäöüß])(?=[A-Z])", " ", str(name))
    return tuple(re.findall(r"[^\W_]+", spaced.lower()))


def _is_internal(name: str, value: Any, *, is_role: bool) -> bool:
    if value is None or isinstance(value, list | dict):
        return False
    text = str(value)
    if len(text) > 2 * _LONGEST_KIND:
        return False
    plain = " ".join(text.lower().split())
    return len(plain) <= _LONGEST_KIND and _says_internal(name, plain, is_role=is_role)


@lru_cache(maxsize=10_000)
def _says_internal(name: str, plain: str, *, is_role: bool) -> bool:
    words = _words(name)
    if names_internal(name) and plain in _YES:
        return True
    if _PUBLIC.intersection(words) and plain in _NO:
        return True
    if _SECRET.search(plain) and _NOTED.search(plain) and not {"tag", "tags"} & set(words):
        return len(plain.split()) < 5
    named_kind = bool(_KINDS.intersection(words)) and "status" not in words
    if _VISIBILITY.intersection(words) and plain not in _OPENLY:
        return bool(plain)
    if _READERS.intersection(words) and plain in _STAFF:
        return True
    return (is_role or named_kind) and plain in _ALONE


def names_public(name: str) -> bool:
    """Whether a column says which messages are public."""
    return bool(_PUBLIC.intersection(_words(name)))


def names_internal(name: str) -> bool:
    """Whether a column's name says that what stands in it, or is marked by it, is internal."""
    words = _words(name)
    if words[:1] == ("work",) and "notes" in words:
        return True
    return bool(_PRIVATE.intersection(words)) and not {"id", "count", "time"} & set(words)


def names_notes(name: str) -> bool:
    """Whether a column's name says that its texts are notes of the staff."""
    words = set(_words(name))
    noted = words & {"note", "notes", "notiz", "notizen", "nota", "notas", "remarks", "memo"}
    return bool(noted) or (names_internal(name) and bool(words & {"comment", "comments", "text"}))
