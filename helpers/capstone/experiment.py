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
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.base import jsonl
from helpers.base.files import atomic
from helpers.base.progress_bar import note
from helpers.base.tokens import local_tokenizer
from helpers.capstone import baselines, proof_page, scoring, takeaway, training
from helpers.capstone.estimate import (
    Pace,
    ProofPlan,
    counted,
    estimate,
    fewer,
    pilot_size,
    rates,
    within,
)
from helpers.capstone.interview import Interview, Material, gather
from helpers.capstone.methods import WITH_TRAINING, Messages
from helpers.capstone.ranking import Ranking, by_talk, rank
from helpers.capstone.result import CapstoneResult
from helpers.capstone.samples import AnswerTurn, sample
from helpers.capstone.table import TableData, TableOptions, read_table
from helpers.capstone.training import TunedModel
from helpers.costs.monthly import BASE, BOTH, FEW_SHOT, METHODS, RETRIEVAL, TUNED
from helpers.datasets.checkable_facts import facts
from helpers.datasets.cleaning.run import Step
from helpers.datasets.reading.columns import Columns
from helpers.evaluation.grading import Answer, EvaluationReport, grade
from helpers.evaluation.results import save_result
from helpers.evaluation.scorers import Sample
from helpers.rag.documents import Article

if TYPE_CHECKING:
    from helpers.connection import Connection

QUESTIONS = 300
"""Held-out questions that are asked at most, unless more are wanted."""
TIMED, BURST = 3, 6
"""Questions of each method asked alone, and at once, to see how long answers take."""
PILOT = (BASE, FEW_SHOT, RETRIEVAL)
"""Methods that can be timed before the training."""
GRADING = "(grading)"
CHECKING = 1 / 3
"""Of the time of learning a text, what it takes to read it for the validation loss."""


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
    brief = minutes is not None
    material = gather(course, data, articles, folder, brief=brief)
    interview = Interview(course, material)
    # One random order for pilot and proof: a smaller plan asks a beginning of it, so whatever the
    # pilot asked is part of any plan.
    order = random.Random(seed).sample(range(len(data.held_out)), len(data.held_out))
    pilot = _pilot(course, interview, order, minutes)
    pace = _measure(course, interview, pilot, folder, epochs=epochs, seed=seed, brief=brief)
    left = None if minutes is None else minutes * 60 - (time.monotonic() - started)
    plan = within(left, pace, questions=min(questions, len(order)), epochs=epochs)
    asked = len(pilot)
    # What the pilot asked is answered already: leaving it out would save nothing.
    plan = replace(plan, questions=max(plan.questions, asked))
    expected = estimate(pace, plan, asked=asked, timed=PILOT, spent=time.monotonic() - started)
    tell(str(expected))
    began = time.monotonic()
    tuned = _train(course, material, folder, plan, seed=seed)
    if minutes is not None:
        trained = time.monotonic() - began
        left = minutes * 60 - (time.monotonic() - started)
        plan = fewer(plan, pace, left=left, trained=trained)
        # What the pilot asked counts in any case, as above.
        plan = replace(plan, questions=max(plan.questions, asked))
    # In the table's order again: a report is read beside the table.
    turns = [data.held_out[place] for place in sorted(order[: plan.questions])]
    answers = _ask_all(interview, turns, tuned.model, course.chat_model) | _baselines(
        material, turns, interview
    )
    reports = _graded(course, answers, turns, material, judge=judge)
    expected = replace(expected, took=time.monotonic() - began)
    for method, report in reports.items():
        save_result(
            folder / "results",
            method.replace(" ", ""),
            report,
            model=_model(method, tuned.model, course.chat_model),
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
        notes=(*data.notes, *_left_out(plan, data, epochs=epochs)),
        model_folder=folder / "model",
        report_file=folder / "report.html",
    )
    takeaway.write(done, course, past=material.past, store=material.store, form=material.form)
    with atomic(done.report_file) as stream:
        stream.write(proof_page.whole(done).encode("utf-8", "replace"))
    return done


def _pilot(
    course: Connection, interview: Interview, order: Sequence[int], minutes: float | None
) -> list[AnswerTurn]:
    """The held-out turns that are asked to see how long answers take.

    Of a budget they take a small part only: the first of them says how many that are.
    """
    picked = [interview.material.data.held_out[place] for place in order[: TIMED + BURST]]
    if minutes is None:
        return picked
    # `interview` keeps the answer: the pilot's first question is not asked twice.
    (first,) = interview.ask(PILOT[0], course.chat_model, picked[:1], timed=1)
    return picked[: pilot_size(minutes * 60, first.seconds or 0.0, methods=len(PILOT))]


def _measure(
    course: Connection,
    interview: Interview,
    picked: Sequence[AnswerTurn],
    folder: Path,
    *,
    epochs: int,
    seed: int,
    brief: bool,
) -> Pace:
    """Time some questions of the untrained methods and a short job; write the training files."""
    material = interview.material
    # Asked alone a question shows its own time; the burst shows what the server gains from many.
    alone, burst = picked[:TIMED], picked[TIMED:]
    asking, runs = {}, []
    for method in PILOT:
        answers = interview.ask(method, course.chat_model, alone, timed=len(alone))
        taken = sum(answer.seconds or 0.0 for answer in answers)
        if burst:
            start = time.monotonic()
            answers = interview.ask(method, course.chat_model, burst)
            taken = time.monotonic() - start
        asking[method] = taken / len(answers)
        runs.append((answers, taken))
    read, write = rates(runs)
    count = local_tokenizer().count
    written = float(np.mean([count(turn.answer) for turn in material.data.train[:200]]))
    # Runs 0 and 2 are those of base and retrieval: the tuned model reads the same prompts, but
    # writes answers as long as the table's own.
    for method, (answers, _) in zip((TUNED, BOTH), (runs[0], runs[2]), strict=True):
        prompts = float(np.mean([answer.prompt_tokens for answer in answers]))
        # One more for the mark that ends an answer.
        asking[method] = read * prompts + write * (written + 1)
    # Each method's answers are embedded to be scored.
    asking[GRADING] = material.per_text * len(METHODS)
    probe = training.BRIEF_PROBE if brief else training.PROBE
    return _training_pace(course, material, folder, asking, epochs=epochs, seed=seed, probe=probe)


def _training_pace(
    course: Connection,
    material: Material,
    folder: Path,
    asking: Mapping[str, float],
    *,
    epochs: int,
    seed: int,
    probe: int,
) -> Pace:
    data = material.data
    files = _files(folder, data)
    notes = material.notes_for_training(data.train)
    # Written before the plan is known, since the probe trains on them; `_train` cuts them again.
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
        return Pace(asking, None)
    model = course.chat_model
    if training.is_trained(course.client, files, model=model, epochs=epochs, seed=seed):
        return Pace(asking, 0.0)
    speed = training.measure(course.client, rows, folder, model=model, most=probe)
    if speed is None:
        return Pace(asking, None)
    learning, checking = _tokens(rows), _tokens(checked) * CHECKING
    rate = speed.tokens_per_second
    return Pace(asking, learning / rate, speed.overhead, checking / rate)


def _files(folder: Path, data: TableData) -> training.JobFiles:
    valid = folder / "validation_with_notes.jsonl" if data.validation else None
    return training.JobFiles(folder / "train_with_notes.jsonl", valid)


def _tokens(rows: Iterable[Mapping[str, Messages]]) -> int:
    """Tokens of training rows: texts, and what the chat template adds to each message."""
    count = local_tokenizer().count
    return sum(count(str(m["content"])) + 5 for row in rows for m in row["messages"])


def _train(
    course: Connection,
    material: Material,
    folder: Path,
    plan: ProofPlan,
    *,
    seed: int,
) -> TunedModel:
    files = _files(folder, material.data)
    if plan.share < 1:
        rows = list(jsonl.read(files.training))
        kept = random.Random(seed).sample(range(len(rows)), _kept(plan, len(rows)))
        # In their order: the fingerprint of the job is of the file's bytes.
        jsonl.write(files.training, [rows[place] for place in sorted(kept)])
    return training.train(
        course.client,
        files,
        model=course.chat_model,
        epochs=plan.epochs,
        suffix=takeaway.slug(material.data.prepared.version.name),
        seed=seed,
    )


def _kept(plan: ProofPlan, rows: int) -> int:
    """Training rows within the budget; a job takes no fewer than 10."""
    return min(rows, max(10, int(plan.share * rows)))


def _ask_all(
    interview: Interview, turns: Sequence[AnswerTurn], tuned: str, base: str
) -> dict[str, list[Answer]]:
    found = {}
    for method in METHODS:
        timed = TIMED if method in WITH_TRAINING else 0
        found[method] = interview.ask(method, _model(method, tuned, base), turns, timed=timed)
    return found


def _model(method: str, tuned: str, base: str) -> str:
    """The model behind a method; none behind a baseline."""
    if method in WITH_TRAINING:
        return tuned
    return base if method in METHODS else ""


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
        rows = len(data.train_talks) + len(data.train)
        found.append(
            f"The budget allowed {_kept(plan, rows)} of {rows} training rows, drawn at random."
        )
    return found
