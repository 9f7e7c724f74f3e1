"""The capstone on the course's example tables, with a model that copies what its prompt holds."""

from __future__ import annotations

import re
from types import SimpleNamespace as Bag
from typing import Any

import numpy as np
import pytest

from helpers.base import jsonl, settings
from helpers.base.errors import DataError
from helpers.capstone import html_report, methods
from helpers.connection import Connection
from helpers.costs.monthly import BASE, BOTH, FEW_SHOT, METHODS, RETRIEVAL, TUNED
from helpers.datasets.checkable_facts import facts
from helpers.evaluation.results import load_result
from helpers.rag.documents import Article

TABLES = settings.load().root / "data" / "examples"


class FakeClient:
    """Embeds by words; answers with its first note, else its last example, else nothing known."""

    def __init__(self) -> None:
        self.uploads: list[list[dict[str, Any]]] = []
        self.embeddings = Bag(create=self._embed)
        self.chat = Bag(completions=Bag(create=self._answer))
        self.files = Bag(create=lambda file, purpose: self._keep(file))
        jobs = Bag(list=lambda **_: [], create=self._train, retrieve=lambda _: self.job)
        self.fine_tuning = Bag(jobs=jobs)

    def _embed(self, model: str, input: list[str]) -> Any:
        return Bag(data=[Bag(embedding=_by_words(text)) for text in input])

    def _keep(self, file: Any) -> Any:
        self.uploads.append(list(jsonl.read(file[1].name)))
        return Bag(id="file-1")

    def _train(self, **given: Any) -> Any:
        self.job = Bag(id="ftjob-1", status="succeeded", fine_tuned_model=f"ft:{given['suffix']}")
        return self.job

    def _answer(self, model: str, messages: list[dict[str, str]], **_: Any) -> Any:
        said = re.search(r"\[1\] Note: (.*)", messages[-1]["content"])
        shown = [m["content"] for m in messages if m["role"] == "assistant"]
        text = said[1] if said else (shown[-1] if shown else "I do not know.")
        usage = Bag(prompt_tokens=len(str(messages).split()), completion_tokens=len(text.split()))
        return Bag(choices=[Bag(message=Bag(content=text))], usage=usage)


def _by_words(text: str) -> list[float]:
    vector = np.zeros(256)
    for word in re.findall(r"[a-z]{3,}", text.lower()):
        vector[sum(word[:5].encode()) % 256] += 1
    return [float(value) for value in vector + 1e-6]


@pytest.fixture(scope="module")
def course() -> Any:
    return Connection(FakeClient(), "embedded", "http://localhost/v1", "base", "words")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def done(course, tmp_path_factory):
    return methods.run(course, TABLES / "pool_questions.csv", tmp_path_factory.mktemp("capstone"))


def test_every_method_answers_every_held_out_question(done):
    asked = [row["question"] for row in done.reports[BASE].rows]
    assert list(done.reports) == list(METHODS)
    assert len(asked) >= 5
    for report in done.reports.values():
        assert [row["question"] for row in report.rows] == asked
    learnt = {
        row["messages"][-2]["content"] for row in jsonl.read(done.prepared.folder / "train.jsonl")
    }
    assert not learnt & set(asked)


def test_each_method_sees_what_belongs_to_it(done):
    tokens = {name: [row["prompt_tokens"] for row in r.rows] for name, r in done.reports.items()}
    assert tokens[BASE] == tokens[TUNED]
    assert tokens[RETRIEVAL] == tokens[BOTH]
    assert all(few > base for few, base in zip(tokens[FEW_SHOT], tokens[BASE], strict=True))
    best = done.reports[RETRIEVAL].column("facts", kind=html_report.CHECKABLE).mean()
    assert best > done.reports[BASE].column("facts", kind=html_report.CHECKABLE).mean()


def test_the_model_learns_each_example_with_and_without_notes(course, done):
    rows = [row["messages"] for row in course.client.uploads[0]]
    plain = [row for row in rows if "Notes:" not in row[-2]["content"]]
    assert len(rows) == 2 * len(plain) >= 20
    for row, twin in zip(plain, rows[len(plain) :], strict=True):
        assert twin[-2]["content"].endswith(f"Question: {row[-2]['content']}")
        assert twin[-1] == row[-1]
    held_out = {
        row["messages"][-2]["content"] for row in jsonl.read(done.prepared.folder / "test.jsonl")
    }
    assert not [row for row in rows if any(q in row[-2]["content"] for q in held_out)]


def test_what_training_could_know_is_counted_from_the_answers(done):
    def answers(part):
        return [
            facts(row["messages"][-1]["content"]) for row in jsonl.read(done.prepared.folder / part)
        ]

    known = frozenset().union(*answers("train.jsonl"))
    by_hand = np.mean([len(one & known) / len(one) for one in answers("test.jsonl") if one])
    assert done.within_reach == pytest.approx(by_hand)
    assert done.within_reach < 1


def test_results_are_stored_with_their_lineage(done):
    result = load_result(done.report_file.parent / "results", "tuned+retrieval")
    assert result.model == done.model == "ft:capstone"
    assert result.seed == 42
    assert result.rows == done.reports[BOTH].rows


def test_the_report_holds_scores_answers_and_lineage_and_loads_nothing(done):
    html = done.report_file.read_text(encoding="utf-8")
    for heading in ("Scores with 95% intervals", "Every answer", "Lineage", "Where each row went"):
        assert f"<h2>{heading}</h2>" in html
    assert done.model in html
    assert done.prepared.version.sha256[:16] in html
    assert not re.search(r"src=|href=", html)
    assert str(done.report_file.parent) not in html


def test_the_verdict_names_the_best_method_and_its_uncertainty(done):
    text = html_report.verdict(done)
    assert text.startswith(f"Most facts come from {RETRIEVAL}: ")
    assert re.search(r"p = 0\.\d{3}", text)
    table = done.table()
    assert list(table.index) == list(METHODS)
    assert any(f"facts ({n} questions)" in table.columns for n in range(1, 20))


def test_your_own_articles_can_be_looked_up_instead(course, tmp_path):
    articles = [Article("a", "Note", "The pool has 99 ducks.")]
    done = methods.run(course, TABLES / "bakery_sheet.csv", tmp_path, articles=articles)
    assert {row["answer"] for row in done.reports[RETRIEVAL].rows} == {"The pool has 99 ducks."}


def test_a_table_that_is_too_small_is_refused_with_the_reason(course, tmp_path):
    table = tmp_path / "few.csv"
    table.write_text("question,answer\nWhen do you open?,At 9 in the morning.\n", encoding="utf-8")
    with pytest.raises(DataError, match="the table makes no training file"):
        methods.run(course, table, tmp_path / "out")


def test_fact_recall_reads_numbers_with_their_units():
    pair = [
        {"role": "user", "content": "How warm?"},
        {"role": "assistant", "content": "31 degrees."},
    ]
    sample = methods._samples([pair])[0]
    assert methods.fact_recall("About 31 degrees.", sample).value == 1
    assert methods.fact_recall("About 30 degrees.", sample).value == 0


def test_answers_without_any_number_cannot_be_judged():
    with pytest.raises(DataError, match="states a number"):
        methods._samples(
            [[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]]
        )
