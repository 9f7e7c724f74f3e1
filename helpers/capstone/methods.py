"""Your own table through every method of the course, with a report.

For: the end of notebook 07. A CSV or Excel file becomes a dataset, part of it is held out,
a small model is trained, and five methods answer the held-out questions. Not for: a
decision on few questions; the intervals say how little eight answers tell.

    done = run(course, "data/examples/pool_questions.csv", state / "capstone")
    done.table()
    done.report_file
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.base import files, jsonl
from helpers.base.errors import DataError
from helpers.capstone import html_report
from helpers.costs.monthly import BASE, BOTH, FEW_SHOT, METHODS, RETRIEVAL, TUNED
from helpers.datasets.checkable_facts import facts
from helpers.datasets.pipeline import PreparedDataset, prepare
from helpers.evaluation.grading import EvaluationReport, Messages, ask, grade
from helpers.evaluation.leaderboard import seconds
from helpers.evaluation.results import save_result
from helpers.evaluation.scorers import Sample, Score, chrf
from helpers.evaluation.statistics import interval
from helpers.finetuning.jobs import Hyperparameters, fine_tune, wait
from helpers.rag.documents import Article
from helpers.rag.embedding import embedder
from helpers.rag.index import Index, build
from helpers.rag.prompts import with_notes

if TYPE_CHECKING:
    import pandas as pd
    from openai.types.fine_tuning import FineTuningJob

    from helpers.connection import Connection

SYSTEM = "You answer customers' questions briefly."
K = 2
"""Demonstrations, and notes, in a prompt."""
MOST_ANSWER_TOKENS = 60
TIMED = 3
"""Questions of each method that are asked alone, to see how long an answer takes."""


def fact_recall(output: str, sample: Sample) -> Score:
    """Share of the numbers, and of the yes or no, of the right answer that the output states."""
    wanted = facts(sample.target)
    missing = sorted(wanted - facts(output))
    share = 1 - len(missing) / len(wanted) if wanted else 1.0
    return Score(share, f"missing: {', '.join(missing)}" if missing else "")


SCORERS = {"facts": fact_recall, "chrf": chrf}
CHECKABLE, FREE = "with facts", "without facts"


@dataclass(frozen=True)
class CapstoneResult:
    """What came of one table."""

    prepared: PreparedDataset
    job: str
    """Id of the fine-tuning job."""
    model: str
    """Id of the tuned model."""
    reports: Mapping[str, EvaluationReport]
    """By method."""
    within_reach: float
    """Share of the held-out facts that stand in some training answer."""
    report_file: Path

    def table(self) -> pd.DataFrame:
        """One row a method: facts and likeness with 95% intervals, prompt tokens, seconds."""
        import pandas as pd

        rows = {}
        for method, report in self.reports.items():
            frame = report.frame()
            checked = report.column("facts", kind=CHECKABLE)
            rows[method] = {
                f"facts ({checked.size} questions)": str(interval(checked)),
                f"chrF ({len(frame)} questions)": str(interval(report.column("chrf"))),
                "prompt tokens": round(frame["prompt_tokens"].mean()),
                "seconds": seconds(report),
            }
        return pd.DataFrame(rows).T


def run(
    course: Connection,
    path: str | Path,
    folder: Path,
    *,
    system: str = SYSTEM,
    articles: Sequence[Article] | None = None,
    test: float = 0.3,
    epochs: int = 5,
    seed: int = 42,
) -> CapstoneResult:
    """Prepare, train, ask and report; everything is written below `folder`.

    `articles` are the documents that may be looked up. Without any, the answers of the
    whole table serve as such, those of the held-out rows too: a store may hold what no
    training has seen, and that is the difference to be shown. Raises `DataError` if the
    table does not make a training file, or holds out no answer with a number.
    """
    prepared = prepare(path, folder / "dataset", system=system, validation=0.0, test=test)
    _usable(prepared)
    train, held_out = (_examples(prepared, part) for part in ("train", "test"))
    samples = _samples(held_out)
    embed = embedder(course.client, course.embedding_model)
    notes = build(list(articles or _answers(train + held_out)), embed, folder / "notes.lance")
    demonstrations = build(_questions(train), embed, folder / "questions.lance")
    job = _tuned(course, train, notes, folder, system=system, epochs=epochs, seed=seed)
    model = job.fine_tuned_model or ""
    prompts = _prompts(samples, train, notes, demonstrations, system=system)
    reports = {}
    for method in METHODS:
        asked = model if method in (TUNED, BOTH) else course.chat_model
        answers = ask(
            course.client,
            asked,
            samples,
            prompt=prompts[method],
            max_tokens=MOST_ANSWER_TOKENS,
            timed=TIMED,
        )
        reports[method] = grade(answers, samples, SCORERS)
        save_result(
            folder / "results",
            method.replace(" ", ""),
            reports[method],
            model=asked,
            dataset=prepared.folder / "test.jsonl",
            seed=seed,
        )
    done = CapstoneResult(
        prepared, job.id, model, reports, _reach(train, held_out), folder / "report.html"
    )
    with files.atomic(done.report_file) as stream:
        stream.write(html_report.whole(done).encode("utf-8", "replace"))
    return done


def _usable(prepared: PreparedDataset) -> None:
    """Raise `DataError` with the first problem, unless the files can be used."""
    if not prepared.ok:
        problems = [*prepared.reports["train"].problems, *prepared.leaks]
        first = next((p for p in problems if p.severity == "error"), problems[0])
        raise DataError(f"the table makes no training file: {first}", fix="see its report.html")


def _examples(prepared: PreparedDataset, part: str) -> list[Messages]:
    return [row["messages"] for row in jsonl.read(prepared.folder / f"{part}.jsonl")]


def _samples(held_out: Sequence[Messages]) -> list[Sample]:
    samples = [
        Sample(
            id=f"row-{place}",
            question=messages[-2]["content"],
            target=messages[-1]["content"],
            kind=CHECKABLE if facts(messages[-1]["content"]) else FREE,
            messages=tuple(messages[:-1]),
        )
        for place, messages in enumerate(held_out, start=1)
    ]
    if not any(sample.kind == CHECKABLE for sample in samples):
        raise DataError(
            "no held-out answer states a number", fix="hold out more rows, or add such answers"
        )
    return samples


def _answers(examples: Sequence[Messages]) -> list[Article]:
    return [_article(place, messages[-1]["content"]) for place, messages in enumerate(examples)]


def _questions(examples: Sequence[Messages]) -> list[Article]:
    return [_article(place, messages[-2]["content"]) for place, messages in enumerate(examples)]


def _article(place: int, text: str) -> Article:
    return Article(id=str(place), title="Note", text=text)


def _tuned(
    course: Connection,
    train: Sequence[Messages],
    notes: Index,
    folder: Path,
    *,
    system: str,
    epochs: int,
    seed: int,
) -> FineTuningJob:
    """Train on each example twice: as it is, and with its notes in the prompt."""
    found = notes.search_all([messages[-2]["content"] for messages in train], k=K, mode="dense")
    rows: list[dict[str, Any]] = [{"messages": messages} for messages in train]
    for messages, hits in zip(train, found, strict=True):
        prompt = with_notes(messages[-2]["content"], hits, system=system)
        rows.append({"messages": [*prompt, messages[-1]]})
    jsonl.write(folder / "train_with_notes.jsonl", rows)
    started = fine_tune(
        course.client,
        model=course.chat_model,
        training=folder / "train_with_notes.jsonl",
        hyperparameters=Hyperparameters(n_epochs=epochs, batch_size=8),
        suffix="capstone",
        seed=seed,
    )
    return wait(course.client, started.job.id)


def _prompts(
    samples: Sequence[Sample],
    train: Sequence[Messages],
    notes: Index,
    demonstrations: Index,
    *,
    system: str,
) -> dict[str, Callable[[Sample], Messages] | None]:
    """How each method asks; None sends the question as it is."""
    questions = [sample.question for sample in samples]
    places = {sample.id: place for place, sample in enumerate(samples)}
    near = demonstrations.search_all(questions, k=K, mode="dense")
    found = notes.search_all(questions, k=K, mode="dense")

    def few_shot(sample: Sample) -> Messages:
        # The nearest example comes last, where a model weighs it most.
        return _with_examples(sample, [train[int(hit.article)] for hit in near[places[sample.id]]])

    def looked_up(sample: Sample) -> Messages:
        return with_notes(sample.question, found[places[sample.id]], system=system)

    return {BASE: None, FEW_SHOT: few_shot, RETRIEVAL: looked_up, TUNED: None, BOTH: looked_up}


def _with_examples(sample: Sample, examples: Sequence[Messages]) -> Messages:
    *before, question = sample.messages
    shown = [message for messages in reversed(examples) for message in messages[-2:]]
    return [*before, *shown, question]


def _reach(train: Sequence[Messages], held_out: Sequence[Messages]) -> float:
    known = frozenset().union(*(facts(messages[-1]["content"]) for messages in train))
    wanted = [facts(messages[-1]["content"]) for messages in held_out]
    return float(np.mean([len(one & known) / len(one) for one in wanted if one]))
