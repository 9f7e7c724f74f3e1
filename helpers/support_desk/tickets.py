"""The course's own data: from the raw export of the support desk to three files.

For: notebook 01, which shows each step, and the test that the stored files are what the
steps make. Not for: your own table, see `helpers.datasets.pipeline`.

    desk = load(root / "data/support")
    made = build(desk)
    made.train, made.validation, made.test      # lists of examples
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.base import jsonl
from helpers.datasets import dedup
from helpers.datasets.checkable_facts import NUMBER
from helpers.datasets.cleaning import steps
from helpers.datasets.cleaning.run import CleaningResult, Step, StepOutcome, run
from helpers.datasets.frame import ANSWER, QUESTION, full_texts
from helpers.datasets.splitting import split
from helpers.rag.documents import load_articles, parse_article
from helpers.support_desk.desk import KEEP, chat

if TYPE_CHECKING:
    import pandas as pd

SEED, VALIDATION, TOO_FEW, LONGEST = 42, 0.13, 5, 40
NEAR = 0.8
"""Similarity from which two tickets count as nearly equal."""
TEXT_STEPS = 7
"""How many of the steps change texts only; the labelled tickets go through these."""
ANSWERED = dt.date(2026, 8, 31)
"""The day on which the last ticket was answered."""


@dataclass(frozen=True)
class Desk:
    """What the folder holds: the tickets, their articles, and the labels of the test set."""

    tickets: pd.DataFrame
    """One row per ticket, with `ticket_id`, `intent`, `question` and `answer`."""
    articles: Mapping[str, str]
    """Text of each article as it was when the tickets were answered, by id."""
    gold: Mapping[str, Mapping[str, Any]]
    """By ticket id: kind, intents, articles and key facts of the tickets kept for testing."""


@dataclass(frozen=True)
class BuiltDataset:
    """The three parts as chat examples, and the account of the cleaning."""

    train: list[dict[str, Any]]
    validation: list[dict[str, Any]]
    test: list[dict[str, Any]]
    cleaning: CleaningResult


def load(folder: Path, *, tickets: str = "tickets_raw.csv") -> Desk:
    """Read the export as text; a missing cell is an empty one."""
    import pandas as pd

    # "NA" or "null" as a customer's whole message is text.
    table = pd.read_csv(folder / tickets, dtype=str, keep_default_na=False)
    table = table.rename(columns={"message": QUESTION, "reply": ANSWER, "tags": "intent"})
    gold = {row["ticket_id"]: row for row in jsonl.read(folder / "gold.jsonl")}
    return Desk(table, articles(folder / "kb"), gold)


def articles(folder: Path, *, updated: bool = False) -> dict[str, str]:
    """Text of each article with its header, by id: as it was when the tickets were answered, or
    with `updated` its newest version."""
    found = load_articles(folder, on=None if updated else ANSWERED)
    return {article.id: article.source for article in found}


def greetings() -> Step:
    """Drop the opening and the closing line that agents put around an answer."""
    return Step(
        "greetings",
        "The model would greet in the voices of five agents.",
        lambda table: StepOutcome(
            table.assign(**{ANSWER: table[ANSWER].map(without_greeting)}), {}
        ),
    )


def without_greeting(text: str) -> str:
    """The lines that state something: with a number in them, if there is any such line."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    # A line with a number states something; greetings and closings hold none as a rule.
    telling = [line for line in lines if NUMBER.search(line)]
    return " ".join(telling or lines)


def straight_quotes() -> Step:
    """Write every apostrophe and quotation mark in one way."""
    table = str.maketrans("‘’“”", "''\"\"")
    why = "The model would see two spellings of each short form."
    return steps.text_step("quotes", why, lambda text: text.translate(table))


def titles(known: Mapping[str, str]) -> dict[str, str]:
    """Title of each article, from its header."""
    return {name: parse_article(text).title for name, text in known.items()}


def topic_first(known: Mapping[str, str]) -> Step:
    """Begin each answer with the title of its article: "Late payment: When a bill …"."""
    named = titles(known)

    def function(table: pd.DataFrame) -> StepOutcome:
        single = {
            # Each canonical answer to one question, so that an answer to two can be recognised as a
            # pair.
            row[ANSWER]: named[row["intent"]]
            for row in _rows(table)
            if row["intent"] in named
        }
        answers = [_with_titles(row, named, single) for row in _rows(table)]
        return StepOutcome(table.assign(**{ANSWER: answers}), {})

    why = "A small model that starts on the details has chosen a topic without naming it."
    return Step("topic first", why, function)


def _with_titles(
    row: Mapping[str, str], named: Mapping[str, str], single: Mapping[str, str]
) -> str:
    """The answer with its title; an answer to two questions gets one before each part."""
    intents, rest = row["intent"].split(";"), row[ANSWER]
    if len(intents) == 1:
        return f"{named[intents[0]]}: {rest}" if intents[0] in named else rest
    parts = []
    # Peels known answers off the front; what then remains is no joined answer, and stays as it was.
    while part := next((text for text in single if rest.startswith(text)), ""):
        parts.append(f"{single[part]}: {part}")
        rest = rest[len(part) :].strip()
    return row[ANSWER] if rest else " ".join(parts)


def alike() -> Step:
    """Keep the first of tickets that are nearly the same in question and answer together.

    Stricter than `steps.duplicates`: of this desk's few answers many wordings of a question
    are at hand, so that another word is no reason to keep a second one.
    """

    def function(table: pd.DataFrame) -> StepOutcome:
        texts = full_texts(table)
        exact = dedup.exact_duplicates(texts).labels
        labels = dedup.near_duplicates(texts, threshold=NEAR).labels
        reasons = {}
        for place, first in enumerate(labels.tolist()):
            # The label of a group is the place of its first row.
            if first != place:
                kind = "duplicate" if exact[place] == exact[first] else "near duplicate"
                reasons[table.index[place]] = f"{kind} of row {table.index[first]}"
        return StepOutcome(table.drop(index=list(reasons)), reasons)

    why = "Repeated examples weigh more, and leak from training into the test."
    return Step("duplicates", why, function)


def tagged(*, at_least: int = TOO_FEW) -> Step:
    """Take out tickets without an intent, and intents with too few tickets to be learnt."""

    def function(table: pd.DataFrame) -> StepOutcome:
        counts = table["intent"].value_counts()
        reasons = {}
        for index, intent in table["intent"].items():
            if not intent:
                reasons[index] = "no intent"
            # Pairs of intents are rare by nature.
            elif ";" not in intent and counts[intent] < at_least:
                reasons[index] = f"only {counts[intent]} tickets about {intent}"
        return StepOutcome(table.drop(index=list(reasons)), reasons)

    return Step("tagged", "Two examples of a thing teach the model to guess at it.", function)


def house_style(*, longest: int = LONGEST) -> Step:
    """Take out answers that are longer than the desk's own rule."""
    return steps.reject_step(
        "house style",
        "The model would chat at length, as some agents do.",
        lambda row: (
            f"an answer of {len(row[ANSWER].split())} words"
            # An answer to two questions may be twice as long.
            if len(row[ANSWER].split()) > longest * (1 + row["intent"].count(";"))
            else ""
        ),
    )


def agrees_with_article(known: Mapping[str, str], *, route: str = KEEP[0]) -> Step:
    """Take out answers with a number that their article does not state, or with none at all.

    Where no article exists, as for questions that are declined, the answer must name `route`.
    """
    stated = {name: frozenset(NUMBER.findall(text)) for name, text in known.items()}

    def judge(row: pd.Series[Any]) -> str:
        said = frozenset(NUMBER.findall(row[ANSWER]))
        allowed = [stated[name] for name in row["intent"].split(";") if name in stated]
        if not allowed:
            return "" if route in row[ANSWER] else f"neither an article nor {route}"
        # The number to call is no fact of an article.
        extra = sorted(said - frozenset(NUMBER.findall(route)).union(*allowed))
        if extra:
            return f"says {', '.join(extra)}, the article does not"
        return "" if said else "states nothing from its article"

    return steps.reject_step(
        "articles", "The model would learn an agent's mistake as a fact.", judge
    )


def course_steps(known: Mapping[str, str]) -> list[Step]:
    """All steps for the desk's export, in order."""
    return [
        # Form first, since later steps compare texts; the titles last, or `house_style` would count
        # their words too.
        steps.encoding(),
        steps.markup(),
        steps.signatures(),
        greetings(),
        straight_quotes(),
        steps.whitespace(),
        steps.redaction(keep=KEEP, own=False),
        steps.useless(words=5),
        steps.language("en"),
        tagged(),
        agrees_with_article(known),
        alike(),
        steps.contradictions(),
        house_style(),
        topic_first(known),
    ]


def build(desk: Desk, *, seed: int = SEED) -> BuiltDataset:
    """Clean the tickets that may be learnt from, split them, and write up the labelled ones."""
    held_out = desk.tickets["ticket_id"].isin(list(desk.gold))
    # The labelled tickets are kept for testing, and must not be learnt from.
    cleaning = run(course_steps(desk.articles), desk.tickets[~held_out])
    # Only the steps that change texts: those that drop rows would thin the test set out.
    texts = course_steps(desk.articles)[:TEXT_STEPS]
    labelled = run([*texts, topic_first(desk.articles)], desk.tickets[held_out]).table
    parts = split(cleaning.table, validation=VALIDATION, test=0.0, seed=seed)
    return BuiltDataset(
        train=examples(parts.train),
        validation=examples(parts.validation),
        test=[_labelled(row, desk.gold) for row in _rows(labelled)],
        cleaning=cleaning,
    )


def examples(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Chat examples of the rows of a table."""
    return [chat(row[QUESTION], row[ANSWER]) for row in _rows(table)]


def _labelled(row: Mapping[str, Any], gold: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    label = gold[row["ticket_id"]]
    return {
        **chat(row[QUESTION], row[ANSWER]),
        "id": row["ticket_id"],
        "kind": label["kind"],
        "intent": ";".join(label["intents"]),
        "article": ";".join(label["articles"]),
        "key_facts": label["key_facts"],
    }


def _rows(table: pd.DataFrame) -> Sequence[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in table.to_dict(orient="records")]


def write(made: BuiltDataset, folder: Path) -> None:
    """Store the three parts as JSONL."""
    for name in ("train", "validation", "test"):
        jsonl.write(folder / f"{name}.jsonl", getattr(made, name))
