"""The capstone on the course's example tables, with a model that copies what its prompt holds."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import numpy as np
import pytest

from helpers.base import jsonl, settings
from helpers.base.errors import DataError
from helpers.base.tokens import local_tokenizer
from helpers.capstone import baselines, experiment, takeaway
from helpers.capstone.conclusion import NO_METHOD, advice, verdict
from helpers.capstone.samples import CHECKABLE
from helpers.capstone.table import TableOptions, read_table
from helpers.costs.monthly import BASE, BOTH, FEW_SHOT, METHODS, RETRIEVAL, TUNED
from helpers.datasets.checkable_facts import facts
from helpers.evaluation.results import load_result
from helpers.rag.documents import Article
from tests.capstone.fake import connection

TABLES = settings.load().root / "data" / "examples"


@pytest.fixture(scope="module")
def course():
    return connection()


@pytest.fixture(scope="module")
def done(course, tmp_path_factory):
    folder = tmp_path_factory.mktemp("capstone")
    return experiment.run(course, TABLES / "pool_questions.csv", folder)


def talks(done, part):
    return [row["messages"] for row in jsonl.read(done.prepared.folder / f"{part}.jsonl")]


def test_every_method_and_baseline_answers_every_held_out_question(done):
    asked = [row["question"] for row in done.reports[BASE].rows]
    assert list(done.reports) == [*METHODS, baselines.NEAREST, baselines.FREQUENT]
    assert len(asked) >= 5
    for report in done.reports.values():
        assert [row["question"] for row in report.rows] == asked
    assert not {messages[-2]["content"] for messages in talks(done, "train")} & set(asked)


def test_no_held_out_answer_is_looked_up_shown_or_learnt(course, done):
    held_out = {messages[-1]["content"] for messages in talks(done, "test")}
    learnt = {messages[-1]["content"] for messages in talks(done, "train")}
    read = [str(request["messages"]) for request in course.client.asked]
    read += [str(rows) for rows in course.client.uploads]
    assert not [answer for answer in held_out - learnt if any(answer in text for text in read)]
    assert done.store == f"the {len(talks(done, 'train'))} training answers"
    assert done.store in done.report_file.read_text(encoding="utf-8")


def test_each_method_sees_what_belongs_to_it(done):
    tokens = {name: [row["prompt_tokens"] for row in r.rows] for name, r in done.reports.items()}
    assert tokens[BASE] == tokens[TUNED]
    assert tokens[RETRIEVAL] == tokens[BOTH]
    assert all(few > base for few, base in zip(tokens[FEW_SHOT], tokens[BASE], strict=True))


def test_no_example_is_learnt_with_its_own_answer_among_the_notes(course, done):
    rows = [row["messages"] for row in course.client.uploads[0]]
    plain = [row for row in rows if "Notes:" not in row[-2]["content"]]
    assert len(rows) == 2 * len(plain) >= 20
    for row, twin in zip(plain, rows[len(plain) :], strict=True):
        assert twin[-2]["content"].endswith(f"Question: {row[-2]['content']}")
        assert twin[-1] == row[-1]
        assert row[-1]["content"] not in twin[-2]["content"]


def test_what_training_could_know_is_counted_from_the_answers(done):
    known = frozenset().union(
        *(facts(messages[-1]["content"]) for messages in talks(done, "train"))
    )
    wanted = [found for m in talks(done, "test") if (found := facts(m[-1]["content"]))]
    by_hand = np.mean([len(one & known) / len(one) for one in wanted])
    assert done.within_reach == pytest.approx(by_hand)
    assert done.within_reach < 1


def test_results_are_stored_with_their_lineage(done):
    result = load_result(done.report_file.parent / "results", "tuned+retrieval")
    assert result.model == done.model == "ft:pool-questions"
    assert result.seed == 42
    assert result.rows == done.reports[BOTH].rows


def test_the_report_says_all_and_loads_nothing(done):
    html = done.report_file.read_text(encoding="utf-8")
    for heading in (
        "Scores with 95% intervals", "Conditions", "Every method against every other",
        "What follows", "Every answer", "Lineage", "Where each row went",
    ):  # fmt: skip
        assert f"<h2>{heading}</h2>" in html
    assert done.model in html
    assert done.prepared.version.sha256[:16] in html
    assert not re.search(r"src=|href=", html)
    assert str(done.report_file.parent) not in html


def test_your_own_articles_can_be_looked_up_instead(course, tmp_path):
    articles = [Article("a", "Note", "The pool has 99 ducks.")]
    done = experiment.run(course, TABLES / "bakery_sheet.csv", tmp_path, articles=articles)
    assert {row["answer"] for row in done.reports[RETRIEVAL].rows} == {"The pool has 99 ducks."}
    assert done.store == "your 1 article"


def test_a_table_that_is_too_small_is_refused_with_the_reason(course, tmp_path):
    table = tmp_path / "few.csv"
    table.write_text("question,answer\nWhen do you open?,At 9 in the morning.\n", encoding="utf-8")
    with pytest.raises(DataError, match="1 examples came of 1 rows: training takes 10"):
        experiment.run(course, table, tmp_path / "out")


def test_ten_examples_are_learnt_and_none_is_left_to_ask(course, tmp_path):
    table = tmp_path / "ten.csv"
    names = ["bread", "cheese", "honey", "flour", "butter", "coffee", "olives", "salmon", "figs"]
    rows = [f"Where do you keep the {name}?,The {name} is on shelf 4." for name in [*names, "tea"]]
    table.write_text("\n".join(["question,answer", *rows]) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"no question is left .* of 10 examples: .* test=.FILE."):
        experiment.run(course, table, tmp_path / "out")


def test_many_rows_that_ask_the_same_are_told_so(tmp_path):
    table = tmp_path / "same.csv"
    rows = [f"Is it open?,Look for {' '.join(WORDS[n : n + 5])} there." for n in range(30)]
    table.write_text("\n".join(["question,answer", *rows]) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"30 examples ask 1 question, and .* another column holds"):
        read_table(table, tmp_path / "out", TableOptions(), test=0.3)


WORDS = [
    "bread",
    "cheese",
    "apples",
    "honey",
    "flour",
    "butter",
    "coffee",
    "salmon",
    "walnuts",
    "garlic",
    "pepper",
    "olives",
    "cellar",
    "kitchen",
    "garden",
    "market",
    "station",
    "harbour",
    "ladder",
    "window",
    "curtain",
    "blanket",
    "candle",
    "mirror",
    "basket",
    "hammer",
    "bottle",
    "ribbon",
    "pencil",
    "button",
    "pocket",
    "saddle",
    "anchor",
    "barrel",
    "violin",
    "feather",
    "thunder",
    "meadow",
]


def written(path, rows):
    lines = ["question,answer", *(f'"{question}","{answer}"' for question, answer in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def free_rows(n=60):
    """Rows that have hardly a word in common, so that any of them may be held out."""
    draw = random.Random(3)

    def some(k):
        return " ".join(draw.sample(WORDS, k))

    return [(f"Where do I find {some(6)} please?", f"Look for {some(7)} there.") for _ in range(n)]


def test_answers_without_numbers_are_judged_by_likeness(tmp_path):
    table = written(tmp_path / "shop.csv", free_rows())
    done = experiment.run(connection(), table, tmp_path / "out")
    assert done.ranking.yardstick == "likeness"
    assert "similarity" in done.table().columns
    assert "facts" not in " ".join(done.table().columns)
    assert done.within_reach is None
    assert "lookup" in verdict(done)


def test_verdict_advice_table_and_folder_name_the_same_best_method(tmp_path):
    draw = random.Random(4)
    rows = [
        (f"When does {' '.join(words)} come?", f"With {words[0]}, in {place % 3 + 2} days.")
        for place in range(60)
        for words in [draw.sample(WORDS, 5)]
    ]
    done = experiment.run(connection(), written(tmp_path / "t.csv", rows), tmp_path / "out")
    best = done.ranking.best
    assert verdict(done).startswith(f"Best is {best}: facts ")
    assert advice(done).method == best
    assert takeaway.read_method(done.model_folder).method == best
    table = done.table()
    assert list(table.index) == list(done.reports)
    checked = done.reports[BASE].column("facts", kind=CHECKABLE).size
    assert f"facts ({checked} questions)" in table.columns


def test_where_nobody_could_know_the_answers_no_method_is_advised(tmp_path):
    draw = random.Random(5)
    numbers = draw.sample(range(1000, 9999), 60)
    rows = [
        (f"What does part {' '.join(draw.sample(WORDS, 4))} cost?", f"It is {number} dollars.")
        for number in numbers
    ]
    done = experiment.run(connection(), written(tmp_path / "codes.csv", rows), tmp_path / "out")
    assert verdict(done).startswith("None is best: no method has more than facts 0.00 on ")
    assert "0% of the held-out facts" in verdict(done)
    assert advice(done).method == NO_METHOD
    page = done.report_file.read_text("utf-8")
    card = (done.model_folder / "README.md").read_text("utf-8")
    for text in (page, card):
        assert "Best is" not in text
        assert "The best of" not in text


def test_a_number_below_every_answer_carries_no_verdict_and_is_named(tmp_path):
    rows = [(asked, f"{said} Call 0800 1234567.") for asked, said in free_rows()]
    done = experiment.run(connection(), written(tmp_path / "t.csv", rows), tmp_path / "out")
    assert done.ranking.yardstick == "likeness"
    assert "facts" not in " ".join(done.table().columns)
    (note,) = [note for note in done.notes if note.startswith("Not scored as facts")]
    assert note.endswith("states them: phone 08001234567.")
    assert note in done.report_file.read_text("utf-8")


def test_a_table_that_was_read_is_not_prepared_again(tmp_path, monkeypatch):
    table = written(tmp_path / "t.csv", free_rows())
    data = read_table(table, tmp_path / "out" / "dataset", TableOptions(), test=0.3)
    monkeypatch.setattr(experiment, "read_table", lambda *_, **__: pytest.fail("read again"))
    done = experiment.prove(connection(), data, tmp_path / "out")
    assert done.prepared is data.prepared
    assert 0 < data.seconds <= done.estimate.spent


def test_an_own_test_table_is_held_out_and_may_not_repeat_the_training(tmp_path):
    rows = free_rows()
    table, test = written(tmp_path / "a.csv", rows[:40]), written(tmp_path / "b.csv", rows[45:])
    done = experiment.run(connection(), table, tmp_path / "out", test=test)
    asked = {row["target"] for row in done.reports[BASE].rows}
    assert asked <= {answer for _, answer in rows[45:]}
    held = (done.prepared.folder / "test.jsonl").read_text(encoding="utf-8")
    assert all(answer in held for _, answer in rows[45:])
    with pytest.raises(DataError, match="shares questions"):
        experiment.run(connection(), table, tmp_path / "again", test=written(test, rows[:12]))


def test_answers_may_be_as_long_as_the_tables_own_and_cut_ones_are_counted(tmp_path):
    course, count = connection(), local_tokenizer().count
    done = experiment.run(course, written(tmp_path / "t.csv", free_rows()), tmp_path / "out")
    allowed = {request["max_completion_tokens"] for request in course.client.asked}
    longest = max(count(messages[-1]["content"]) for messages in talks(done, "train"))
    assert allowed == {done.max_tokens}
    assert longest < done.max_tokens < 1.2 * longest + 5
    cut = replace(done.reports[BASE], rows=({"cut": True}, {"cut": False}))
    assert replace(done, reports={BASE: cut}).cut == {BASE: 1}


def test_fewer_questions_are_asked_where_fewer_are_wanted_and_that_is_said(tmp_path):
    table = written(tmp_path / "t.csv", free_rows())
    done = experiment.run(connection(), table, tmp_path / "out", questions=10)
    assert len(done.reports[BASE].rows) == 10
    assert any(note.startswith("10 of ") for note in done.notes)


def test_a_hosts_job_is_not_broken_off_for_a_budget(tmp_path):
    table = written(tmp_path / "shop.csv", free_rows())
    done = experiment.run(connection(), table, tmp_path / "out", minutes=0.001)
    assert done.model == "ft:shop"
    assert done.tuned.ended is None
    assert len(done.reports[BASE].rows) >= 1


def test_dates_are_read_as_the_caller_says(tmp_path):
    lines = ["ticket_id,author_role,body,created_at"]
    for n, (question, answer) in enumerate(free_rows(30)):
        # Day first, the answer is the later one; month first, it would be the earlier one.
        lines += [
            f'{n},agent,"{answer}",04/05/2024 10:00',
            f'{n},customer,"{question}",05/04/2024 10:00',
        ]
    table = tmp_path / "tickets.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = experiment.run(connection(), table, tmp_path / "out", date_format="%d/%m/%Y %H:%M")
    assert all(row["target"].startswith("Look for") for row in done.reports[BASE].rows)
