"""Your own table through every method of the course, to a proof that holds.

For: the end of notebook 07. A table becomes a dataset, part of it is held out, a small model
is trained, and five methods and the baselines answer the held-out questions. What may be looked
up are the training answers, or your own articles, never what is held out. Not for: a decision on
few questions; the report says how many it would take.

    done = run(course, "data/examples/pool_questions.csv", state / "capstone")
    done.table()
    done.report_file
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.base import jsonl
from helpers.base.files import atomic
from helpers.base.progress_bar import note
from helpers.capstone import baselines, pilot, proof_page, scoring, takeaway, training
from helpers.capstone.budget import Budget
from helpers.capstone.embeddable import embeddable
from helpers.capstone.estimate import LEAST_ROWS, ProofPlan, counted
from helpers.capstone.interview import Interview, Material, gather
from helpers.capstone.lookup import KeptVectors
from helpers.capstone.methods import WITH_TRAINING
from helpers.capstone.ranking import Ranking, by_talk, rank
from helpers.capstone.result import CapstoneResult
from helpers.capstone.samples import AnswerTurn, sample
from helpers.capstone.table import TableData, TableOptions, read_table
from helpers.capstone.training import TunedModel, Watch
from helpers.costs.monthly import METHODS
from helpers.datasets.checkable_facts import facts
from helpers.datasets.cleaning.run import Step
from helpers.datasets.reading.columns import Columns
from helpers.evaluation.grading import Answer, EvaluationReport, grade
from helpers.evaluation.results import save_result
from helpers.evaluation.scorers import Sample
from helpers.rag.documents import Article
from helpers.rag.embedding import embedder

if TYPE_CHECKING:
    from helpers.connection import Connection

QUESTIONS = 300
"""Held-out questions that are asked at most, unless more are wanted."""


def run(
    course: Connection,
    path: str | Path,
    folder: Path,
    *,
    system: str | None = None,
    articles: Sequence[Article] | None = None,
    columns: Columns | Mapping[str, Any] | None = None,
    roles: Mapping[str, str] | None = None,
    date_format: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    sheet: str | int | None = None,
    steps: Sequence[Step] | None = None,
    language: str | None = None,
    keep: Collection[str] = (),
    own: bool = True,
    without: Collection[str] = (),
    majority: bool = False,
    test: float | str | Path = 0.3,
    validation: float | None = None,
    questions: int = QUESTIONS,
    epochs: int = 5,
    minutes: float | None = None,
    judge: str | None = None,
    seed: int = 42,
    tell: Callable[[str], None] = note,
) -> CapstoneResult:
    """Prepare, estimate, train, ask and report; everything is written below `folder`.

    `system` is the system message; None takes one that suits the task. `columns` to `majority` say
    how the table is read, as in `helpers.datasets.pipeline.prepare`.
    `test` is the share that is held out, or a table of one's own; `validation` the share that
    picks the epoch. `articles` are the documents that may be looked up; without any, the training
    answers are. At most `questions` held-out answers are asked for. `minutes` is a budget: fewer
    questions, epochs and examples are taken to stay within. `judge` names a model at the endpoint
    whose verdict is shown too. `tell` gets the estimate before the long part begins.

    Raises `DataError` if the table does not make a training file.
    """
    options = TableOptions(
        system, columns, roles, date_format, header, encoding, sheet, steps, language, keep,
        own, without, majority,
    )  # fmt: skip
    data = read_table(
        path,
        folder / "dataset",
        options,
        test=test,
        validation=validation,
        brief=minutes is not None,
    )
    return prove(
        course,
        data,
        folder,
        articles=articles,
        questions=questions,
        epochs=epochs,
        minutes=minutes,
        judge=judge,
        seed=seed,
        tell=tell,
    )


def prove(
    course: Connection,
    data: TableData,
    folder: Path,
    *,
    articles: Sequence[Article] | None = None,
    questions: int = QUESTIONS,
    epochs: int = 5,
    minutes: float | None = None,
    judge: str | None = None,
    seed: int = 42,
    tell: Callable[[str], None] = note,
) -> CapstoneResult:
    """What `run` does with a table that is read already, `data`; the rest is as there.

    The time that reading took counts towards the budget of `minutes`.
    """
    started = time.monotonic() - data.seconds
    end = None if minutes is None else started + 60 * minutes
    # One random order for pilot and proof: a smaller plan asks a beginning of it, so whatever the
    # pilot asked is part of any plan.
    order = random.Random(seed).sample(range(len(data.held_out)), len(data.held_out))[:questions]
    drawn = [data.held_out[place] for place in order]
    embed = KeptVectors(embedder(course.client, course.embedding_model))
    if minutes is not None and end is not None:
        part = embeddable(data, drawn, articles, embed, minutes=minutes, end=end, seed=seed)
        data, articles = part.data, part.articles
        order, drawn = order[: part.asked], drawn[: part.asked]
    # What is never asked need not be embedded.
    asked_about = replace(data, held_out=tuple(data.held_out[place] for place in sorted(order)))
    material = gather(course, asked_about, articles, folder, embed, brief=minutes is not None)
    interview = Interview(course, material)
    recipe = _recipe(course, material, epochs=epochs, seed=seed)
    timed = pilot.questions(course, interview, drawn, end)
    pace = pilot.measure(course, interview, timed, folder, recipe, end=end, judge=judge)
    budget = Budget(pace, len(timed), end)
    plan = budget.plan(questions=len(order), epochs=epochs)
    expected = budget.estimate(plan, spent=time.monotonic() - started)
    told = time.monotonic()
    tell(str(expected))
    began = time.monotonic()
    # It may have asked the reader, whose time is none of the budget's.
    budget = budget.later(began - told)
    tuned, plan = _train(partial(_job, course, material, folder, recipe), budget, plan)
    models = {name: tuned.model if name in WITH_TRAINING else course.chat_model for name in METHODS}

    def ask(number: int) -> None:
        for name, model in models.items():
            # The pilot has timed the others.
            alone = pilot.TIMED if name in WITH_TRAINING else 0
            interview.ask(name, model, drawn[:number], timed=alone)

    turns = drawn[: budget.rounds(ask, plan, most=len(drawn))]
    # In the table's order again: a report is read beside the table.
    places = {turn.id: place for place, turn in enumerate(asked_about.held_out)}
    turns = sorted(turns, key=lambda turn: places[turn.id])
    answers = {name: interview.ask(name, models[name], turns) for name in METHODS}
    answers |= _baselines(material, turns, interview)
    reports = _graded(course, answers, turns, material, judge=judge)
    plan = replace(plan, questions=len(turns))
    expected = replace(expected, took=time.monotonic() - began)
    for method, report in reports.items():
        save_result(
            folder / "results",
            method.replace(" ", ""),
            report,
            # No model stands behind a baseline.
            model=models.get(method, ""),
            dataset=data.held_out_file,
            seed=seed,
        )
    talks = tuple(turn.talk for turn in turns)
    done = CapstoneResult(
        prepared=data.prepared,
        tuned=tuned,
        reports=reports,
        ranking=_ranked(reports, talks, turns, material.labels, judged=judge is not None),
        talks=talks,
        labels=material.labels,
        within_reach=_reach(data.train, turns),
        store=material.store.what,
        max_tokens=material.max_tokens,
        estimate=expected,
        notes=(
            *data.notes,
            *_left_out(plan, data, epochs=epochs),
            *_form(material),
            *_idle_facts(turns),
        ),
        model_folder=folder / "model",
        report_file=folder / "report.html",
    )
    takeaway.write(done, course, material)
    with atomic(done.report_file) as stream:
        stream.write(proof_page.whole(done).encode("utf-8", "replace"))
    return done


def _recipe(
    course: Connection, material: Material, *, epochs: int, seed: int
) -> training.TrainingRecipe:
    # A label is a word or two: beside it, all the words of the question would be what is learnt.
    alone = bool(material.labels) and course.backend == "embedded"
    return training.TrainingRecipe(course.chat_model, epochs, seed, 0.0 if alone else None)


Job = Callable[[ProofPlan, Watch | None], TunedModel]
"""Trains as planned, as long as somebody lets it."""


def _train(job: Job, budget: Budget, plan: ProofPlan) -> tuple[TunedModel, ProofPlan]:
    """Train as planned; where a budget turns out too small for that, as much as it lets."""
    try:
        return job(plan, budget.watch(plan)), plan
    except training.TooSlow as slow:
        if not slow.pace:
            raise training.not_begun() from None
        pace = slow.pace
    # A job's own steps say more than those that were measured before.
    budget = budget.slowed(pace)
    plan = budget.plan(questions=plan.questions, epochs=1)
    watch = budget.watch(plan)
    # To its end: a second one that is broken off would leave nothing at all.
    watch = replace(watch, to_its_end=True) if watch else None
    try:
        return job(plan, watch), plan
    except training.TooSlow:
        raise training.not_begun() from None


def _job(
    course: Connection,
    material: Material,
    folder: Path,
    recipe: training.TrainingRecipe,
    plan: ProofPlan,
    watch: Watch | None,
) -> TunedModel:
    files = training.files_of(folder, material.data)
    if plan.share < 1:
        rows = list(jsonl.read(files.training))
        # Of the whole file; what is there may have been cut for a job before.
        number = min(len(rows), _kept(plan, material.data))
        kept = random.Random(recipe.seed).sample(range(len(rows)), number)
        # In their order: the fingerprint of the job is of the file's bytes.
        jsonl.write(files.training, [rows[place] for place in sorted(kept)])
    return training.train(
        course.client,
        files,
        replace(recipe, epochs=plan.epochs),
        suffix=takeaway.slug(material.data.prepared.version.name),
        watch=watch,
    )


def _kept(plan: ProofPlan, data: TableData) -> int:
    """Training rows within the budget."""
    return min(_rows(data), max(LEAST_ROWS, int(plan.share * _rows(data))))


def _rows(data: TableData) -> int:
    """Of the training file: each talk, and each answer with its notes."""
    return len(data.train_talks) + len(data.train)


def _baselines(
    material: Material, turns: Sequence[AnswerTurn], interview: Interview
) -> dict[str, list[Answer]]:
    """What takes no language model: lookups, and the answer that is given most often."""
    answers = [turn.answer for turn in material.data.train]
    said: dict[str, list[str]] = {}
    if material.labels:
        places = {turn.id: place for place, turn in enumerate(material.data.held_out)}
        # Row i of both arrays belongs to turn i of the part that it was made of.
        asked = material.vectors[[places[turn.id] for turn in turns]]
        known = material.past.vectors
        said[baselines.NEIGHBOURS] = baselines.neighbours(known, answers, asked)
        said[baselines.LINEAR] = baselines.Linear.fit(known, answers)(asked)
    else:
        said[baselines.NEAREST] = [interview.near[turn.id][0].text for turn in turns]
    said[baselines.FREQUENT] = [baselines.most_frequent(answers)] * len(turns)
    return {
        name: [Answer(turn.id, text, 0, 0, None) for turn, text in zip(turns, texts, strict=True)]
        for name, texts in said.items()
    }


def _graded(
    course: Connection,
    answers: Mapping[str, Sequence[Answer]],
    turns: Sequence[AnswerTurn],
    material: Material,
    *,
    judge: str | None,
) -> dict[str, EvaluationReport]:
    samples = [sample(turn) for turn in turns]
    # All answers of all methods at once, so that equal texts are embedded once.
    scorers = scoring.scorers_of(
        samples,
        (answer.text for found in answers.values() for answer in found),
        material.embed,
        labels=material.labels,
        judge=scoring.judge_scorer(course.client, judge) if judge else None,
    )
    return {method: grade(found, samples, scorers) for method, found in answers.items()}


def _ranked(
    reports: Mapping[str, EvaluationReport],
    talks: Sequence[int],
    turns: Sequence[AnswerTurn],
    labels: Sequence[str],
    *,
    judged: bool,
) -> Ranking:
    samples: list[Sample] = [sample(turn) for turn in turns]
    yardstick = scoring.choose(samples, labels=labels, judged=judged)
    scores = {name: by_talk(report.column(yardstick), talks) for name, report in reports.items()}
    return rank(scores, yardstick=yardstick)


def _reach(train: Sequence[AnswerTurn], held_out: Sequence[AnswerTurn]) -> float | None:
    known = frozenset().union(*(facts(turn.answer) for turn in train))
    # Answers without facts say nothing of what could be learnt.
    wanted = [found for turn in held_out if (found := facts(turn.answer))]
    return float(np.mean([len(one & known) / len(one) for one in wanted])) if wanted else None


def _form(material: Material) -> list[str]:
    if not material.choices:
        return []
    return [f"A model could answer with nothing but one of the {len(material.choices)} labels."]


def _idle_facts(turns: Sequence[AnswerTurn]) -> list[str]:
    idle = sorted(scoring.stated_everywhere([sample(turn) for turn in turns]))
    told = f"Not scored as facts, for nearly every right answer states them: {', '.join(idle)}."
    return [told] if idle else []


def _left_out(plan: ProofPlan, data: TableData, *, epochs: int) -> list[str]:
    """What the plan leaves out, said plainly."""
    found = []
    if plan.questions < len(data.held_out):
        found.append(
            f"{plan.questions} of {len(data.held_out)} held-out answers were asked for, "
            "drawn at random."
        )
    if plan.epochs < epochs:
        found.append(f"The budget allowed {plan.epochs} of {counted(epochs, 'epoch')}.")
    if plan.share < 1:
        found.append(
            f"The budget allowed {_kept(plan, data)} of {_rows(data)} training rows, "
            "drawn at random."
        )
    return found
