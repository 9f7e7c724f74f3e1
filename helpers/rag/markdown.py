"""The structure of a Markdown text: its headings, and the pieces that must not be torn apart.

For: cutting articles and writing notes. A sentence or a list item is a piece; so is each line
of a table or of code, with the lines that must stand around it. Not for: how large a chunk
is, see `documents`.

    pieces("It is free. Call us.")     # two, each with its text
    joined(pieces(text))         # the same text again, white space apart
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

# A full stop behind these ends no sentence.
ABBREVIATIONS = r"(?<!\ba\.m\.)(?<!\bp\.m\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\betc\.)(?<!\bno\.)"
# Behind ". ", but not behind a number's point, unless a capital follows: "Wait 5. Then call."
SENTENCE_END = re.compile(
    rf"(?<=[.!?])(?<!\d\.){ABBREVIATIONS}[\"')]*\s+|(?<=\d\.)\s+(?=[A-Z])"
    # Chinese and Japanese put no blank behind a full stop; Arabic, Hindi and Urdu have their own.
    r"|(?<=[。！？])(?![。！？”’」』）])\s*|(?<=[؟۔।])\s+"
)
ITEM = re.compile(r"\s*(?:[-*+•]|\d+[.)])\s+")
BLOCK_SIGN = re.compile(r"[|`~<]|^(?: {4}|\t)", re.MULTILINE)
"""Without any of these there is neither table, code nor HTML, and nothing to parse."""
FENCE = re.compile(r"\s*(```+|~~~+)")


class Heading(NamedTuple):
    """A heading, and the lines that it takes."""

    level: int
    """1 to 6."""
    title: str
    start: int
    end: int
    """The first line behind it."""


class Piece(NamedTuple):
    """What is not torn apart, unless it is too long by itself."""

    text: str
    line: bool = False
    """It is a line of a table or of code, and stays one."""
    before: str = ""
    """What must stand above such a line: the head of its table, or the fence of its code."""
    after: str = ""
    flows: bool = False
    """It is a row of a table that runs into a sentence; in a note it flows as that does."""


@functools.cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table")


def headings(text: str) -> list[Heading]:
    """The headings of a text, in order; what looks like one inside code is none."""
    tokens = _parser().parse(text)
    return [
        Heading(int(token.tag[1]), tokens[place + 1].content, *token.map)
        for place, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0 and token.map
        if tokens[place + 1].content
    ]


def pieces(text: str) -> list[Piece]:
    """Sentences, list items, and the lines of tables and code, in order."""
    lines, done = text.splitlines(), 0
    found: list[Piece] = []
    for block in _blocks(text):
        start, end = block.map or (0, 0)
        # A block inside another one, as a table in a quotation, was taken with that.
        if start >= done:
            found += _prose("\n".join(lines[done:start]))
            found += _lines(block, lines[start:end])
            done = end
    return found + _prose("\n".join(lines[done:]))


def _blocks(text: str) -> list[Token]:
    """Tables, code and HTML, wherever they stand."""
    if not BLOCK_SIGN.search(text):
        return []
    kinds = {"table_open", "fence", "code_block", "html_block"}
    return [token for token in _parser().parse(text) if token.type in kinds and token.map]


def _prose(text: str) -> list[Piece]:
    return [Piece(sentence) for sentence in sentences(text)]


def _lines(block: Token, lines: Sequence[str]) -> Iterator[Piece]:
    body = [line.rstrip() for line in lines]
    if block.type == "table_open":
        return _rows(body)
    before = after = ""
    if block.type == "fence":
        closed = len(body) > 1 and FENCE.fullmatch(body[-1]) is not None
        # An open fence is closed with the same sign.
        before, after = body[0], body[-1] if closed else FENCE.findall(body[0])[0]
        body = body[1 : len(body) - closed]
    while body and not body[-1]:
        body.pop()
    return (Piece(line, True, before, after) for line in body)


def _rows(lines: Sequence[str]) -> Iterator[Piece]:
    """The rows of a table. Text right below it would be a row too, by the letter of the rules;
    nobody who wrote a sentence there meant that."""
    head, body = "\n".join(lines[:2]), lines[2:]
    rows = [line for line in body if "|" in line]
    behind = [line for line in body if "|" not in line]
    if not rows:
        rows, head = [head], ""
    yield from (Piece(row, True, head, flows=bool(behind)) for row in rows)
    yield from _prose("\n".join(behind))


def sentences(text: str) -> list[str]:
    """Sentences and list items of prose, each on one line, in order."""
    found: list[str] = []
    # Cut at empty lines, and before each item of a list.
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[-*+•]|\d+[.)])\s)", text):
        line = " ".join(paragraph.split())
        mark = ITEM.match(line)
        start = mark.end() if mark else 0
        parts = [part.strip() for part in SENTENCE_END.split(line[start:]) if part.strip()]
        if mark and parts:
            parts[0] = line[:start] + parts[0]
        found += parts
    return found


def joined(parts: Iterable[Piece], *, items: str = "\n") -> str:
    """Pieces as a text again: a blank between sentences, `items` before a list item, and the
    lines of tables and code each on its own, between what must stand around them."""
    text = ""
    for (line, before, after, flows), group in groupby(parts, key=lambda one: one[1:]):
        texts = [one.text for one in group]
        around = [*filter(None, [before]), *texts, *filter(None, [after])]
        text += "\n".join(around) if line else _flowing(texts, items)
        text += "\n" if flows else "\n\n"
    return text.strip("\n")


def _flowing(texts: Sequence[str], items: str) -> str:
    text = ""
    for one in texts:
        text += (items if ITEM.match(one) else " " if text else "") + one
    return text.strip()


def note_text(parts: Iterable[Piece]) -> str:
    """Pieces as a note reads: list items and sentences one after the other."""
    return joined(_flowed(parts), items=" ")


def _flowed(parts: Iterable[Piece]) -> Iterator[Piece]:
    heads = set()
    for one in parts:
        if one.flows:
            # A flowing row brings the head of its table along once.
            text = one.text if one.before in heads else f"{one.before} {one.text}"
            heads.add(one.before)
            yield Piece(" ".join(text.split()))
        else:
            yield one
