"""Exercises of notebook 06: retrieval-augmented generation."""

from __future__ import annotations

from helpers.course.exercises.checkers import any_function, choice, number
from helpers.course.exercises.contests import (
    Contest,
    articles_and_facts,
    kept_facts,
    measured,
)
from helpers.course.exercises.core import ExerciseTask

_recall = number(
    0.5,
    "a number from 0 to 1",
    {
        1: "One of the two relevant articles is only in the fourth place.",
        0: "One relevant article is among the first three.",
        1 / 3: "That is precision@3. Recall divides by the number of relevant articles, not by 3.",
        2 / 3: "Only one of the two relevant articles is among the first three.",
        50: "As a share, not in percent: a number from 0 to 1.",
    },
    "Relevant articles among the first three, divided by all relevant ones.",
    within=0.005,
)


_rrf = number(
    # Rank 1 in one list, rank 3 in the other.
    1 / 61 + 1 / 63,
    "a number",
    {
        1 / 61: "That is the share of one of the two lists; both count.",
        1 / 63: "That is the share of one of the two lists; both count.",
        1 / 1 + 1 / 3: "The constant 60 is added to each rank before it is inverted.",
        1 / 60 + 1 / 62: "Ranks count from 1: the first place gives 1 / (60 + 1).",
        2 / 62: "The ranks are not averaged first: each list gives its own share.",
        1 / 124: "Invert each list's rank by itself, then add the two.",
    },
    "Each list gives 1 / (60 + rank); add the two.",
    within=0.0001,
)


_diagnose = choice(
    "retrieval",
    {"generation": "The model never saw the right note, so it could not have used it."},
)

TASKS = (
    ExerciseTask(
        "06-rrf",
        "••",
        "1/61 + 1/63: two good ranks beat one very good rank.",
        _rrf,
        (
            "Reciprocal rank fusion adds over the lists.",
            "First place gives 1 / (60 + 1).",
            "1 / 61 + 1 / 63",
        ),
        "answer = 1 / (60 + 1) + 1 / (60 + 3)",
    ),
    ExerciseTask(
        "06-recall",
        "•",
        "One of two relevant articles is among the first three.",
        _recall,
        (
            "Recall@3 looks at the first three places only.",
            "Which relevant articles stand there?",
            "1 of 2",
        ),
        "answer = 1 / 2",
    ),
    ExerciseTask(
        "06-diagnose",
        "•••",
        "The article was not found, so no prompt could have saved the answer.",
        _diagnose,
        (
            "Look at the hits before you look at the answer.",
            "Was the fact in the prompt?",
            "What is not in the prompt cannot be used.",
        ),
        'answer = "retrieval"',
    ),
    ExerciseTask(
        "06-note",
        "•••",
        "The first words of an article introduce it; what is asked for are numbers and places.",
        any_function("one argument, the text of an article"),
        (
            "The first 60 words reach 0.49. Which sentences are asked about?",
            "Cut into sentences, and take those with a digit first.",
            "Keep the order of the article, and stop before 60 words.",
        ),
        """import re


def answer(text):
    parts = re.split(r"(?<=[.!?])\\s+|\\n+", text)
    signs = [len(re.findall(r"[0-9$]|@|[.]example|twelve|once|free|app", one)) for one in parts]
    kept, room = set(), 60
    for place in sorted(range(len(parts)), key=lambda place: -signs[place]):
        if len(parts[place].split()) <= room:
            kept.add(place)
            room -= len(parts[place].split())
    return " ".join(parts[place] for place in sorted(kept))""",
        Contest(
            "of the facts kept",
            lambda answer: measured(
                answer, [((text,), facts) for text, facts in articles_and_facts()], kept_facts
            ),
            to_beat=0.49,
            ours=0.885,
        ),
    ),
)
