"""All methods of the course side by side, from the results that its notebooks stored.

For: notebook 07's table, figure and paired tests, each with its lineage. A result that is
not there, or that is about too little of the test set, is named with the notebook that
makes it. Not for: asking models, see `helpers.evaluation.grading`.

    found = gather(results_folder, "data/support/test.jsonl")
    found.missing          # (Missing(method='few-shot', …),) or ()
    by_kind(found)
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from helpers.base.errors import DataError
from helpers.costs import catalog, monthly
from helpers.evaluation.grading import EvaluationReport, load_samples
from helpers.evaluation.results import Result, file_sha256, load_result
from helpers.evaluation.scorers import Sample
from helpers.evaluation.statistics import Comparison, Interval, interval
from helpers.evaluation.tables import ALL, as_table, champion_against, kind_intervals
from helpers.finetuning.job_plan import measured_rate

if TYPE_CHECKING:
    import pandas as pd
    from openai import OpenAI

DECLINED = ("out of scope", "misuse")
"""Kinds whose right answer is to decline; for all others the key facts count."""
SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")
LEAST_SHARE = 0.5
"""Share of the questions of each kind that a method must have been asked."""


@dataclass(frozen=True)
class MethodSource:
    """Where a method's result comes from."""

    method: str
    result: str
    """Its stored name."""
    notebook: str
    """The one that makes it, two digits."""


SOURCES = (
    MethodSource(monthly.BASE, "03-base", "03"),
    MethodSource(monthly.FEW_SHOT, "05-few-shot", "05"),
    MethodSource(monthly.RETRIEVAL, "06-base-notes", "06"),
    MethodSource(monthly.TUNED, "04-v1 + new", "04"),
    MethodSource(monthly.BOTH, "06-tuned-notes", "06"),
)


@dataclass(frozen=True)
class Missing:
    """A result that cannot be compared, and what to do about it."""

    method: str
    why: str
    run: str
    """The command that makes it."""


@dataclass(frozen=True)
class GatheredResults:
    """The results that are there, by method, and those that are not."""

    results: Mapping[str, Result]
    missing: tuple[Missing, ...]

    @property
    def reports(self) -> dict[str, EvaluationReport]:
        """The graded answers, by method."""
        return {method: result.report for method, result in self.results.items()}

    def values(self, method: str, kind: str = ALL) -> np.ndarray:
        """How right each answer is, 0 to 1, shape (n,), for one kind of question or for all."""
        report = self.results[method].report
        return correctness(report if kind == ALL else report.of(kind))


def correctness(report: EvaluationReport) -> np.ndarray:
    """Key-fact recall of each answer; where declining is right, whether it declined."""
    return np.array(
        [
            row["declines"] if row["kind"] in DECLINED else row["key_fact_recall"]
            for row in report.rows
        ],
        dtype=float,
    )


def gather(
    folder: Path, dataset: str | Path, *, sources: Sequence[MethodSource] = SOURCES
) -> GatheredResults:
    """Read every stored result that is about this test set, or half of each kind at least.

    All that are compared are of one base model, that of the first one. Raises `DataError` if the
    test set itself cannot be read.
    """
    asked, sha256 = load_samples(dataset), file_sha256(dataset)
    results: dict[str, Result] = {}
    missing = []
    for source in sources:
        try:
            found = _checked(folder, source.result, asked, sha256)
            _same_base(found, next(iter(results.values()), found))
            results[source.method] = found
        except DataError as error:
            command = f"python3 -m helpers run {source.notebook}"
            missing.append(Missing(source.method, error.message, command))
    return GatheredResults(results, tuple(missing))


def _checked(folder: Path, name: str, asked: Sequence[Sample], sha256: str) -> Result:
    result = load_result(folder, name)
    # Scores of another version would pair up by the same ids, with other questions behind them.
    if result.dataset_sha256 != sha256:
        raise DataError(f"{name!r} was made with another version of the test set")
    ids = {row["sample"] for row in result.rows}
    answered = [sample for sample in asked if sample.id in ids]
    have, all_of_them = (Counter(sample.kind for sample in some) for some in (answered, asked))
    # Order and no others: rows about questions that this test set lacks fail here as well.
    in_order = [row["sample"] for row in result.rows] == [sample.id for sample in answered]
    if not in_order or any(have[k] < LEAST_SHARE * n for k, n in all_of_them.items()):
        raise DataError(f"{name!r} holds {len(result.rows)} of {len(asked)} questions")
    lacking = {"key_fact_recall", "declines"} - set(result.scorers)
    if lacking:
        raise DataError(f"{name!r} was not scored for {', '.join(sorted(lacking))}")
    return result


def _same_base(result: Result, first: Result) -> None:
    """Raises `DataError` for a method whose base is another: the table compares methods."""
    own, wanted = (_base_of(one.model) for one in (result, first))
    if own != wanted:
        raise DataError(
            f"{result.name!r} was made with the base {own}, {first.name!r} with {wanted}"
        )


def _base_of(model: str) -> str:
    """The base of a tuned model, "ft:BASE:…", and of any other the model itself."""
    # A host tunes a dated snapshot of what is asked without a date.
    return SNAPSHOT.sub("", model.removeprefix("ft:").partition(":")[0])


def kinds(found: GatheredResults) -> list[str]:
    """The kinds of question in the order of the test set, then all together."""
    rows = next(iter(found.results.values())).rows if found.results else ()
    return [*dict.fromkeys(row["kind"] for row in rows), ALL] if rows else []


def intervals(found: GatheredResults) -> dict[str, dict[str, Interval]]:
    """Kind, then method: the share that is right with its 95% interval."""
    return kind_intervals(found.reports, correctness, kinds(found)) if found.results else {}


def by_kind(found: GatheredResults) -> pd.DataFrame:
    """One row a kind, one column a method, and the number of questions."""
    table = intervals(found)
    frame = as_table(table)
    # The intervals know n after NaN was left out, which is what a reader must be told.
    frame.insert(0, "n", [_sizes(row.values()) for row in table.values()])
    return frame


def _sizes(values: Iterable[Interval]) -> int | str:
    """How many questions were asked; where not all methods were asked the same, each number."""
    found = sorted({value.n for value in values}, reverse=True)
    return found[0] if len(found) == 1 else " or ".join(map(str, found))


def overview(
    found: GatheredResults, *, questions: int, model: str, known: catalog.Catalog
) -> pd.DataFrame:
    """One row a method: score, tokens, seconds, and dollars a month for so many questions.

    The dollars are those of a hosted model with the token counts measured here; training
    is left out. The seconds are the median of the questions that were asked alone.
    """
    import pandas as pd

    rows = {}
    for method, result in found.results.items():
        frame = result.report.frame()
        prompt, answer = frame["prompt_tokens"].mean(), frame["completion_tokens"].mean()
        tuned = method in (monthly.TUNED, monthly.BOTH)
        price = known.tuned_chat_price(model) if tuned else known.chat_price(model)
        dollars = None
        if price is not None:
            out = price.output_per_million or 0.0
            dollars = questions * (prompt * price.per_million + answer * out) / 1e6
        rows[method] = {
            "right": str(interval(found.values(method))),
            "prompt tokens": round(prompt),
            "answer tokens": round(answer),
            "seconds": seconds(result.report),
            f"$ on {model}": "not offered" if dollars is None else monthly.money(dollars),
        }
    return pd.DataFrame(rows).T


def seconds(report: EvaluationReport) -> str:
    """How long a customer waits for an answer, as it is shown."""
    taken = report.seconds()
    return "not timed" if taken is None else f"{taken:.1f}"


def lineage(found: GatheredResults) -> pd.DataFrame:
    """Where each number comes from: model, test set, seed and time."""
    import pandas as pd

    return pd.DataFrame(
        {
            method: {
                "result": result.name,
                "model": result.model,
                "test set (SHA-256)": result.dataset_sha256[:12],
                "seed": "none" if result.seed is None else result.seed,
                "made (UTC)": result.created.removesuffix("+00:00"),
            }
            for method, result in found.results.items()
        }
    ).T


def paired(found: GatheredResults, champion: str = monthly.BOTH) -> dict[str, Comparison]:
    """The champion against every other method, on the questions that both were asked.

    Empty if the champion's result is missing.
    """
    if champion not in found.results:
        return {}
    return champion_against(found.reports, correctness, champion=champion)


def measure_machine(
    client: OpenAI, model: str, *, dollars: float, clock: Callable[[], float] = time.perf_counter
) -> monthly.Machine:
    """How fast the endpoint reads and writes, one request at a time, and trained lately.

    `dollars` is what the machine costs a month. Where nothing was trained here yet, the
    training speed is that of `costs.Machine`.
    """

    def timed(words: str, answer: int) -> tuple[float, int, int]:
        start = clock()
        reply = client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": words}],
            temperature=0,
            max_completion_tokens=answer,
        )
        used = reply.usage
        tokens = (used.prompt_tokens, used.completion_tokens) if used else (0, 0)
        return clock() - start, *tokens

    timed("Hello", 1)  # so that loading the model is not counted
    # A beginning that was never sent before: the server keeps what it has read.
    reading, read, _ = timed(f"{clock()} " + "Read this line to its end. " * 100, 1)
    # A short prompt and a long answer, so that what is read hardly counts; above it was reversed.
    writing, _, written = timed("Tell me a long story about a router and its cable.", 80)
    usual = monthly.Machine()
    return monthly.Machine(
        dollars=dollars,
        read=read / reading if read else usual.read,
        write=written / writing if written else usual.write,
        train=measured_rate() or usual.train,
    )
