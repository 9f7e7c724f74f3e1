"""Ask a model the test questions, score the answers, and say how sure the result is.

For: comparing models on the same questions, with intervals and a paired test, and
keeping the results as data. Not for: what one score means, see `helpers.evaluation.scorers`.

    answers = ask(client, model, samples)
    report = grade(answers, samples, {"key_fact_recall": key_fact_recall})
    interval(report.column("key_fact_recall"))
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from helpers.base.errors import DataError
from helpers.base.progress_bar import Tell
from helpers.evaluation.requests import Reply, send_all
from helpers.evaluation.scorers import Sample, Scorer

if TYPE_CHECKING:
    import pandas as pd
    from openai import OpenAI

Message = Mapping[str, Any]
Messages = list[dict[str, Any]]
Name = TypeVar("Name")


@dataclass(frozen=True)
class Answer:
    """What a model said to one sample, and what it took."""

    sample: str
    text: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float | None
    """How long a customer would have waited; None where it was not asked alone."""
    cut: bool = False
    """Whether the answer was cut at the most tokens that were allowed."""


def load_samples(path: str | Path) -> list[Sample]:
    """Read a test set: one JSON object per line with `messages` and the grading fields.

    Raises `DataError` with the line that cannot be read.
    """
    samples = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            # The last message is the right answer; all before it is what a model is sent.
            *prompt, target = row["messages"]
            samples.append(
                Sample(
                    id=row["id"],
                    question=prompt[-1]["content"],
                    target=target["content"],
                    kind=row["kind"],
                    intent=row.get("intent", ""),
                    # A question to be declined has null here.
                    article=row.get("article") or "",
                    key_facts=tuple(tuple(fact) for fact in row.get("key_facts", [])),
                    messages=tuple(prompt),
                )
            )
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise DataError(
                f"{path}, line {number}: {error!r}",
                fix="each line needs id, kind and messages that end with the target answer",
            ) from error
    return samples


def subsample(samples: Sequence[Sample], n: int) -> list[Sample]:
    """Every n-th sample of each kind, in their order: a smaller test set of the same mixture."""
    seen: Counter[str] = Counter()
    kept = []
    for sample in samples:
        if seen[sample.kind] % n == 0:
            kept.append(sample)
        seen[sample.kind] += 1
    return kept


def ask(
    client: OpenAI,
    model: str,
    samples: Sequence[Sample],
    *,
    prompt: Callable[[Sample], Messages] | None = None,
    max_tokens: int = 120,
    workers: int = 16,
    timed: int = 0,
    batch: bool = False,
    choices: Sequence[str] = (),
    on_answer: Tell | None = None,
) -> list[Answer]:
    """The model's greedy answer to each sample, in their order; `workers` requests at once.

    `prompt` turns a sample into messages; by default the sample's own are sent. `timed` of
    them are asked alone, and say how many seconds that took; with `batch` the others are sent
    as one batch, see `helpers.evaluation.requests.send_all`. With `choices` the answer is one of
    these and nothing else, which vLLM and this course's server understand.
    `on_answer(done, total)` is called as answers come, for a progress display.
    """
    build = prompt or (lambda sample: list(sample.messages))
    bodies = [chat_body(model, build(sample), max_tokens, choices) for sample in samples]
    replies = send_all(
        client, bodies, workers=workers, timed=timed, batch=batch, on_reply=on_answer
    )
    return [answer_of(sample, reply) for sample, reply in zip(samples, replies, strict=True)]


def grade_prompts(
    client: OpenAI,
    model: str,
    samples: Sequence[Sample],
    prompts: Mapping[Name, Callable[[Sample], Messages]],
    scorers: Mapping[str, Scorer],
    *,
    timed: int = 3,
    **options: Any,
) -> dict[Name, EvaluationReport]:
    """Ask the same questions with each of several prompts; a report for each prompt.

    All are sent together, so that `batch=True` makes one batch. `timed` questions of each
    prompt are asked alone. `options` are those of `ask`.
    """
    # Prompt by prompt, so that the answers to one prompt are a slice of n again below.
    asked = [
        replace(sample, messages=tuple(prompt(sample)))
        for prompt in prompts.values()
        for sample in samples
    ]
    answers = ask(client, model, asked, timed=timed * len(prompts), **options)
    n = len(samples)
    return {
        name: grade(answers[place * n : (place + 1) * n], samples, scorers)
        for place, name in enumerate(prompts)
    }


def chat_body(
    model: str, messages: Sequence[Message], max_tokens: int, choices: Sequence[str] = ()
) -> dict[str, Any]:
    """The request for the likeliest answer, of `choices` alone if there are any."""
    form = {"extra_body": {"structured_outputs": {"choice": list(choices)}}} if choices else {}
    return form | {
        "model": model,
        "messages": list(messages),
        "temperature": 0,
        "max_completion_tokens": max_tokens,
    }


def answer_of(sample: Sample, reply: Reply) -> Answer:
    """A reply as an answer to be graded."""
    used = reply.prompt_tokens, reply.completion_tokens
    return Answer(sample.id, reply.text, *used, reply.seconds, reply.cut)


@dataclass(frozen=True)
class EvaluationReport:
    """Graded answers of one system."""

    rows: tuple[dict[str, Any], ...]
    """One for each sample: its fields, the answer, and each scorer's value and reason."""
    scorers: tuple[str, ...]

    def column(self, scorer: str, *, kind: str | None = None) -> np.ndarray:
        """The values of one scorer, shape (n,), for one kind of question or for all.

        NaN where the scorer does not apply.
        """
        # None becomes NaN here, which every mean leaves out.
        return np.array([r[scorer] for r in self.rows if kind in (None, r["kind"])], dtype=float)

    def of(self, *kinds: str) -> EvaluationReport:
        """The same report about some kinds of question alone."""
        return EvaluationReport(
            tuple(row for row in self.rows if row["kind"] in kinds), self.scorers
        )

    def seconds(self) -> float | None:
        """Median time of the questions that were asked alone; None if none was."""
        taken = [row["seconds"] for row in self.rows if row["seconds"] is not None]
        return float(np.median(taken)) if taken else None

    def frame(self) -> pd.DataFrame:
        """All rows as a table."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def summary(self) -> pd.DataFrame:
        """Mean of each scorer by kind of question, and n."""
        frame = self.frame()
        table = frame.groupby("kind", sort=False)[list(self.scorers)].mean()
        table.insert(0, "n", frame.groupby("kind", sort=False).size())
        return table

    def worst(self, scorer: str, n: int = 10) -> pd.DataFrame:
        """The rows with the lowest score, for reading."""
        columns = ["kind", "intent", "question", "answer", scorer, f"{scorer}: why"]
        return self.frame().sort_values(scorer, kind="stable")[columns].head(n)


def grade(
    answers: Sequence[Answer], samples: Sequence[Sample], scorers: Mapping[str, Scorer]
) -> EvaluationReport:
    """Score each answer with each scorer. Raises `DataError` if the two do not pair up."""
    # By id and in order: zip alone would score each answer by another question without a word.
    if [answer.sample for answer in answers] != [sample.id for sample in samples]:
        raise DataError(
            "answers and samples do not pair up", fix="grade answers with the samples asked"
        )
    rows = []
    for answer, sample in zip(answers, samples, strict=True):
        row: dict[str, Any] = {
            "sample": sample.id,
            "kind": sample.kind,
            "intent": sample.intent,
            "question": sample.question,
            "target": sample.target,
            "answer": answer.text,
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            "seconds": answer.seconds,
            "cut": answer.cut,
        }
        for name, scorer in scorers.items():
            score = scorer(answer.text, sample)
            row[name], row[f"{name}: why"] = score.value, score.reason
        rows.append(row)
    return EvaluationReport(tuple(rows), tuple(scorers))
