"""Read the articles of a knowledge base and cut them into chunks that can be found.

For: a folder of Markdown files with a small header (front matter), cut by heading and by
size with overlap. Not for: embedding or searching, see `helpers.rag`.

    articles = load_articles("data/support/kb")
    chunks = chunk(articles[0], Chunking(size=60, overlap=15))
    chunks[0].id         # 'router-reset#before-you-start'
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from helpers.base.errors import DataError

NO_DATE = dt.date.min


@dataclass(frozen=True)
class Article:
    """One article of a knowledge base, in one version."""

    id: str
    title: str
    text: str = field(repr=False)
    """Markdown, without the front matter."""
    effective: dt.date = NO_DATE
    """The day from which it holds."""
    product: str = ""


@dataclass(frozen=True)
class Chunk:
    """A piece of an article: what is embedded, found and cited."""

    id: str
    """Article, heading and place, so that editing one section leaves the others' ids alone."""
    article: str
    heading: tuple[str, ...]
    """From the article's title down to the heading that the text stands under."""
    text: str
    effective: dt.date = NO_DATE

    @property
    def passage(self) -> str:
        """What is searched: the text alone often lacks the name of the thing it is about."""
        return f"{' > '.join(self.heading)}\n{self.text}"


@dataclass(frozen=True)
class Chunking:
    """How to cut: at headings first and then by size, or by size alone."""

    by: Literal["heading", "size"] = "heading"
    size: int = 80
    """Most words in a chunk; a single longer sentence stays whole."""
    overlap: int = 0
    """Words that a chunk repeats from the end of the one before, in whole sentences."""

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.size:
            raise DataError(
                f"a chunk of {self.size} words cannot overlap by {self.overlap}",
                fix="choose an overlap from 0 to less than the size",
            )


def load_articles(folder: str | Path, *, on: dt.date | None = None) -> list[Article]:
    """The articles of a folder, one version of each: the one that holds on a day.

    Without `on`, the newest. An article that holds only later is left out. Raises
    `DataError` for a folder without articles and for a file that cannot be read.
    """
    found = [read_article(path) for path in sorted(Path(folder).glob("*.md"))]
    if not found:
        raise DataError(f"no articles (*.md) in {Path(folder).name}", fix="check the folder")
    return in_force(found, on=on)


def in_force(articles: Sequence[Article], *, on: dt.date | None = None) -> list[Article]:
    """Of several versions of an article, the newest that holds on a day; sorted by id."""
    newest: dict[str, Article] = {}
    for article in sorted(articles, key=lambda one: one.effective):
        if on is None or article.effective <= on:
            newest[article.id] = article
    return [newest[name] for name in sorted(newest)]


def read_article(path: str | Path) -> Article:
    """One file. Raises `DataError` that names it and what is wrong."""
    path = Path(path)
    try:
        return parse_article(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path.name}: {error}", fix="begin it with ---, id:, title:, effective: and ---"
        ) from error


def parse_article(source: str) -> Article:
    """An article from its text. Raises `ValueError` for a header that is missing or wrong."""
    match = re.match(r"\ufeff?---\s*\n(.*?)\n---\s*(?:\n|\Z)", source, re.DOTALL)
    if not match:
        raise ValueError("there is no header between two lines ---")
    header = {}
    for line in match[1].splitlines():
        name, colon, value = line.partition(":")
        if colon:
            header[name.strip()] = value.strip().strip("\"'")
    missing = [name for name in ("id", "title") if not header.get(name)]
    if missing:
        raise ValueError(f"the header has no {' and no '.join(missing)}")
    day = header.get("effective")
    return Article(
        id=header["id"],
        title=header["title"],
        text=source[match.end() :].strip(),
        effective=dt.date.fromisoformat(day) if day else NO_DATE,
        product=header.get("product", ""),
    )


def chunk(article: Article, chunking: Chunking | None = None) -> list[Chunk]:
    """The pieces of one article, in its order."""
    rule = chunking or Chunking()
    parts = sections(article)
    if rule.by == "size":
        parts = [((article.title,), "\n".join(text for _, text in parts))]
    seen: Counter[str] = Counter()
    made = []
    for heading, text in parts:
        for piece in windows(sentences(text), size=rule.size, overlap=rule.overlap):
            name = f"{article.id}#{slug(heading[-1]) if len(heading) > 1 else 'top'}"
            seen[name] += 1
            place = f".{seen[name]}" if seen[name] > 1 else ""
            made.append(Chunk(name + place, article.id, heading, piece, article.effective))
    return made


def sections(article: Article) -> list[tuple[tuple[str, ...], str]]:
    """Each stretch of text with the headings above it, the article's title first."""
    path: list[str] = []
    found: list[tuple[tuple[str, ...], list[str]]] = [((article.title,), [])]
    for line in article.text.splitlines():
        match = re.match(r"(#{1,6})\s+(.+?)\s*#*$", line)
        if match:
            level = max(len(match[1]) - 2, 0)
            # The article's own first heading repeats its title.
            path = [*path[:level], match[2]] if len(match[1]) > 1 else []
            found.append(((article.title, *path), []))
        else:
            found[-1][1].append(line)
    texts = [(heading, "\n".join(lines).strip()) for heading, lines in found]
    return [(heading, text) for heading, text in texts if text]


ABBREVIATIONS = r"(?<!\ba\.m\.)(?<!\bp\.m\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\betc\.)(?<!\bno\.)"
SENTENCE_END = re.compile(rf"(?<=[.!?])(?<!\d\.){ABBREVIATIONS}[\"')]*\s+|(?<=\d\.)\s+(?=[A-Z])")
ITEM = re.compile(r"\s*(?:[-*+•]|\d+[.)])\s+")


def sentences(text: str) -> list[str]:
    """Sentences and list items, each on one line, in order."""
    found: list[str] = []
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[-*+•]|\d+[.)])\s)", text):
        line = " ".join(paragraph.split())
        mark = ITEM.match(line)
        start = mark.end() if mark else 0
        parts = [part.strip() for part in SENTENCE_END.split(line[start:]) if part.strip()]
        if mark and parts:
            parts[0] = line[:start] + parts[0]
        found += parts
    return found


def windows(parts: Sequence[str], *, size: int, overlap: int) -> Iterator[str]:
    """Runs of sentences with at most `size` words, each beginning `overlap` words back."""
    start = 0
    while start < len(parts):
        end, words = start, 0
        while end < len(parts) and (end == start or words + _words(parts[end]) <= size):
            words += _words(parts[end])
            end += 1
        yield _joined(parts[start:end])
        if end == len(parts):
            return
        start = _step_back(parts, start, end, overlap)


def _step_back(parts: Sequence[str], start: int, end: int, overlap: int) -> int:
    """Where the next window begins: as many sentences before `end` as the overlap holds."""
    back, words = end, 0
    while back - 1 > start and words + _words(parts[back - 1]) <= overlap:
        back -= 1
        words += _words(parts[back])
    return back


def _joined(parts: Sequence[str]) -> str:
    """Sentences with a space between them; each list item begins a line."""
    text = ""
    for part in parts:
        text += ("\n" if ITEM.match(part) else " " if text else "") + part
    return text.strip()


def _words(text: str) -> int:
    return len(text.split())


def slug(text: str) -> str:
    """A heading as part of an id: 'If it fails!' becomes 'if-it-fails'."""
    return re.sub(r"\W+", "-", text.lower()).strip("-") or "section"
