"""The decision guide: it agrees with what the course teaches, and says why."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from helpers.base.errors import DataError
from helpers.costs import monthly
from helpers.costs.advisor import FACTS, Case, recommend
from helpers.costs.monthly import BOTH, FEW_SHOT, RETRIEVAL, TUNED


@pytest.mark.parametrize(
    ("case", "method"),
    [
        (Case(facts="changing", documents=True, examples=20), RETRIEVAL),
        (Case(facts="changing", documents=True, examples=500), RETRIEVAL),
        (Case(facts="in the question", form=True, examples=500, questions=1_000_000), TUNED),
        (Case(examples=5, today=True), FEW_SHOT),
        (Case(facts="changing", documents=True, examples=400, form=True), BOTH),
        (Case(facts="fixed", examples=400), TUNED),
        (Case(facts="fixed", sources=True, examples=400), RETRIEVAL),
        (Case(facts="fixed", examples=20), FEW_SHOT),
        (Case(), FEW_SHOT),
    ],
)
def test_cases_of_the_course_get_the_method_that_it_teaches(case, method):
    assert recommend(case).method == method


def every_case():
    yes_no = (False, True)
    for facts, documents, examples, form, questions, private, sources, today in itertools.product(
        FACTS, yes_no, (0, 20, 400), yes_no, (100, 10**6), yes_no, yes_no, yes_no
    ):
        yield Case(facts, documents, examples, form, questions, private, sources, today)


def test_every_answer_ends_in_a_method_with_reasons_and_a_first_step():
    for case in every_case():
        advice = recommend(case)
        assert advice.method in monthly.METHODS[1:], case
        assert set(advice.against) == set(monthly.METHODS[1:]) - {advice.method}
        assert len(advice.reasons) >= 2
        assert advice.first
        assert all(len(text) > 15 for text in (*advice.reasons, *advice.against.values()))


def test_nothing_is_trained_on_too_few_examples_or_by_this_evening():
    for case in every_case():
        if case.examples < 50 or case.today:
            assert recommend(case).method in (FEW_SHOT, RETRIEVAL), case


def test_changing_facts_never_go_into_the_weights_alone():
    for case in every_case():
        if case.facts == "changing":
            assert recommend(case).method != TUNED, case


def test_private_words_stay_on_your_own_machine():
    for case in every_case():
        assert ("machine of your own" in recommend(case).place) == case.private


def test_what_is_missing_comes_first():
    bare = recommend(Case(facts="changing"))
    assert "aside for judging" in bare.first[0]
    assert "Write the facts down" in bare.first[1]
    ready = recommend(Case(facts="changing", documents=True, test_questions=200))
    assert "Index the documents" in ready.first[0]


def test_it_reads_as_text_and_as_html():
    advice = recommend(Case(facts="changing", documents=True))
    assert repr(advice).startswith("Begin with: retrieval, on any compatible endpoint")
    assert "<b>Begin with: retrieval</b>" in advice._repr_html_()
    hostile = dataclasses.replace(advice, reasons=("<script>",))
    assert "<script>" not in hostile._repr_html_()


@pytest.mark.parametrize("case", [Case(facts="none"), Case(examples=-1), Case(questions=-5)])  # type: ignore[arg-type]
def test_answers_that_cannot_be_are_refused(case):
    with pytest.raises(DataError):
        recommend(case)
