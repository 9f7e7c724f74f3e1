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
from itertools import groupby
from pathlib import Path
from typing import Literal

from helpers.base.errors import DataError
from helpers.base.tokens import local_tokenizer
from helpers.rag.embedding import in_two
from helpers.rag.markdown import Heading, Piece, headings, joined, pieces

NO_DATE = dt.date.min
UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
"""Letters of Thai, Lao, Burmese, Khmer, Japanese and Chinese, which put no blanks between words."""


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
    source: str = field(default="", repr=False, compare=False)
    """The whole file, header and all, as it was read."""


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
    max_tokens: int = 400
    """Most tokens in a chunk, whatever its words: a longer sentence or line is cut. The course's
    embedding model reads 512, and the headings are added to a chunk's text."""

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise DataError(f"no chunk has {self.max_tokens} tokens", fix="choose 1 or more")
        if not 0 <= self.overlap < self.size:
            raise DataError(
                f"a chunk of {self.size} words cannot overlap by {self.overlap}",
                fix="choose an overlap from 0 to less than the size",
            )


def load_articles(folder: str | Path, *, on: dt.date | None = None) -> list[Article]:
    """The articles of a folder, one version of each: the one that holds on a day.

    Without `on`, the newest. An article that holds only later is left out. Raises
    `DataError` for a folder without articles, for a file that cannot be read, and for two
    files that are the same version of an article.
    """
    paths = sorted(Path(folder).glob("*.md"))
    if not paths:
        raise DataError(f"no articles (*.md) in {Path(folder).name}", fix="check the folder")
    found = [read_article(path) for path in paths]
    first: dict[tuple[str, dt.date], str] = {}
    for path, article in zip(paths, found, strict=True):
        other = first.setdefault((article.id, article.effective), path.name)
        if other != path.name:
            raise DataError(
                f"{other} and {path.name} are both the article {article.id!r} of the same day",
                fix="give one of them another id, or a later day as effective:",
            )
    return in_force(found, on=on)


def in_force(articles: Sequence[Article], *, on: dt.date | None = None) -> list[Article]:
    """Of several versions of an article, the newest that holds on a day; sorted by id."""
    newest: dict[str, Article] = {}
    # Oldest first, so that a newer version takes the place.
    for article in sorted(articles, key=lambda one: one.effective):
        if on is None or article.effective <= on:
            newest[article.id] = article
    return [newest[name] for name in sorted(newest)]


def check_unique(articles: Sequence[Article]) -> None:
    """Raise `DataError` if two of the articles have one id."""
    counts = Counter(article.id for article in articles)
    twice = [name for name, n in counts.items() if n > 1]
    if twice:
        raise DataError(
            f"{len(twice)} ids stand for several articles, such as {twice[0]!r}"
            if len(twice) > 1
            else f"the id {twice[0]!r} stands for {counts[twice[0]]} articles",
            fix="give each article its own id; of versions, keep the one that holds (in_force)",
        )


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
    header = _header(match[1])
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
        source=source,
    )


def _header(source: str) -> dict[str, str]:
    """The names and values of a header, each value as it is written."""
    import yaml

    try:
        # The base loader makes no numbers, dates or truths of ids such as 007, 1e3 and no.
        found = yaml.load(source, Loader=yaml.BaseLoader)
    except yaml.YAMLError:
        # Most often a colon in a title that is not in quotes, which has one reading.
        lines = (line.partition(":") for line in source.splitlines())
        return {name.strip(): value.strip().strip("\"'") for name, colon, value in lines if colon}
    if not isinstance(found, dict):
        raise ValueError("the header holds no names with values")
    return {name: value for name, value in found.items() if isinstance(value, str)}


def chunk(article: Article, chunking: Chunking | None = None) -> list[Chunk]:
    """The pieces of one article, in its order."""
    rule = chunking or Chunking()
    parts = sections(article)
    if rule.by == "size":
        parts = [((article.title,), "\n\n".join(text for _, text in parts))]
    seen: Counter[str] = Counter()
    made = []
    for heading, text in parts:
        for piece in windows(pieces(text), rule):
            name = f"{article.id}#{slug(heading[-1]) if len(heading) > 1 else 'top'}"
            # Counted under each heading: a new section leaves the others' ids alone.
            seen[name] += 1
            place = f".{seen[name]}" if seen[name] > 1 else ""
            made.append(Chunk(name + place, article.id, heading, piece, article.effective))
    return made


def sections(article: Article) -> list[tuple[tuple[str, ...], str]]:
    """Each stretch of text with the headings above it, the article's title first."""
    lines, above, start = article.text.splitlines(), [Heading(0, article.title, 0, 0)], 0
    found = []
    for heading in headings(article.text):
        found.append((above, lines[start : heading.start]))
        # The article's own first heading repeats its title.
        if heading.title != article.title:
            above = [*(one for one in above if one.level < heading.level), heading]
        start = heading.end
    found.append((above, lines[start:]))
    texts = [
        (tuple(one.title for one in names), "\n".join(part).strip("\n").rstrip())
        for names, part in found
    ]
    return [(names, text) for names, text in texts if text]


def windows(parts: Sequence[Piece], rule: Chunking) -> Iterator[str]:
    """Runs of pieces with at most `rule.size` words, each beginning `rule.overlap` words back."""
    parts = _within(parts, rule.max_tokens)
    start = 0
    while start < len(parts):
        # A window holds at least one piece, however long it is.
        end = start + 1
        while end < len(parts) and _is_chunk(parts[start : end + 1], rule):
            end += 1
        yield joined(parts[start:end])
        if end == len(parts):
            return
        start = _step_back(parts, start, end, rule.overlap)


def _is_chunk(parts: Sequence[Piece], rule: Chunking) -> bool:
    text = joined(parts)
    return word_count(text) <= rule.size and fits(text, rule.max_tokens)


def _step_back(parts: Sequence[Piece], start: int, end: int, overlap: int) -> int:
    """Where the next window begins: as many pieces before `end` as the overlap holds."""
    back, words = end, 0
    # Never back to `start`: the windows must move on.
    while back - 1 > start and words + word_count(parts[back - 1].text) <= overlap:
        back -= 1
        words += word_count(parts[back].text)
    return back


def _within(parts: Sequence[Piece], most: int) -> list[Piece]:
    """The pieces, those cut that have more tokens than a chunk may have by themselves."""
    found = []
    for (before, after), group in groupby(parts, key=lambda one: (one.before, one.after)):
        own, around = list(group), f"{before}{after}"
        if not fits(around, most // 2):
            # A head of such a size cannot stand above each part: it is a line like the others.
            lines = [before, *(one.text for one in own), after]
            own, around = [Piece(line, line=True) for line in lines if line], ""
        room = most - (token_count(around) if around else 0)
        found += [one._replace(text=text) for one in own for text in cut(one.text, room)]
    return found


def cut(text: str, most: int) -> list[str]:
    """A text in parts of at most `most` tokens, cut between words where that is possible."""
    if fits(text, most) or len(text) < 2:
        return [text]
    return [part for half in in_two(text) for part in cut(half, most)]


def shortened(text: str, most: int) -> tuple[str, int]:
    """The beginning and the end of a text, with "[…]" between them, and the tokens left out.

    A text of at most `most` tokens stays as it is, and 0 are left out.
    """
    if fits(text, most):
        return text, 0
    total = token_count(text)
    share = most / total
    while True:
        # By letters in proportion, then a tenth less as long as it is still too long.
        half = max(int(len(text) * share / 2), 1)
        begin, end = text[:half].rsplit(None, 1)[:1], text[-half:].split(None, 1)[-1:]
        shown = " ".join([*begin, "[…]", *end])
        if half == 1 or fits(shown, most):
            return shown, total - token_count(shown)
        share *= 0.9


def fits(text: str, most: int) -> bool:
    """Whether a text has at most so many tokens; one is at least a byte long."""
    # The bytes first: counting them takes no tokenizer.
    return len(text.encode("utf-8", "replace")) <= most or token_count(text) <= most


def token_count(text: str) -> int:
    """Tokens of a text for the course's model, which are more than most models make of it."""
    return local_tokenizer().count(text)


def word_count(text: str) -> int:
    """Words of a text; where no blanks stand between them, two letters count as one."""
    return len(text.split()) + len(UNSPACED.findall(text)) // 2


def slug(text: str) -> str:
    """A heading as part of an id: 'If it fails!' becomes 'if-it-fails'."""
    return re.sub(r"\W+", "-", text.lower()).strip("-") or "section"
