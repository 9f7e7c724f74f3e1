"""Questions with their answers and the articles that they are about.

For: lessons that must know which article answers, and an index of known questions. Not for:
notes beside a question, see `rag_examples`; the examples of a dataset, see `tickets`.

    asked = asked_before(tickets.build(desk), articles)
    by_article(asked)["late-fee"]           # what customers asked about it
    joined(asked, 60)                       # two questions in one message
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.datasets.cleaning.run import run
from helpers.datasets.frame import ANSWER, QUESTION
from helpers.evaluation.scorers import Sample
from helpers.rag.documents import Article, load_articles
from helpers.support_desk import tickets
from helpers.support_desk.desk import chat

if TYPE_CHECKING:
    import pandas as pd

JOINTS = ("{} {}", "{} Also, {}", "{} And {}", "{} By the way, {}", "{} One more thing: {}")
"""How customers put a second question behind the first."""
# "I …", "TV …" and the provider's names keep their first letter.
_CAPITAL = re.compile(r"I\b|[A-Z]{2}|Larkwell|Halo")


@dataclass(frozen=True)
class LabelledQuestion:
    """A customer's question, its canonical answer, and the articles it was taken from."""

    question: str
    answer: str
    articles: tuple[str, ...]
    """Empty where the right answer is to decline."""


def asked_in(table: pd.DataFrame, articles: Iterable[Article]) -> list[LabelledQuestion]:
    """The rows of a cleaned table of tickets; their tags name the articles."""
    known = {article.id for article in articles}
    rows = zip(table[QUESTION], table[ANSWER], table["intent"], strict=True)
    return [
        LabelledQuestion(question, answer, tuple(name for name in tags.split(";") if name in known))
        for question, answer, tags in rows
    ]


def new_questions(folder: Path) -> list[LabelledQuestion]:
    """The questions of the later tickets, which came after v1's data were made."""
    more = tickets.load(folder, tickets="tickets_more.csv")
    cleaned = run(tickets.course_steps(more.articles), more.tickets)
    return asked_in(cleaned.table, load_articles(folder / "kb"))


def asked_before(
    made: tickets.BuiltDataset, articles: Iterable[Article], *, part: str = "train"
) -> list[LabelledQuestion]:
    """The questions of a part, "train" or "validation", in its order."""
    known = {one.question: one for one in asked_in(made.cleaning.table, articles)}
    # Message 0 is the desk's system message.
    return [known[example["messages"][1]["content"]] for example in getattr(made, part)]


def examples(asked: Iterable[LabelledQuestion]) -> list[dict[str, Any]]:
    """Chat examples of the questions, without notes."""
    return [chat(one.question, one.answer) for one in asked]


def samples(asked: Iterable[LabelledQuestion]) -> list[Sample]:
    """The questions as test questions of a search: the right articles are known."""
    return [
        Sample(f"{place}", one.question, one.answer, "", article=";".join(one.articles))
        for place, one in enumerate(asked)
    ]


def at_most(asked: Iterable[LabelledQuestion], n: int) -> list[LabelledQuestion]:
    """The first n questions about each article, or pair of them, and all without an article."""
    count: Counter[tuple[str, ...]] = Counter()
    kept = []
    for one in asked:
        count[one.articles] += 1
        if not one.articles or count[one.articles] <= n:
            kept.append(one)
    return kept


def by_article(asked: Iterable[LabelledQuestion]) -> dict[str, list[str]]:
    """Questions about one article alone, by its id: what an index can be built with."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for one in asked:
        if len(one.articles) == 1:
            found[one.articles[0]].append(one.question)
    return dict(found)


def joined(asked: Sequence[LabelledQuestion], n: int, *, seed: int = 42) -> list[LabelledQuestion]:
    """n messages that ask two things, each of two questions about different articles.

    The answer is both answers, in the order asked. Customers do this, and few tickets show it.
    """
    single = [one for one in asked if len(one.articles) == 1]
    # The loop below would never end.
    if len({one.articles for one in single}) < 2:
        raise ValueError("joining needs questions about two articles at least")
    rng = random.Random(seed)
    made: list[LabelledQuestion] = []
    while len(made) < n:
        first, second = rng.sample(single, 2)
        if first.articles == second.articles:
            continue
        joint = rng.choice(JOINTS)
        # "{} {}" begins a new sentence; all others go on within one, or after a colon.
        behind = second.question if joint == JOINTS[0] else _lowered(second.question)
        made.append(
            LabelledQuestion(
                joint.format(first.question, behind),
                f"{first.answer} {second.answer}",
                first.articles + second.articles,
            )
        )
    return made


def _lowered(text: str) -> str:
    """`text` as it stands inside a sentence: "I", names and abbreviations stay."""
    return text if _CAPITAL.match(text) else text[:1].lower() + text[1:]
