"""Tables of scores: what stands in a cell, a row and a comparison."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from helpers.base.errors import DataError
from helpers.evaluation.grading import Answer, EvaluationReport, grade_prompts
from helpers.evaluation.scorers import Sample, Score
from helpers.evaluation.statistics import compare, interval
from helpers.evaluation.tables import (
    as_table,
    compare_all,
    comparison_table,
    kind_intervals,
    score_table,
)

KINDS = ("paraphrase", "misuse")


def report(*scores: float, seconds: float | None = None, first: int = 0) -> EvaluationReport:
    rows = tuple(
        {
            "sample": f"t{place + first}", "kind": KINDS[place % 2], "right": score,
            "prompt_tokens": 10 + place, "completion_tokens": 3, "seconds": seconds,
        }
        for place, score in enumerate(scores)
    )  # fmt: skip
    return EvaluationReport(rows, ("right",))


REPORTS = {"base": report(0, 0, 0, 1), "tuned": report(1, 1, 1, 0, seconds=0.254)}


def test_a_cell_is_a_mean_with_its_interval():
    table = score_table(REPORTS, {"share": "right", "some": ("right", "paraphrase")})
    assert list(table.index) == ["base", "tuned"]
    assert table.loc["tuned", "share"] == str(interval([1, 1, 1, 0]))
    assert table.loc["tuned", "some"] == str(interval([1, 1]))
    assert table.loc["base", "some"] == str(interval([0, 0]))


def test_several_kinds_are_one_column_and_names_can_be_headings():
    table = score_table(REPORTS, {"both": ("right", *KINDS)})
    assert list(table["both"]) == list(score_table(REPORTS, ["right"])["right"])


def test_tokens_and_seconds_are_no_scores():
    table = score_table(REPORTS, ["prompt_tokens", "completion_tokens", "seconds"])
    assert table.loc["base"].tolist() == ["12", "3", "not timed"]
    assert table.loc["tuned", "seconds"] == "0.25"


def test_a_function_of_the_report_is_a_column():
    table = score_table(REPORTS, {"wrong": lambda one: 1 - one.column("right")})
    assert table.loc["base", "wrong"] == str(interval([1, 1, 1, 0]))


@pytest.mark.parametrize("columns", [["rihgt"], {"x": ("rihgt", "misuse")}])
def test_an_unknown_scorer_is_named_with_those_there_are(columns):
    with pytest.raises(DataError, match="rihgt") as caught:
        score_table(REPORTS, columns)
    assert caught.value.fix == "it has right"


def test_kinds_come_in_their_order_and_all_together_last():
    found = kind_intervals(REPORTS, "right")
    assert list(found) == [*KINDS, "all"]
    assert found["misuse"]["base"] == interval([0, 1])
    assert found["all"]["base"] == interval([0, 0, 0, 1])
    assert list(kind_intervals(REPORTS, "right", ["misuse"])) == ["misuse"]
    assert as_table(found).loc["all", "base"] == str(interval([0, 0, 0, 1]))


def test_others_are_compared_with_a_baseline_and_a_champion_with_others():
    assert compare_all(REPORTS, "right", baseline="base")["tuned"].difference.mean == 0.5
    to_beat = comparison_table(REPORTS, "right", baseline="base")
    beating = comparison_table(REPORTS, "right", champion="tuned")
    assert list(to_beat.index) == ["tuned"]
    assert list(beating.index) == ["base"]
    assert to_beat.iloc[0].tolist() == beating.iloc[0].tolist()
    expected = compare(np.array([0, 0, 0, 1]), np.array([1, 1, 1, 0]))
    assert to_beat.loc["tuned", "p"] == f"{expected.p:.4f}"


def test_only_questions_that_both_were_asked_are_compared():
    reports = {"a": report(0, 0, 0), "b": report(1, 0, 0, first=1)}
    assert compare_all(reports, "right", baseline="a")["b"].difference == interval([1, 0])


@pytest.mark.parametrize("sides", [{}, {"baseline": "base", "champion": "tuned"}])
def test_a_comparison_has_one_side_that_is_named(sides):
    with pytest.raises(DataError, match="one system"):
        comparison_table(REPORTS, "right", **sides)


def test_each_prompt_gets_its_own_report_of_the_same_questions(monkeypatch):
    def ask(client: Any, model: str, samples: Any, **options: Any) -> list[Answer]:
        assert options == {"timed": 4, "batch": True}
        return [Answer(one.id, one.messages[0]["content"], 1, 1, None) for one in samples]

    monkeypatch.setattr("helpers.evaluation.grading.ask", ask)
    samples = [Sample(name, name.upper(), "", "k") for name in "ab"]
    client: Any = None
    found = grade_prompts(
        client,
        "m",
        samples,
        {k: lambda s, k=k: [{"role": "user", "content": f"{s.question}{k}"}] for k in (0, 1)},
        {"right": lambda output, sample: Score(float(output == f"{sample.question}1"))},
        timed=2,
        batch=True,
    )
    assert [row["answer"] for row in found[0].rows] == ["A0", "B0"]
    assert found[1].column("right").tolist() == [1, 1]
