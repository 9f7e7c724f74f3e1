"""Training examples that teach a model to answer from notes, and not from memory.

For: retrieval-aware fine-tuning. The user message holds notes in the form of
`helpers.rag.prompts.with_notes`: the article that answers among others, with its numbers changed
anew in each example, so that only reading the note gives the answer (after RAFT, Zhang et al.
2024). Where no note answers, the right answer is to decline. Not for: finding the notes;
questions without notes, see `labelled_questions`.

    made = rag_examples_of(questions, articles, neighbours, seed=42)
    made[0].example["messages"]
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from helpers.rag.documents import Article
from helpers.rag.prompts import article_note, with_notes
from helpers.support_desk.desk import DECLINE, SYSTEM
from helpers.support_desk.labelled_questions import LabelledQuestion

Rules = Mapping[str, Sequence[tuple[str, str]]]
"""For an article, pairs of its words and others that could stand in their place."""

CHANGED, REWORDED = 0.85, 0.5
"""Shares of examples: with other numbers; with another rule, where one is written."""
# "$35" and "12", but no part of "2.5", "1,000", "8:30", "LF-17", "v2" or an address: those are
# names or would need a change of form.
_NUMBER = re.compile(r"(?<![\w.@/-])(\$?)(\d+)(?![\w@/-]|[.,:]\d)")
# "1. " and "2) " at the start of a line.
_ITEM = re.compile(r"^(\s*)(\d+[.)]\s)", re.MULTILINE)


@dataclass(frozen=True)
class RagExample:
    """One training example and what was done to its notes."""

    example: dict[str, Any]
    articles: tuple[str, ...]
    """The articles of the notes, in their order."""
    answerable: bool
    changed: bool


def load_rules(path: str | Path) -> dict[str, list[tuple[str, str]]]:
    """Other rules for some articles, written by hand, from a JSON file."""
    raw = json.loads(Path(path).read_text(encoding="utf-8"))
    return {name: [(old, new) for old, new in pairs] for name, pairs in raw.items()}


def rag_examples_of(
    asked: Sequence[LabelledQuestion],
    articles: Sequence[Article],
    neighbours: Sequence[Sequence[str]],
    *,
    rules: Rules | None = None,
    notes: int = 3,
    unanswered: float = 0.0,
    seed: int = 42,
) -> list[RagExample]:
    """One example for each question, in their order.

    `neighbours` holds, for each question, the articles that the search returned, best first, of
    which at most `notes` are shown. The lessons should show as many as answering will.
    `unanswered` is the share of examples with the answering article taken out of the notes, so
    that they decline: with some, a small model declines more where it need not, too.
    """
    known = {article.id: article for article in articles}
    rng = random.Random(seed)
    found = []
    for one, near in zip(asked, neighbours, strict=True):
        others = [name for name in near if name not in one.articles and name in known]
        # No draw for a question that is declined in any case.
        answerable = bool(one.articles) and rng.random() >= unanswered
        names = _placed(one.articles, near, notes) if answerable else others[:notes]
        answer = one.answer if answerable or not one.articles else DECLINE
        shown = [known[name] for name in names]
        changed = answerable and rng.random() < CHANGED
        if changed:
            shown, answer = _reworded(shown, answer, rules or {}, rng)
            shown, answer = _renumbered(shown, answer, rng)
        found.append(
            RagExample(_example(one.question, shown, answer), tuple(names), answerable, changed)
        )
    return found


def _example(question: str, shown: Sequence[Article], answer: str) -> dict[str, Any]:
    prompt = with_notes(question, [article_note(article) for article in shown], system=SYSTEM)
    return {"messages": [*prompt, {"role": "assistant", "content": answer}]}


def _placed(right: Sequence[str], near: Sequence[str], notes: int) -> list[str]:
    """The found articles, with each right one that was not found put in at the end."""
    found = list(near[:notes])
    for name in right:
        if name not in found:
            wrong = [other for other in found if other not in right]
            if len(found) >= notes and wrong:
                # The last of the wrong ones makes room, the one that the search found least near.
                found.remove(wrong[-1])
            found.append(name)
    return found


def _reworded(
    shown: Sequence[Article],
    answer: str,
    rules: Rules,
    rng: random.Random,
) -> tuple[list[Article], str]:
    """The same change of a rule in the article and in the answer."""
    articles = list(shown)
    for place, article in enumerate(articles):
        for old, new in rules.get(article.id, ()):
            # In both, or note and answer would disagree.
            if old in article.text and old in answer and rng.random() < REWORDED:
                articles[place] = replace(article, text=article.text.replace(old, new))
                answer = answer.replace(old, new)
                # One rule an article: a second one could match inside the first's new words.
                break
    return articles, answer


def _renumbered(
    shown: Sequence[Article], answer: str, rng: random.Random
) -> tuple[list[Article], str]:
    """Other numbers for those of the answer, the same ones in notes and answer."""
    new: dict[str, str] = {}
    # Numbers of the answer alone: those it does not state may stay in the notes as they are.
    for match in _NUMBER.finditer(answer):
        if match[0] not in new:
            new[match[0]] = match[1] + _other(int(match[2]), taken=set(new.values()), rng=rng)
    return [replace(one, text=renumber(one.text, new)) for one in shown], renumber(answer, new)


def renumber(text: str, new: Mapping[str, str]) -> str:
    """`text` with numbers replaced; those that count list items, or are part of a name, stay."""
    items = {match.start(2) for match in _ITEM.finditer(text)}

    def swap(match: re.Match[str]) -> str:
        return match[0] if match.start() in items else new.get(match[0], match[0])

    return _NUMBER.sub(swap, text)


def _other(number: int, *, taken: set[str], rng: random.Random) -> str:
    """Another number of like size, round where this one is round."""
    step = next(size for size in (100, 50, 10, 5, 1) if number % size == 0 and number >= size)
    # From half to twice the number, and a little beyond so that 1 has other choices.
    low, high = max(1, number // step // 2), number // step * 2 + 3
    choices = [step * n for n in range(low, high + 1) if step * n != number]
    # Two numbers of an answer must not become the same one.
    free = [n for n in choices if str(n) not in taken and f"${n}" not in taken]
    return str(rng.choice(free or choices))
