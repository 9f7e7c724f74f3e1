"""The newest mail of a thread, without its signature.

For: questions and answers that were written as mails. A cut is made only where what
follows is a signature or a quoted mail by its whole form: a list, a rule of a document,
or a closing word in the middle of a text is none, and stays. Not for: mailboxes.

    split_mail("Turn it off.\\n\\n-- \\nKim Novak\\nSupport").body      # "Turn it off."
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CLOSINGS = (
    r"(?:best|kind|kindest|warm|warmest|with best|with kind) regards|regards|best wishes|"
    r"all the best|best|many thanks|thanks(?: a lot| again| in advance)?|"
    r"thank you(?: very much| so much| in advance)?|cheers|"
    r"(?:yours )?sincerely|yours (?:truly|faithfully)|take care|"
    r"mit (?:freundlichen|besten|lieben|herzlichen) gr(?:ü|ue)(?:ß|ss)en|"
    r"(?:beste[nr]?|liebe|viele|herzliche|freundliche|schöne) gr(?:ü|ue)(?:ß|ss)e|"
    r"gru(?:ß|ss)|mfg|lg|vg|vielen dank|danke|"
    r"(?:(?:bien|très) )?cordialement|(?:(?:meilleures|cordiales|sincères) )?salutations|"
    r"bien à vous|(?:bonne|belle|excellente) (?:journée|soirée)(?: à vous)?|à (?:très )?bientôt|"
    r"(?:je vous prie d['’]agréer|veuillez agréer|je vous prie de recevoir)[^\n]{0,120}|"
    r"merci(?: d'avance)?|(?:(?:reciba )?un )?(?:saludos?(?: cordial(?:es)?)?|cordial saludo)|"
    r"atentamente|cordialmente|"
    r"(?:muchas )?gracias|(?:cordiali|distinti) saluti|(?:mille )?grazie|"
    r"met (?:vriendelijke|hartelijke) groet(?:en)?|hartelijke groeten|groet(?:en|jes)?|bedankt|"
    r"atenciosamente|obrigad[oa]|z poważaniem|pozdrawiam|"
    r"(?:med )?(?:venlig|vänliga|bästa|bedste) (?:hilsen|hilsner|hälsningar)|hilsen|mvh"
)
# A word that begins with no small letter, also where case is ignored otherwise.
_NAME = r"(?-i:[^\W\d_a-z])[\w.'-]*"
_CLOSING = re.compile(
    rf"\W*(?:{_CLOSINGS})\s*[,.!;:–-]*\s*"
    rf"(?:(?:from |von )?{_NAME}(?:(?: |,? ?[–|/&-] ?|, | from | von ){_NAME}){{0,4}}[.,]?)?",
    re.IGNORECASE,
)
"""A line that closes a letter, with a name behind it or not."""
# "-- " on a line of its own is how mail programs mark a signature.
_DELIMITER = re.compile(r"--|__|_{20,}|-{20,}")
# "Sent from my iPhone", "Gesendet von Outlook".
_DEVICE = re.compile(
    r"(?:sent from (?:my|outlook|mail|yahoo|the)\b|get outlook for|gesendet von"
    r"|von meinem .* gesendet|envoyé (?:de|depuis)|enviado desde|inviato da"
    r"|verzonden vanaf|skickat från|wysłano z).{0,60}",
    re.IGNORECASE,
)
_LIST_ITEM = re.compile(r"\s*(?:[-*•–+]\s|\d{1,2}[.)]\s)")
# A line of words that ends like a sentence, or is long: no line of a signature.
_SENTENCE = re.compile(r"(?:\S+\s+){3,}\S*[.?!:]\)?\s*$|.{90,}")
_MOST_LINES = 10
"""Lines that a signature has at most, empty ones not counted."""
# "On Mon, 4 Mar 2024 at 10:15, Ann <ann@example.com> wrote:", over two lines at most.
_ATTRIBUTION = re.compile(
    r"^(?:> ?)*(?:On [^\n]{6,200}?\n?[^\n]{0,120}? wrote:"
    r"|Am [^\n]{6,200}?\n?[^\n]{0,120}?schrieb[^\n]{0,120}:"
    r"|Le [^\n]{6,200}?\n?[^\n]{0,120}? a écrit ?:"
    r"|El [^\n]{6,200}?\n?[^\n]{0,120}? escribió:"
    r"|Il [^\n]{6,200}?\n?[^\n]{0,120}? ha scritto:"
    r"|Op [^\n]{6,200}?\n?[^\n]{0,120}?schreef[^\n]{0,120}:"
    r"|-{3,} ?(?:Original Message|Original-Nachricht|Ursprüngliche Nachricht|Forwarded message"
    r"|Message d'origine|Mensaje original|Messaggio originale|Weitergeleitete Nachricht) ?-{3,})"
    r"[ \t]*$",
    re.MULTILINE,
)
_FIELD = (
    r"(?:> ?)*\*?(?:From|Sent|To|Subject|Date|Cc|Von|Gesendet|An|Betreff|Datum|De|Envoyé|À|Objet"
    r"|Enviado|Para|Asunto|Da|Inviato|A|Oggetto):\*? ?.*"
)
# Three fields of a mail's head or more below each other, as Outlook quotes.
_HEADER = re.compile(rf"^(?:{_FIELD}\n){{2,}}(?:{_FIELD})$", re.MULTILINE)
# "On second thought, I wrote:" has neither a time nor an address.
_TELLS_WHEN_OR_WHO = re.compile(r"\d|@|>|---")


@dataclass(frozen=True)
class Mail:
    """What a mail says, and what stood below it."""

    body: str
    signature: str = ""
    quoted: str = ""


def split_mail(text: str) -> Mail:
    """The newest mail of a thread in its parts; a text of one line is body alone.

    The body is never empty: what would leave nothing is no signature, nor is what a line
    with a colon announces.
    """
    if "\n" not in text:
        return Mail(text)
    newest, quoted = _before_quote(text)
    lines = newest.split("\n")
    filled = [place for place, line in enumerate(lines) if line.strip()]
    # From the longest tail that may be a signature to the shortest; the first line is never one.
    for place in filled[max(1, len(filled) - _MOST_LINES - 1) :]:
        tail = [line for line in lines[place:] if line.strip()]
        # Below a line of text, hyphens are a heading's underline or a rule.
        delimited = bool(_DELIMITER.fullmatch(lines[place].strip())) and place - 1 not in filled
        body = "\n".join(lines[:place]).rstrip()
        if not body.endswith(":") and _is_signature(tail, delimited=delimited):
            return Mail(body, "\n".join(lines[place:]), quoted)
    return Mail(newest, "", quoted) if quoted else Mail(text)


def _before_quote(text: str) -> tuple[str, str]:
    """The text up to the first mail that it quotes, and the rest."""
    found = [match for match in _ATTRIBUTION.finditer(text) if _TELLS_WHEN_OR_WHO.search(match[0])]
    starts = [match.start() for match in (*found[:1], *_HEADER.finditer(text))]
    cut = min(starts, default=len(text))
    body = text[:cut].rstrip()
    return (body, text[cut:]) if body else (text, "")


def _is_signature(tail: list[str], *, delimited: bool) -> bool:
    """Whether the lines up to the end are a closing and short lines that list nothing.

    Below a line of two hyphens a sentence may stand, as disclaimers do.
    """
    first, rest = tail[0].strip(), tail[1:]
    closes = _CLOSING.fullmatch(first) and not _LIST_ITEM.match(tail[0])
    opens = delimited or closes or _DEVICE.fullmatch(first)
    return (
        bool(opens)
        and not any(_LIST_ITEM.match(line) for line in rest)
        and (delimited or not any(_SENTENCE.match(line) for line in rest))
    )


def strip_signature(text: str) -> str:
    """The newest mail of a thread, without its signature; never an empty text."""
    return split_mail(text).body
