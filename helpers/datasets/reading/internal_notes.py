"""Find messages that a help desk's staff wrote for each other.

For: keeping internal notes out of what a customer is taught to hear, in the words of any help
desk. Not for: judging what a public message says.

    note_in({"public": "false", "body": "Stall him."}, text="body")   # "public = 'false'"
"""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from helpers.datasets.reading.source import words

_PUBLIC = frozenset(
    words(
        "public publico público pública publique pubblico öffentlich oeffentlich openbaar "
        "published publish visible visibile sichtbar customerfacing facing shared publiczny "
        "publiczna publiczne offentlig offentligt publik publikt julkinen veřejný veřejná "
        "публичный публичное публичная публічний açık genel nyilvános 公開 公开 공개"
    )
)
_PRIVATE = frozenset(
    words(
        "private internal intern interne interno interna intern interner internes privat privado "
        "privada privé privée hidden hide confidential internalonly note isnote agentonly "
        "staffonly vermerk notiz notitie wewnętrzny wewnętrzna wewnętrzne prywatny prywatna "
        "prywatne notatka internt dold skjult sisäinen yksityinen interní vnitřní "
        "soukromý soukromá внутренний внутренняя внутреннее внутренние приватный скрытый "
        "служебный "
        "служебная служебное внутрішній внутрішня dahili gizli özel belső rejtett εσωτερικό "
        "εσωτερική ιδιωτικό riservato riservata confidentiel confidencial vertraulich"
    )
)
_KINDS = frozenset(
    words(
        "type types kind visibility scope audience privacy access element channel source "
        "sichtbarkeit visibilité visibilidad visibilidade tipo typ art sort mode class via role "
        "event soort widoczność rodzaj visibilità synlighet näkyvyys tyyppi viditelnost druh "
        "видимость тип вид видимість tür görünürlük láthatóság típus ορατότητα τύπος 種別 種類 "
        "公開範囲 类型 類型 可见性 유형 종류"
    )
)
"""Words in the name of a column that says of which kind a message is."""
_VISIBILITY = frozenset(
    words(
        "visibility sichtbarkeit visibilité visibilidad visibilidade visibilità widoczność "
        "synlighet näkyvyys viditelnost видимость видимість görünürlük láthatóság ορατότητα "
        "公開範囲 可见性"
    )
)
_YES = frozenset(
    words(
        "true 1 1.0 yes y t ja j si sí sì oui sim x on wahr vrai verdadero vero tak prawda kyllä "
        "ano да істина так истина evet doğru igen ναι はい 是 예 ✓ ✔"
    )
)
_NO = frozenset(
    words(
        "false 0 0.0 no n f nein non não nao nee off falsch faux falso nie fałsz nej nei ei ne "
        "нет ложь ні hayır yanlış nem όχι いいえ 否 아니요"
    )
)
# "internal note", "work comment": a word of secrecy and one for a note must come together.
_SECRET = re.compile(
    r"\b(?:internal|intern|interne[rs]?|interno|interna|private|privat|privado|privada|priv[ée]e?"
    r"|work|staff|agents?|team|hidden|side|whisper|techs?|technicians?|operators?|employees?"
    r"|wewn[ęe]trzn\w+|prywatn\w+|internt|sisäinen|interní|vnitřní|soukrom\w+|внутренн\w+"
    r"|служебн\w+|приватн\w+|внутрішн\w+|dahili|gizli|belső|εσωτερικ\w+|riservat[ao]|pvt)\b"
)
_NOTED = re.compile(
    r"\b(?:notes?|notiz(?:en)?|nota|notas|notitie|notat|comments?|kommentare?|commentaire"
    r"|comentario|comentário|commento|conversation|remark|memo|only|opmerking|notatk\w+"
    r"|komentarz\w*|anteckning\w*|kommentti|muistiinpano|poznámk\w+|komentář|замет\w+"
    r"|комментари\w+|примечан\w+|нотатк\w+|коментар\w*|yorum|megjegyzés|σημείωση|σχόλιο"
    r"|anmerkung|bemerkung)\b"
)
_UNSPACED = re.compile(
    r"社内(?!ネット|lan)"
    r"|(?:内部|內部|내부)(?! ?(?:サーバー?|服务器|伺服器|서버)? ?(?:エラー|错误|錯誤|오류))"
    r"(?! ?(?:メモリ|메모리|内存|ストレージ|存储|儲存|저장))"
    r"|非公開|非公开|비공개|메모(?!리)|メモ(?!リ)",
    re.IGNORECASE,
)
"""Words for notes of the staff in scripts without blanks between words. Errors, memory and
networks can be internal too, and "memory" begins with the letters of "memo"."""
_UNSPACED_NOTE = re.compile(
    r"(?:社内|内部|內部|내부|非公開|非公开|비공개|메모|メモ|用|向け|限定|のみ|専用|专用|專用|전용|용|の"
    r"|コメント|ノート|注記|記録|連絡|備考|备注|備註|注释|註釋|评论|評論|消息|訊息|笔记|筆記|回复|回覆"
    r"|노트|댓글|코멘트|메시지|[\W_])+"
)
"""Nothing but such words, and those for what they mark."""
_ALONE = frozenset(
    words(
        "note notes internal private intern interne interno interna worknote worknotes work_notes "
        "internalnote internalcomment privatenote privatecomment internal_note internal_comment "
        "private_note private_comment note-internal note_and_reopen agentonly staffonly whisper "
        "hidden notiz nota notas notitie internalnotes privat privado privada commentprivate "
        "internal-note private-note nonpublic non-public memo internal_message internal-message "
        "internalmessage internal_reply private_message agent_note staff_note pvt "
        "internt dold skjult sisäinen wewnętrzna wewnętrzny prywatna interní neveřejný внутренний "
        "внутренняя внутреннее служебная скрытый gizli dahili belső"
    )
)
_READERS = frozenset(words("audience scope access visibility visible"))
_STAFF = frozenset(
    words(
        "agents agent staff team employees employee admins operators techs tech technicians "
        "technician operator internal"
    )
)
_OPENLY = frozenset(
    words(
        "public external all everyone customer customers customer-visible client comment reply "
        "message email chat öffentlich extern externe public_reply portal requester end-user "
        "publiczna publiczny offentlig offentligt publik publikt openbaar pubblico pubblica "
        "público pública publique julkinen veřejný публичный публичное публичная клиент клиенту "
        "açık genel nyilvános δημόσιο 公開 公开 공개"
    )
)
# A text that begins with "[INTERNAL]", "Note to self:", "(private note)".
_OPENING = re.compile(
    r"\s*[\[(*#<_]{0,3}\s*(?:note to self"
    r"|(?:for )?(?:internal|staff|agents?) (?:use|eyes)(?: only)?"
    r"|(?:internal|private|intern\w{0,2}|staff|agent|work)[ _-]"
    r"(?:note|notes|comment|notiz|kommentar|only)|interne notiz|note interne|nota interna"
    r"|internal|private note)\s*(?:[\])*#>_]{2,3}|[\])*#>_]?\s*[:\])\-–—])",
    re.IGNORECASE,
)
_LONGEST_KIND = 40
_LONGEST_UNSPACED = 12
_TOLD = frozenset(
    words(
        "customer client requester user kunde kunden cliente portal external extern notify "
        "notified send sent deliver delivered delivery mailed emailed show shown visible public"
    )
)
"""Words in the name of a column that says which messages went out."""
_NOTE_WORDS = frozenset(
    words(
        "note notes internal intern interne interner internes interno interna private privat "
        "privado privada whisper hidden confidential vermerk notiz notizen nota notitie memo only "
        "pvt notatka wewnętrzna anteckning internt poznámka interní заметка внутренний внутренняя "
        "служебная gizli dahili belső muistiinpano sisäinen"
    )
)
_SENT_KINDS = frozenset(
    words(
        "email mail message reply public_reply correspond sms answer outbound outgoing chat "
        "response antwort respuesta réponse risposta resposta antwoord svar call voice whatsapp"
    )
)
_ASIDE_KINDS = frozenset(words("comment comments kommentar commentaire comentario comentário n"))
"""Beside messages that are sent, a comment stays in the house; "n" is a note beside "m" or "r"."""
# "not sent", "unpublished": the opposite of another value in the same column.
_NOT = re.compile(r"(?:not|non|nicht|kein\w*|no|un)[ _-]?(.+)")
_NOTE_NAMES = frozenset(
    words(
        "note notes notiz notizen nota notas remarks memo notitie notities notatka notatki "
        "anteckning anteckningar poznámka poznámky заметка заметки примечание"
    )
)
_MOST_KINDS = 12
"""Values of a column that tells kinds of messages."""
_MOST_NAMED = 3


def note_in(
    row: Mapping[str, Any],
    *,
    text: str | None,
    role: str | None = None,
    openly: Collection[tuple[str, str]] = (),
) -> str:
    """What shows that a row is an internal note, as "column = value", or "".

    A column that tells it but says nothing here, or something unknown, shows it too: what
    may be a note is not taught. `openly` names columns and values that customers have.
    """
    said = row.get(text or "")
    if isinstance(said, str) and _OPENING.match(said):
        return f"the text begins with {_OPENING.match(said)[0].strip()!r}"  # type: ignore[index]
    for name, value in row.items():
        shown = bool(openly) and (name, _plain(value)) in openly
        if name != text and not shown and _is_internal(name, value, is_role=name == role):
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
    named_kind = bool(_KINDS.intersection(words)) and "status" not in words
    marking = is_role or named_kind or names_internal(name) or names_public(name)
    if _UNSPACED.search(plain) and not {"tag", "tags"} & set(words):
        short = len(plain) < _LONGEST_UNSPACED
        if short and (marking or _UNSPACED_NOTE.fullmatch(plain)):
            return True
    if _PUBLIC.intersection(words) and plain in _NO:
        return True
    spaced = re.sub(r"[_/-]", " ", plain)
    if _SECRET.search(spaced) and _NOTED.search(spaced) and not {"tag", "tags"} & set(words):
        # In few words: a longer value is a sentence that happens to hold both.
        return len(spaced.split()) < 5
    if _VISIBILITY.intersection(words) and plain not in _OPENLY:
        return bool(plain)
    if _READERS.intersection(words) and plain in _STAFF:
        return True
    return (is_role or named_kind) and plain in _ALONE


def values_of_customers(rows: Sequence[Mapping[str, Any]]) -> frozenset[tuple[str, str]]:
    """Columns that tell who may read a message, each with a number that customers' own have.

    What a number such as 0 means there, nothing else tells.
    """
    names = {name for row in rows[:1] for name in row if _VISIBILITY.intersection(_words(name))}
    told = {(name, _plain(row.get(name))) for row in rows for name in names}
    return frozenset(one for one in told if one[1].isdecimal())


def names_public(name: str) -> bool:
    """Whether a column says which messages are public."""
    return bool(_PUBLIC.intersection(_words(name)))


def names_internal(name: str) -> bool:
    """Whether a column's name says that what stands in it, or is marked by it, is internal."""
    words = _words(name)
    if words[:1] == ("work",) and "notes" in words:
        return True
    if "only" in words and _STAFF.intersection(words):
        return True
    if {"id", "count", "time"} & set(words):
        return False
    return bool(_PRIVATE.intersection(words)) or bool(_UNSPACED.search(name))


def names_notes(name: str) -> bool:
    """Whether a column's name says that its texts are notes of the staff."""
    words = set(_words(name))
    noted = words & _NOTE_NAMES or _UNSPACED.search(name)
    return bool(noted) or (names_internal(name) and bool(words & {"comment", "comments", "text"}))


@dataclass(frozen=True)
class NoteMarks:
    """Values that tell notes from messages, by column, in one table of threads."""

    values: Mapping[str, Collection[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """Columns that may tell notes, and are not taken to."""

    def found_in(self, row: Mapping[str, Any]) -> str:
        """What shows that a row is a note, as "column = value", or ""."""
        for name, kinds in self.values.items():
            if _plain(row.get(name)) in kinds:
                return f"{name} = {str(row.get(name))[:_LONGEST_KIND]!r}"
        return ""


def find_marks(
    rows: Sequence[Mapping[str, Any]],
    threads: Sequence[Hashable],
    roles: Sequence[str | None],
    *,
    without: Collection[str | None],
) -> NoteMarks:
    """Columns that tell notes by how they vary: inside a thread, and never for a customer.

    Whose name or value says so, marks notes; of others a note warns. A column that is the same
    in all of a thread tells something of the ticket.
    """
    values: dict[str, Collection[str]] = {}
    doubts = []
    for name in rows[0] if rows else ():
        if name in without:
            continue
        told = [_plain(row.get(name)) for row in rows]
        kinds = set(told)
        if not 1 < len(kinds) <= _MOST_KINDS or max(map(len, kinds)) > _LONGEST_KIND:
            continue
        # The same in all of a thread, so it tells of the ticket and not of a message.
        if len(set(zip(threads, told, strict=True))) == len(set(threads)):
            continue
        asked = {kind for kind, role in zip(told, roles, strict=True) if role == "user"}
        said = {kind for kind, role in zip(told, roles, strict=True) if role != "user"}
        marks = {kind for kind in said - asked if _marks_notes(name, kind, said)}
        if marks:
            values[name] = marks
        elif asked and len(kinds) == 2 and len(said) == 2 and len(said - asked) == 1:
            (kind,) = said - asked
            doubts.append(_doubt(name, kind, told.count(kind)))
    return NoteMarks(values, tuple(doubts[:_MOST_NAMED]))


def _plain(value: Any) -> str:
    if value is None or isinstance(value, list | dict):
        return ""
    return " ".join(str(value).lower().split())


def _marks_notes(name: str, kind: str, said: Collection[str]) -> bool:
    """Whether a value that only the staff's messages have says that nobody else reads them."""
    if _NOTE_WORDS.intersection(re.findall(r"[^\W_]+", kind)):
        return True
    if (denied := _NOT.fullmatch(kind)) and denied[1] in said:
        return True
    if kind in _ASIDE_KINDS and _KINDS.intersection(_words(name)):
        letters = {"m", "r", "e", "c"} if kind == "n" else _SENT_KINDS
        return bool(letters & set(said))
    return kind in _NO and bool(_YES & set(said)) and bool(_TOLD.intersection(_words(name)))


def _doubt(name: str, kind: str, count: int) -> str:
    return (
        f"{name!r} is {kind!r} in {count} messages of the staff and in none of a customer: "
        "if it marks internal notes, take those rows out"
    )
