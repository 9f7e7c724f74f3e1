"""What of a table, and of one's own articles, a budget has the time to embed.

For: the beginning of a proof with a budget, before anything is asked. A clock ends it, however
slow the machine is. Not for: how many questions and epochs fit then, see
`helpers.capstone.estimate`.

    embed = KeptVectors(embedder(course.client, course.embedding_model))
    part = embeddable(data, drawn, None, embed, minutes=10, end=time.monotonic() + 600, seed=42)
    part.data.train, part.asked
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from helpers.capstone.lookup import KeptVectors, embedded
from helpers.capstone.samples import AnswerTurn
from helpers.capstone.table import TableData
from helpers.rag.documents import Article, chunk

SHARE = 0.1
"""Of the time that is left, for embedding."""
LEAST_QUESTIONS, LEAST_TALKS = 5, 20
"""However short the time: some talks are needed to know how long an answer is."""
TALKS_A_MINUTE = 300
"""Training talks, for each minute of a budget, that are embedded and searched at most."""
AT_ONCE = 16
"""Texts between two looks at the clock."""


@dataclass(frozen=True)
class Embeddable:
    """What has vectors now."""

    data: TableData
    """With fewer training talks, and a note of it."""
    asked: int
    """How many of the drawn questions, from the first on."""
    articles: Sequence[Article] | None


def embeddable(
    data: TableData,
    drawn: Sequence[AnswerTurn],
    articles: Sequence[Article] | None,
    embed: KeptVectors,
    *,
    minutes: float,
    end: float,
    seed: int,
) -> Embeddable:
    """Embed what time allows, in a random order, and leave out the rest.

    The questions get a first part of the time, then the articles, then the training talks; what
    one of them does not need is there for the next.
    """
    begun = time.monotonic()
    share = SHARE * max(0.0, end - begun)
    texts = [[turn.search_text] for turn in drawn]
    asked = in_time(texts, embed, until=begun + share / 4, least=LEAST_QUESTIONS)
    found, notes = _articles(articles, embed, begun + share / 2, seed)
    part = _talks(data, embed, minutes, begun + share, seed)
    return Embeddable(replace(part, notes=(*part.notes, *notes)), asked, found)


def in_time(units: Sequence[Sequence[str]], embed: KeptVectors, *, until: float, least: int) -> int:
    """Embed the texts of one unit after the other until time is over; how many units are done."""
    done = 0
    while done < len(units) and (done < least or time.monotonic() < until):
        texts: list[str] = []
        while done < len(units) and len(texts) < AT_ONCE:
            texts += units[done]
            done += 1
        embedded(texts, embed)
    return done


def _talks(
    data: TableData, embed: KeptVectors, minutes: float, until: float, seed: int
) -> TableData:
    talks = len(data.train_talks)
    most = min(talks, max(LEAST_TALKS, int(TALKS_A_MINUTE * minutes)))
    order = random.Random(seed).sample(range(talks), most)
    texts: list[list[str]] = [[] for _ in range(talks)]
    for turn in data.train:
        texts[turn.talk - 1].append(turn.search_text)
    done = in_time([texts[place] for place in order], embed, until=until, least=LEAST_TALKS)
    if done == talks:
        return data
    kept = sorted(order[:done])
    numbers = {place + 1 for place in kept}
    return replace(
        data,
        train_talks=tuple(data.train_talks[place] for place in kept),
        train=tuple(turn for turn in data.train if turn.talk in numbers),
        notes=(*data.notes, _allowed(done, talks, "training rows to be looked up and learnt")),
    )


def _articles(
    articles: Sequence[Article] | None, embed: KeptVectors, until: float, seed: int
) -> tuple[Sequence[Article] | None, tuple[str, ...]]:
    if not articles:
        return articles, ()
    order = random.Random(seed).sample(range(len(articles)), len(articles))
    # As the index will cut them: what is embedded here is not embedded again there.
    pieces = [[one.passage for one in chunk(articles[place])] for place in order]
    done = in_time(pieces, embed, until=until, least=1)
    if done == len(articles):
        return articles, ()
    kept = [articles[place] for place in sorted(order[:done])]
    return kept, (_allowed(done, len(articles), "articles to be looked up"),)


def _allowed(done: int, whole: int, what: str) -> str:
    return f"The budget allowed {done:,} of {whole:,} {what}, drawn at random."
