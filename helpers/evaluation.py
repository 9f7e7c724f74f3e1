"""Ask a model the test questions, score the answers, and say how sure the result is.

For: comparing models on the same questions, with intervals and a paired test, and
keeping the results as data. Not for: what one score means, see `helpers.scorers`.

    answers = ask(client, model, samples)
    report = grade(answers, samples, {"key_fact_recall": key_fact_recall})
    interval(report.column("key_fact_recall"))
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.chats import Reply, send_all
from helpers.errors import DataError
from helpers.scorers import Sample, Scorer
from helpers.waiting import Tell

if TYPE_CHECKING:
    import pandas as pd
    from openai import OpenAI

Message = Mapping[str, Any]
Messages = list[dict[str, Any]]


@dataclass(frozen=True)
class Answer:
    """What a model said to one sample, and what it took."""

    sample: str
    text: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float | None
    """How long a customer would have waited; None where it was not asked alone."""


@dataclass(frozen=True)
class Interval:
    """A mean with its 95% bootstrap interval."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same samples: mean difference b - a, its interval, and a p-value."""

    difference: Interval
    p: float
    """Two-sided, by sign-flip permutation of the paired differences."""

    def __repr__(self) -> str:
        gap = self.difference
        return f"difference {gap.mean:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}], p = {self.p:.4f}"


def load_samples(path: str | Path) -> list[Sample]:
    """Read a test set: one JSON object a line with `messages` and the grading fields.

    Raises `DataError` with the line that cannot be read.
    """
    samples = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            *prompt, target = row["messages"]
            samples.append(
                Sample(
                    id=row["id"],
                    question=prompt[-1]["content"],
                    target=target["content"],
                    kind=row["kind"],
                    intent=row.get("intent", ""),
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


def every(samples: Sequence[Sample], n: int) -> list[Sample]:
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
    on_answer: Tell | None = None,
) -> list[Answer]:
    """The model's greedy answer to each sample, in their order; `workers` requests at once.

    `prompt` turns a sample into messages; by default the sample's own are sent. `timed` of
    them are asked alone, and say how many seconds that took; with `batch` the others are sent
    as one batch, see `helpers.chats.send_all`.
    `on_answer(done, total)` is called as answers come, for a progress display.
    """
    build = prompt or (lambda sample: list(sample.messages))
    bodies = [chat_body(model, build(sample), max_tokens) for sample in samples]
    replies = send_all(
        client, bodies, workers=workers, timed=timed, batch=batch, on_reply=on_answer
    )
    return [answer_of(sample, reply) for sample, reply in zip(samples, replies, strict=True)]


def chat_body(model: str, messages: Sequence[Message], max_tokens: int) -> dict[str, Any]:
    """The request for the likeliest answer."""
    return {
        "model": model,
        "messages": list(messages),
        "temperature": 0,
        "max_completion_tokens": max_tokens,
    }


def answer_of(sample: Sample, reply: Reply) -> Answer:
    """A reply as an answer to be graded."""
    used = reply.prompt_tokens, reply.completion_tokens
    return Answer(sample.id, reply.text, *used, reply.seconds)


@dataclass(frozen=True)
class Report:
    """Graded answers of one system."""

    rows: tuple[dict[str, Any], ...]
    """One for each sample: its fields, the answer, and each scorer's value and reason."""
    scorers: tuple[str, ...]

    def column(self, scorer: str, *, kind: str | None = None) -> np.ndarray:
        """The values of one scorer, shape (n,), for one kind of question or for all.

        NaN where the scorer does not apply.
        """
        return np.array([r[scorer] for r in self.rows if kind in (None, r["kind"])], dtype=float)

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
) -> Report:
    """Score each answer with each scorer. Raises `DataError` if the two do not pair up."""
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
        }
        for name, scorer in scorers.items():
            score = scorer(answer.text, sample)
            row[name], row[f"{name}: why"] = score.value, score.reason
        rows.append(row)
    return Report(tuple(rows), tuple(scorers))


def interval(values: Sequence[float] | np.ndarray, *, seed: int = 0, draws: int = 2000) -> Interval:
    """Mean and percentile bootstrap interval (Efron 1979) over samples drawn with replacement.

    NaN, where a score does not apply, is left out. Raises `DataError` for no values.
    """
    data = np.asarray(values, dtype=float)
    data = data[~np.isnan(data)]
    if data.size == 0:
        raise DataError("no values to average", fix="check the kind and the scorer's name")
    rng = np.random.default_rng(seed)
    means = data[rng.integers(0, data.size, (draws, data.size))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(data.mean()), float(low), float(high), data.size)


def compare(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    *,
    seed: int = 0,
    draws: int = 10_000,
) -> Comparison:
    """Is b better than a on the same samples? Paired, by sign-flip permutation.

    If the two were equal, each difference could as well have the other sign; p is
    the share of random sign choices whose mean difference is at least as large.
    """
    gap = np.asarray(b, dtype=float) - np.asarray(a, dtype=float)
    gap = gap[~np.isnan(gap)]
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1.0, 1.0], (draws, gap.size))
    # The tolerance keeps a tie, computed in another order, from counting as smaller.
    extreme = np.abs((signs * gap).mean(axis=1)) >= abs(gap.mean()) - 1e-12
    return Comparison(interval(gap, seed=seed), float((extreme.sum() + 1) / (draws + 1)))


@dataclass(frozen=True)
class Result:
    """A graded run with everything needed to know where it came from."""

    name: str
    model: str
    dataset_sha256: str
    seed: int | None
    created: str
    rows: tuple[dict[str, Any], ...]
    scorers: tuple[str, ...]
    details: dict[str, Any]

    @property
    def report(self) -> Report:
        return Report(self.rows, self.scorers)


def file_sha256(path: str | Path) -> str:
    """Hash of a file's bytes, hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def store(
    folder: Path,
    name: str,
    report: Report,
    *,
    model: str,
    dataset: str | Path,
    seed: int | None = None,
    **details: Any,
) -> Result:
    """Write a result to `folder`/`name`.json, atomically, and return it."""
    result = Result(
        name,
        model,
        file_sha256(dataset),
        seed,
        datetime.now(UTC).isoformat(timespec="seconds"),
        report.rows,
        report.scorers,
        details,
    )
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{name}.json.partial"
    partial.write_text(json.dumps(asdict(result), indent=1), encoding="utf-8")
    os.replace(partial, folder / f"{name}.json")
    return result


def stored(folder: Path, name: str) -> Result:
    """A result that an earlier notebook wrote. Raises `DataError` that names what is missing."""
    path = folder / f"{name}.json"
    if not path.is_file():
        raise DataError(
            f"no stored result {name!r}", fix="run the notebook that makes it, or make it here"
        )
    data = json.loads(path.read_text(encoding="utf-8"))
    data["rows"], data["scorers"] = tuple(data["rows"]), tuple(data["scorers"])
    return Result(**data)
