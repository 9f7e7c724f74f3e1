import json
import re

import numpy as np
import pytest

from helpers.base.errors import DataError
from helpers.evaluation.grading import Answer, EvaluationReport, grade, load_samples, subsample
from helpers.evaluation.results import load_result, save_result
from helpers.evaluation.scorers import Sample, exact_match
from helpers.evaluation.statistics import compare, interval

SAMPLES = [Sample(id=str(i), question="q", target=str(i % 2), kind="k") for i in range(10)]
ANSWERS = [Answer(str(i), "1", 5, 2, 0.1) for i in range(10)]


def test_a_report_has_one_row_for_each_sample():
    report = grade(ANSWERS, SAMPLES, {"exact": exact_match})
    assert report.column("exact").tolist() == [0, 1] * 5
    assert report.summary().loc["k", "exact"] == 0.5
    assert report.worst("exact", 1)["exact"].tolist() == [0]


def test_every_second_question_of_each_kind_keeps_the_mixture_and_the_order():
    kinds = "aabbbabab"
    samples = [Sample(id=str(i), question="q", target="", kind=k) for i, k in enumerate(kinds)]
    assert [sample.id for sample in subsample(samples, 2)] == ["0", "2", "4", "5", "8"]
    assert subsample(samples, 1) == samples


def test_seconds_are_the_median_of_those_asked_alone():
    taken = [None, 0.5, None, 0.1, 3.0] + [None] * 5
    answers = [Answer(str(i), "1", 5, 2, seconds) for i, seconds in enumerate(taken)]
    assert grade(answers, SAMPLES, {"exact": exact_match}).seconds() == 0.5
    unknown = [Answer(str(i), "1", 5, 2, None) for i in range(10)]
    assert grade(unknown, SAMPLES, {"exact": exact_match}).seconds() is None


def test_answers_of_other_samples_are_refused():
    with pytest.raises(DataError):
        grade(ANSWERS[1:], SAMPLES, {"exact": exact_match})


def test_an_interval_covers_the_true_mean_about_19_times_in_20():
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        found = interval(rng.random(60), seed=trial, draws=400)
        hits += found.low <= 0.5 <= found.high
    assert 180 <= hits <= 199


def test_a_clear_difference_is_significant_and_none_is_not():
    rng = np.random.default_rng(2)
    base = rng.random(50)
    assert compare(base, base + 0.3).p < 0.01
    assert compare(base, base + rng.normal(0, 0.3, 50)).p > 0.05
    assert compare(base, base).p == 1


def test_a_stored_result_comes_back_with_its_origin(tmp_path):
    data = tmp_path / "test.jsonl"
    data.write_text("x")
    report = grade(ANSWERS, SAMPLES, {"exact": exact_match})
    made = save_result(tmp_path / "results", "one", report, model="m", dataset=data, seed=3)
    assert load_result(tmp_path / "results", "one") == made
    assert made.dataset_sha256


def test_a_missing_result_is_named(tmp_path):
    with pytest.raises(DataError, match="two"):
        load_result(tmp_path, "two")


def test_a_test_set_that_cannot_be_read_names_the_line(tmp_path):
    path = tmp_path / "test.jsonl"
    good = {"id": "1", "kind": "k", "messages": [{"content": "q"}, {"content": "a"}]}
    path.write_text(json.dumps(good) + "\n{}\n")
    with pytest.raises(DataError, match="line 2"):
        load_samples(path)


def test_a_comparison_reads_as_a_difference_with_its_interval():
    shown = repr(compare([0.0] * 20, [1.0] * 20))
    assert re.fullmatch(r"difference \+1\.00 \[\+1\.00, \+1\.00\], p = 0\.00\d\d", shown), shown


def test_samples_to_which_a_score_does_not_apply_are_left_out():
    nan = float("nan")
    assert interval([1.0, nan, 0.0]) == interval([1.0, 0.0])
    assert compare([0.0, nan, 1.0], [1.0, 1.0, nan]) == compare([0.0], [1.0])


def test_a_score_that_does_not_apply_is_stored_as_null(tmp_path):
    report = EvaluationReport(({"sample": "a", "kind": "k", "s": None},), ("s",))
    dataset = tmp_path / "test.jsonl"
    dataset.write_text("{}\n", encoding="utf-8")
    save_result(tmp_path, "r", report, model="m", dataset=dataset)
    assert '"s": null' in (tmp_path / "r.json").read_text(encoding="utf-8")
    assert np.isnan(load_result(tmp_path, "r").report.column("s")).all()
