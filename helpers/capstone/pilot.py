"""How fast this machine answers and trains, measured before a proof is planned.

For: the pace that an estimate and a budget are made of: some questions of each method, asked
alone and at once, and a short training job. Not for: the plan, see `helpers.capstone.estimate`.

    timed = questions(course, interview, drawn, end=None)
    pace = measure(course, interview, timed, folder, recipe, end=None, judge=None)
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from helpers.base.tokens import local_tokenizer
from helpers.capstone import scoring, training
from helpers.capstone.estimate import (
    FINISHING,
    LEAST_ROWS,
    PROBE_SHARE,
    QUEUE_SHARE,
    Pace,
    pilot_size,
    rates,
)
from helpers.capstone.interview import Interview, Material
from helpers.capstone.samples import AnswerTurn, sample
from helpers.costs import monthly
from helpers.costs.monthly import BASE, BOTH, FEW_SHOT, RETRIEVAL, TUNED
from helpers.evaluation.grading import Answer

if TYPE_CHECKING:
    from helpers.connection import Connection

METHODS = (BASE, FEW_SHOT, RETRIEVAL)
"""Methods that can be timed before the training."""
TIMED, BURST = 3, 13
"""Questions of each method asked alone, and at once, to see how long answers take."""
LEAST_QUEUE = 5.0
"""Seconds in which a job that waits for no other begins."""
LOOKED_AT = 8
"""Validation examples that the trainer looks at between the ends of epochs."""
CHECKING = 1 / 3
"""Of the time of learning a text, what it takes to read it for the validation loss."""


def questions(
    course: Connection, interview: Interview, drawn: Sequence[AnswerTurn], end: float | None
) -> Sequence[AnswerTurn]:
    """The held-out turns that are asked to see how long answers take.

    Of what is left until `end`, a moment of `time.monotonic`, they take a small part only: the
    first of them says how many that are.
    """
    picked = drawn[: TIMED + BURST]
    if end is None:
        return picked
    # `interview` keeps the answer: the pilot's first question is not asked twice.
    (first,) = interview.ask(METHODS[0], course.chat_model, picked[:1], timed=1)
    left = max(0.0, end - time.monotonic())
    return picked[: pilot_size(left, first.seconds or 0.0, methods=len(METHODS))]


def measure(
    course: Connection,
    interview: Interview,
    picked: Sequence[AnswerTurn],
    folder: Path,
    recipe: training.TrainingRecipe,
    *,
    end: float | None,
    judge: str | None,
) -> Pace:
    """Time some questions of the untrained methods and a short job; write the training files."""
    material = interview.material
    # Asked alone a question shows its own time; the burst shows what the server gains from many.
    alone, burst = picked[:TIMED], picked[TIMED:]
    asking: dict[str, float] = {}
    waited: dict[str, list[float]] = {}
    runs = []
    for method in METHODS:
        answers = interview.ask(method, course.chat_model, alone, timed=len(alone))
        seconds = [answer.seconds or 0.0 for answer in answers]
        taken, waited[method] = sum(seconds), seconds
        if burst:
            start = time.monotonic()
            answers = interview.ask(method, course.chat_model, burst)
            taken = time.monotonic() - start
        asking[method] = taken / len(answers)
        runs.append((answers, taken))
    read, write = rates(runs)
    count = local_tokenizer().count
    written = float(np.mean([count(turn.answer) for turn in material.data.train[:200]]))
    # The very first answer waits for the model to be loaded, as that of the tuned one will.
    rest = FINISHING + max(0.0, waited[BASE][0] - waited[BASE][-1])
    # Runs 0 and 2 are those of base and retrieval: the tuned model reads the same prompts, but
    # writes answers as long as the table's own.
    for method, like, place in ((TUNED, BASE, 0), (BOTH, RETRIEVAL, 2)):
        prompts = float(np.mean([answer.prompt_tokens for answer in runs[place][0]]))
        # One more for the mark that ends an answer.
        asking[method] = read * prompts + write * (written + 1)
        # Some of its questions are asked alone, which takes longer for each.
        rest += TIMED * max(0.0, waited[like][-1] - asking[like])
    grading = _grading(course, material, runs[0][0], judge=judge)
    pace = _training_pace(course, material, folder, recipe, end=end)
    return replace(pace, asking=asking, rest=rest, grading=grading)


def _grading(
    course: Connection, material: Material, answers: Sequence[Answer], *, judge: str | None
) -> float:
    """Seconds to score one question's answers of all methods."""
    if material.labels:
        return 0.0
    # Each method's answer is embedded, and the right one.
    seconds = material.embed.per_text * (len(monthly.METHODS) + 1)
    if judge:
        start = time.monotonic()
        turn = material.data.held_out[0]
        scoring.judge_scorer(course.client, judge)(answers[0].text, sample(turn))
        seconds += (time.monotonic() - start) * (len(monthly.METHODS) + 2)
    return seconds


def _training_pace(
    course: Connection,
    material: Material,
    folder: Path,
    recipe: training.TrainingRecipe,
    *,
    end: float | None,
) -> Pace:
    data = material.data
    files = training.files_of(folder, data)
    notes = material.notes_for_training(data.train)
    # Written before the plan is known, since the probe trains on them; the job cuts them again.
    rows = training.write_training(
        files.training, data.train_talks, data.train, notes, material.form
    )
    checked = []
    if files.validation:
        found = material.notes_for_training(data.validation)
        checked = training.write_training(
            files.validation, data.validation_talks, data.validation, found, material.form
        )
    if course.backend != "embedded":
        return Pace({}, None)
    if training.is_trained(course.client, files, recipe):
        return Pace({}, 0.0)
    left = math.inf if end is None else max(0.0, end - time.monotonic())
    speed = training.measure(
        course.client,
        rows,
        folder,
        recipe,
        most=training.PROBE if end is None else LEAST_ROWS,
        seconds=PROBE_SHARE * left,
        queue=max(LEAST_QUEUE, QUEUE_SHARE * left),
    )
    if speed is None:
        return Pace({}, None)
    rate = speed.tokens_per_second
    check = training.tokens_of(checked) * CHECKING / rate
    look = check * min(1.0, LOOKED_AT / len(checked)) if checked else 0.0
    return Pace({}, training.tokens_of(rows) / rate, speed.overhead, check, look, len(rows))
