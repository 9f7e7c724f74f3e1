"""What a table asks of a model: to write answers, or to name one of a few classes.

For: the steps of cleaning, the split and the evaluation, which differ between the two. Not
for: whether the classes are good ones.

    find_task(table)        # "labels", where few short answers come again and again
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

from helpers.datasets.frame import ANSWER, QUESTION, TURNS

if TYPE_CHECKING:
    import pandas as pd

Task = Literal["answers", "labels"]

FEWEST_ROWS = 10
MOST_CLASSES = 300
ROWS_A_CLASS = 5
"""Rows that there are for each class, in the mean."""
REPEATED = 3
"""Rows from which an answer counts as a class, and no accident."""
COVERED, DISTINCT_QUESTIONS = 0.95, 0.5
"""Shares of rows: with an answer that is a class; with a question of their own."""
LONGEST_WORDS, LONGEST_LETTERS = 6, 60


def find_task(table: pd.DataFrame) -> Task:
    """ "labels" if nearly all answers are one of few short ones, to many questions."""
    # What stands there twice says nothing of whether questions come again and again.
    pairs = dict.fromkeys(
        zip(table[QUESTION], map(str.strip, map(str, table[ANSWER])), strict=True)
    )
    answers = [answer for _, answer in pairs]
    talks = TURNS in table and any(isinstance(t, list) and t for t in table[TURNS])
    if len(answers) < FEWEST_ROWS or talks or not all(map(_short, answers)):
        return "answers"
    counts = {answer: n for answer, n in Counter(answers).items() if n >= REPEATED and answer}
    few = 2 <= len(counts) <= min(MOST_CLASSES, len(answers) / ROWS_A_CLASS)
    covered = sum(counts.values()) >= COVERED * len(answers)
    asked = len({question for question, _ in pairs}) >= DISTINCT_QUESTIONS * len(answers)
    return "labels" if few and covered and asked else "answers"


def _short(answer: str) -> bool:
    letters_fit = len(answer) <= LONGEST_LETTERS and "\n" not in answer
    return letters_fit and len(answer.split()) <= LONGEST_WORDS
