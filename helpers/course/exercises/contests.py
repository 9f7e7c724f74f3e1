"""Exercises whose answer is measured: a function or a setting, its score, and a leaderboard.

For: the tasks of `helpers.course.exercises.nb01` and so on that have something to beat. What is
measured is the course's own data, the same for every learner. Not for: answers that are simply
right, see `helpers.course.exercises.checkers`.

    contest = Contest("pairs judged rightly", score, to_beat=0.8, ours=0.93)
    contest.beaten(0.85)       # True
"""

from __future__ import annotations

import csv
import functools
import itertools
import json
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.course.exercises.checkers import call, shown

DATA = Path(__file__).resolve().parents[3] / "data" / "support"
Measure = Callable[[Any], "float | str"]
"""The score of an answer, or what is wrong with what it gave."""


@dataclass(frozen=True)
class Contest:
    """What an answer is measured by."""

    what: str
    """Said behind the number: "pairs judged rightly"."""
    measure: Measure
    to_beat: float
    ours: float
    """What the solution reaches."""
    lower: bool = False
    """Whether a lower value is the better one, as of a loss."""

    def beaten(self, value: float) -> bool:
        """Whether the value is better than the one to beat."""
        return value < self.to_beat if self.lower else value > self.to_beat

    def best(self, values: Sequence[float]) -> float:
        """The best of some values."""
        return min(values) if self.lower else max(values)

    def board(self, mine: Sequence[float]) -> list[tuple[str, float]]:
        """Rows of the leaderboard, best first: each of one's own tries, the line, and ours."""
        rows = [(f"your try {n}", value) for n, value in enumerate(mine, start=1)]
        rows += [("to beat", self.to_beat), ("the course's solution", self.ours)]

        # A try that is as good as the line has not beaten it, and stands below.
        def place(row: tuple[str, float]) -> tuple[float, bool]:
            return (row[1] if self.lower else -row[1]), row[0].startswith("your")

        return sorted(rows, key=place)


def measured(answer: Any, cases: Sequence[tuple[tuple[Any, ...], Any]], judge: Any) -> float | str:
    """The mean of `judge(result, wanted)` over cases; `judge` returns a number or a fault."""
    found = []
    for arguments, wanted in cases:
        got, fault = call(answer, arguments)
        if fault:
            return f"For {shown(arguments[0])} {fault}"
        score = judge(got, wanted)
        if isinstance(score, str):
            return f"For {shown(arguments[0])} {score}"
        found.append(score)
    return math.fsum(found) / len(found)


def truth(got: Any, wanted: bool) -> float | str:
    """For a function that says True or False."""
    try:
        # NumPy's bools and 0 and 1 compare equal, and are taken; an array raises here.
        if got not in (True, False):
            return f"it gives {shown(got)}; wanted is True or False."
    except (TypeError, ValueError):
        return f"it gives {shown(got)}; wanted is True or False."
    return float(bool(got) == wanted)


@functools.cache
def questions_and_answers(name: str) -> tuple[tuple[str, str], ...]:
    """Question and answer of each example of "train" or "validation"."""
    lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    said = [[m["content"] for m in json.loads(line)["messages"]] for line in lines]
    return tuple((talk[-2], talk[-1]) for talk in said)


def _table(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


SEEN_IN_A_ROW = {
    *("html", "wrong_encoding", "empty_answer", "empty_question", "other_language"),
    *("personal_data", "signature", "useless_answer", "thread"),
}
"""Defects that one row shows by itself."""


@functools.cache
def _defects() -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in _table("defects.csv"):
        found.setdefault(row["ticket_id"], set()).add(row["defect"])
    return found


@functools.cache
def labelled_tickets() -> tuple[tuple[tuple[str, str], bool], ...]:
    """Message and reply of raw tickets, half of them with a defect that one row shows."""
    rows, known = _table("tickets_raw.csv"), _defects()
    bad = [row for row in rows if known.get(row["ticket_id"], set()) & SEEN_IN_A_ROW]
    good = [row for row in rows if row["ticket_id"] not in known]
    # Fixed seeds: every learner is measured on the same cases.
    for some in (bad, good):
        random.Random(0).shuffle(some)
    # As many of each sort, so that saying always "bad" is right half of the time.
    pairs = zip(bad, good, strict=False)
    mixed = [(row, wrong) for pair in pairs for row, wrong in zip(pair, (True, False), strict=True)]
    return tuple(((row["message"], row["reply"]), wrong) for row, wrong in mixed)


LATER = 200
"""Later tickets whose topic is looked up."""


def _topics(rows: Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
    return [(row["message"], row["tags"]) for row in rows if row["tags"] and ";" not in row["tags"]]


@functools.cache
def known_and_later() -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """Message and topic of the clean first tickets, and of some later ones."""
    clean = [row for row in _table("tickets_raw.csv") if row["ticket_id"] not in _defects()]
    later = _topics(_table("tickets_more.csv"))
    random.Random(5).shuffle(later)
    return tuple(_topics(clean)), tuple(later[:LATER])


def topics_found(answer: Any) -> float | str:
    """The share of later tickets whose nearest first ticket has the same topic."""
    known, later = known_and_later()

    def keys(text: str) -> set[Any] | str:
        got, fault = call(answer, (text,))
        if fault:
            return f"For {shown(text)} {fault}"
        if isinstance(got, str) or not hasattr(got, "__iter__"):
            return f"For {shown(text)} it gives {shown(got)}; wanted is a set of words or pieces."
        # Cut off: an answer may be an endless generator.
        return set(itertools.islice(got, 1000))

    held = []
    for text, topic in known:
        found = keys(text)
        if isinstance(found, str):
            return found
        held.append((found, topic))
    hits = 0
    for text, topic in later:
        asked = keys(text)
        if isinstance(asked, str):
            return asked
        hits += max(held, key=lambda one: overlap(one[0], asked))[1] == topic
    return hits / len(later)


def words(text: str) -> set[str]:
    """The words of a text in small letters."""
    return set(re.findall(r"[a-z0-9']+", text.lower()))


def overlap(a: set[Any], b: set[Any]) -> float:
    """The share of words that two texts have in common."""
    return len(a & b) / max(1, len(a | b))


@functools.cache
def hand_verdicts() -> tuple[tuple[tuple[str, str], bool], ...]:
    """Reference and answer of the forty that were judged by hand, with the verdict."""
    lines = (DATA / "judge_labels.jsonl").read_text(encoding="utf-8").splitlines()
    rows: list[Mapping[str, Any]] = [json.loads(line) for line in lines]
    return tuple(((row["reference"], row["answer"]), bool(row["right"])) for row in rows)


def places(got: Any, most: int, length: int) -> list[int] | str:
    """What a function gave as a list of places in a list, or what is wrong with it."""
    if isinstance(got, str | bytes | Mapping) or not hasattr(got, "__iter__"):
        return f"it gives {shown(got)}; wanted is a list of places, counted from 0."
    # One more than there are: an endless generator ends, and too many are seen.
    found = list(itertools.islice(got, length + 1))
    # `__index__` is what NumPy's whole numbers have.
    whole = all(isinstance(p, int) or hasattr(p, "__index__") for p in found)
    if not whole or any(isinstance(p, bool) or not 0 <= p < length for p in found):
        return f"it gives {shown(found)}; wanted are places from 0 to {length - 1}."
    if len(set(found)) != len(found) or not 0 < len(found) <= most:
        return f"it gives {len(found)} places; wanted are at most {most} different ones."
    return [int(p) for p in found]


SHOWN = 2
"""Demonstrations that a prompt may hold."""


def chosen_to_show(answer: Any) -> float | str:
    """How often the right answer stands among the demonstrations that were chosen."""
    learnt, asked = questions_and_answers("train"), questions_and_answers("validation")
    known = [question for question, _ in learnt]
    hits = []
    for question, right in asked:
        got, fault = call(answer, (question, known))
        if fault:
            return f"For {shown(question)} {fault}"
        kept = places(got, SHOWN, len(known))
        if isinstance(kept, str):
            return f"For {shown(question)} {kept}"
        hits.append(any(learnt[place][1] == right for place in kept))
    return sum(hits) / len(hits)


NOTE_WORDS = 60
"""Words that a note may have."""


@functools.cache
def articles_and_facts() -> tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]:
    """The text of each article as of August, with the facts that its questions ask for."""
    import datetime as dt

    from helpers.rag.documents import load_articles

    wanted: dict[str, tuple[tuple[str, ...], ...]] = {}
    for line in (DATA / "gold.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["kind"] == "paraphrase":
            facts = tuple(tuple(spellings) for spellings in row["key_facts"])
            # Several questions ask about an article; the first one's facts stand for it.
            wanted.setdefault(row["articles"][0], facts)
    articles = load_articles(DATA / "kb", on=dt.date(2026, 8, 31))
    return tuple((one.text, wanted[one.id]) for one in articles if one.id in wanted)


def kept_facts(got: Any, wanted: tuple[tuple[str, ...], ...]) -> float | str:
    """The share of the facts that stand in a note of at most so many words."""
    from helpers.evaluation.scorers import contains

    if not isinstance(got, str):
        return f"it gives {shown(got)}; wanted is a text."
    if len(got.split()) > NOTE_WORDS:
        return f"it gives {len(got.split())} words; a note may have {NOTE_WORDS}."
    hits = [any(contains(got, spelling) for spelling in fact) for fact in wanted]
    return sum(hits) / len(hits)


MODEL = "gpt-4.1-mini"
LOADS = tuple((q, u) for q in (300, 3_000, 30_000, 100_000, 300_000) for u in (0, 1, 4, 8))
"""Questions and updates a month."""
NEAR = 1.05
"""A bill so many times the lowest one still counts as cheap."""


def cheap_choices(answer: Any) -> float | str:
    """The share of loads for which the method that was chosen is about the cheaper one."""
    from helpers.costs import catalog, monthly

    known, hits = catalog.load(), 0
    for questions, updates in LOADS:
        got, fault = call(answer, (questions, updates))
        if fault:
            return f"For {questions:,} questions {fault}"
        load = monthly.Workload(questions=questions, updates=updates)
        offers = {name: monthly.hosted(name, load, MODEL, known) for name in CHOICES}
        bills = {name: bill.total(questions) for name, bill in offers.items() if bill}
        if not isinstance(got, str) or got not in bills:
            return f"For {questions:,} questions it gives {shown(got)}; wanted is one of {CHOICES}."
        hits += bills[got] <= NEAR * min(bills.values())
    return hits / len(LOADS)


CHOICES = ("few-shot", "tuned")

LESSONS, STEPS = 48, 36
"""Examples that the small job learns from, and steps that it may take."""


def no_settings(answer: Any) -> str | None:
    """Why an answer cannot be run as a small job; None if it can."""
    from helpers.finetuning.jobs import Hyperparameters

    if not isinstance(answer, Hyperparameters):
        return f"This is of type {type(answer).__name__}; wanted is Hyperparameters(…)."
    counts = (answer.n_epochs, answer.batch_size)
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in counts):
        return "Give n_epochs and batch_size as whole numbers: what is automatic is what to beat."
    if answer.beta is not None:
        return "beta belongs to preferences; here are none."
    steps = math.ceil(LESSONS / int(answer.batch_size)) * int(answer.n_epochs)
    if steps > STEPS:
        return f"That takes {steps} steps; {STEPS} are allowed. Fewer epochs, or larger batches."
    return None


def validation_loss(answer: Any) -> float | str:
    """The loss on the validation questions after a small job with these settings, on the server."""
    from helpers.base.errors import CourseError
    from helpers.base.settings import BASE_MODEL
    from helpers.connection import connect
    from helpers.course.progress import path
    from helpers.finetuning.jobs import fine_tune, wait

    folder = path().parent / "exercises"
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, most in (("train", LESSONS), ("validation", LESSONS // 2)):
        lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()[:most]
        files.append(folder / f"02-{name}.jsonl")
        files[-1].write_text("\n".join(lines) + "\n", encoding="utf-8")
    course = connect()
    # The line to beat is the course's own model's, whichever base a learner has chosen.
    model = BASE_MODEL if course.backend == "embedded" else course.chat_model
    try:
        run = fine_tune(
            course.client,
            model=model,
            training=files[0],
            validation=files[1],
            hyperparameters=answer,
            suffix="exercise",
        )
        job = wait(course.client, run.job.id)
    except CourseError as error:
        return f"The server could not train with it: {error}."
    held = course.client.fine_tuning.jobs.checkpoints.list(job.id).data
    losses = [one.metrics.full_valid_loss for one in held if one.metrics.full_valid_loss]
    return min(losses) if losses else "The endpoint told no validation loss."
