"""The course's results side by side: what counts as right, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from helpers.costs import catalog, monthly
from helpers.evaluation import leaderboard
from helpers.evaluation.grading import EvaluationReport, load_samples, subsample
from helpers.evaluation.results import save_result
from helpers.evaluation.statistics import interval
from helpers.evaluation.tables import paired_scores

KINDS = ("paraphrase", "changed policy", "out of scope", "misuse")
SCORERS = ("key_fact_recall", "declines")
MODEL = "ft:tiny-2026-01-31:course:{name}:1"


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    path = tmp_path / "test.jsonl"
    lines = []
    for place, kind in enumerate(KINDS * 5):
        messages = [{"role": "user", "content": f"q{place}"}, {"role": "assistant", "content": "a"}]
        lines.append(json.dumps({"id": f"t{place}", "kind": kind, "messages": messages}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def make(folder: Path, dataset: Path, name: str, *, facts: float, declines: float, rows: int = 20,
         scorers: tuple[str, ...] = SCORERS, model: str = MODEL) -> None:  # fmt: skip
    """Store a result whose answers all score the same."""
    found = tuple(
        {
            "sample": f"t{place}", "kind": kind, "key_fact_recall": facts, "declines": declines,
            "prompt_tokens": 100, "completion_tokens": 10, "seconds": 0.5,
        }
        for place, kind in enumerate(KINDS * 5)
    )[:rows]  # fmt: skip
    save_result(
        folder,
        name,
        EvaluationReport(found, scorers),
        model=model.format(name=name),
        dataset=dataset,
        seed=7,
    )


@pytest.fixture
def folder(tmp_path: Path, dataset: Path) -> Path:
    """Every result of the course; the last one is right everywhere."""
    for source in leaderboard.SOURCES[:-1]:
        # A host's base is asked without the date that its tuned models carry.
        model = "tiny" if source.method == monthly.BASE else MODEL
        make(tmp_path / "results", dataset, source.result, facts=0.5, declines=0.25, model=model)
    make(tmp_path / "results", dataset, leaderboard.SOURCES[-1].result, facts=1.0, declines=1.0)
    return tmp_path / "results"


def test_what_is_right_depends_on_the_kind(folder, dataset):
    found = leaderboard.gather(folder, dataset)
    assert found.missing == ()
    assert set(found.values(monthly.BASE, "paraphrase")) == {0.5}
    assert set(found.values(monthly.BASE, "misuse")) == {0.25}
    assert found.values(monthly.BASE).mean() == pytest.approx((0.5 + 0.25) / 2)


def test_the_table_has_every_kind_every_method_and_intervals(folder, dataset):
    table = leaderboard.by_kind(leaderboard.gather(folder, dataset))
    assert list(table.index) == [*KINDS, leaderboard.ALL]
    assert list(table.columns) == ["n", *monthly.METHODS]
    assert list(table["n"]) == [5, 5, 5, 5, 20]
    values = leaderboard.gather(folder, dataset).values(monthly.BASE)
    assert table.loc["all", monthly.BASE] == str(interval(values))


def remove(path: Path, dataset: Path) -> None:
    path.unlink()


def halve(path: Path, dataset: Path) -> None:
    make(path.parent, dataset, path.stem, facts=1, declines=1, rows=7)


def other_test_set(path: Path, dataset: Path) -> None:
    result = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(result | {"dataset_sha256": "0" * 64}), encoding="utf-8")


def other_scorers(path: Path, dataset: Path) -> None:
    make(path.parent, dataset, path.stem, facts=1, declines=1, scorers=("key_fact_recall",))


def other_base(path: Path, dataset: Path) -> None:
    make(path.parent, dataset, path.stem, facts=1, declines=1, model="qwen3-0.6b")


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (remove, "no stored result '05-few-shot'"),
        (halve, "'05-few-shot' holds 7 of 20 questions"),
        (other_test_set, "'05-few-shot' was made with another version of the test set"),
        (other_scorers, "'05-few-shot' was not scored for declines"),
        (other_base, "'05-few-shot' was made with the base qwen3-0.6b, '03-base' with tiny"),
    ],
)
def test_what_cannot_be_compared_is_named_with_the_command_that_makes_it(
    folder, dataset, harm, why
):
    harm(folder / "05-few-shot.json", dataset)
    found = leaderboard.gather(folder, dataset)
    assert found.missing == (leaderboard.Missing("few-shot", why, "python3 -m helpers run 05"),)
    assert list(leaderboard.by_kind(found).columns) == ["n", "base", "retrieval", "tuned",
                                                       "tuned + retrieval"]  # fmt: skip


def test_without_any_result_nothing_is_made_up(tmp_path, dataset):
    found = leaderboard.gather(tmp_path / "none", dataset)
    assert [missing.run for missing in found.missing] == [
        f"python3 -m helpers run {number}" for number in ("03", "05", "06", "04", "06")
    ]
    assert leaderboard.by_kind(found).empty
    assert leaderboard.lineage(found).empty
    assert leaderboard.paired(found) == {}


def test_the_overview_multiplies_measured_tokens_with_dated_prices(folder, dataset):
    known = catalog.load()
    found = leaderboard.gather(folder, dataset)
    table = leaderboard.overview(found, questions=1_000_000, model="gpt-4.1-mini", known=known)
    price = known.chat_price("gpt-4.1-mini")
    assert price is not None
    assert price.output_per_million is not None
    dollars = 100 * price.per_million + 10 * price.output_per_million
    assert table.loc["base", "$ on gpt-4.1-mini"] == monthly.money(dollars)
    assert table.loc["base", "seconds"] == "0.5"
    luna = leaderboard.overview(found, questions=1_000, model="gpt-6-luna", known=known)
    assert luna.loc["tuned", "$ on gpt-6-luna"] == "not offered"


def test_answers_that_nobody_timed_have_no_seconds():
    rows = ({"sample": "a", "kind": "paraphrase", "seconds": None},)
    assert leaderboard.seconds(EvaluationReport(rows, ())) == "not timed"


def test_lineage_names_model_test_set_seed_and_time(folder, dataset):
    row = leaderboard.lineage(leaderboard.gather(folder, dataset)).loc["retrieval"]
    assert row["model"] == MODEL.format(name="06-base-notes")
    assert row["seed"] == 7
    assert len(row["test set (SHA-256)"]) == 12
    assert row["made (UTC)"].startswith("20")


def test_the_champion_is_compared_with_each_other_method(folder, dataset):
    found = leaderboard.paired(leaderboard.gather(folder, dataset))
    assert list(found) == ["base", "few-shot", "retrieval", "tuned"]
    for one in found.values():
        assert one.difference.mean == pytest.approx(1 - 0.375)
        assert one.p < 0.05


def test_half_of_each_kind_is_enough_and_is_paired_with_the_same_questions(folder, dataset):
    half = [sample.id for sample in subsample(load_samples(dataset), 2)]
    path = folder / "05-few-shot.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    rows = [row for row in whole["rows"] if row["sample"] in half]
    path.write_text(json.dumps(whole | {"rows": rows}), encoding="utf-8")
    found = leaderboard.gather(folder, dataset)
    assert found.missing == ()
    assert list(leaderboard.by_kind(found)["n"]) == ["5 or 3"] * 4 + ["20 or 12"]
    assert leaderboard.paired(found)["few-shot"].difference.n == 12
    assert leaderboard.paired(found)["base"].difference.n == 20


def test_systems_are_compared_question_by_question():
    def report(*scores):
        rows = ({"sample": n, "kind": "k", "key_fact_recall": v, "declines": 0} for n, v in scores)
        return EvaluationReport(tuple(rows), SCORERS)

    first, second = paired_scores(
        report(("a", 0.1), ("b", 0.2), ("c", 0.3)),
        report(("c", 0.9), ("d", 0.8), ("a", 0.7)),
        leaderboard.correctness,
    )
    assert (first.tolist(), second.tolist()) == ([0.3, 0.1], [0.9, 0.7])
    none = paired_scores(report(("a", 1)), report(("b", 1)), "key_fact_recall")
    assert [len(part) for part in none] == [0, 0]


def test_a_tie_is_no_win(folder, dataset):
    make(folder, dataset, "04-v1 + new", facts=1.0, declines=1.0)
    found = leaderboard.paired(leaderboard.gather(folder, dataset))["tuned"]
    assert found.p == 1.0
    assert np.isclose(found.difference.mean, 0)


def test_a_machine_is_measured_by_its_own_clock():
    ticks = iter([0.0, 9.0, 10.0, 20.0, 22.0, 30.0, 38.0])
    sent = []

    def create(model, messages, max_completion_tokens, **_):
        sent.append(messages[0]["content"])
        usage = SimpleNamespace(prompt_tokens=700, completion_tokens=max_completion_tokens)
        return SimpleNamespace(usage=usage)

    chat = SimpleNamespace(completions=SimpleNamespace(create=create))
    client: Any = SimpleNamespace(chat=chat)
    found = leaderboard.measure_machine(client, "m", dollars=7, clock=lambda: next(ticks))
    assert (found.dollars, found.read, found.write) == (7, 700 / 2, 80 / 8)
    assert len(set(sent)) == 3
