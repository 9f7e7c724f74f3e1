"""Bills, break-evens and the lowest bill, against sums done by hand."""

from __future__ import annotations

import dataclasses

import pytest

from helpers.base.errors import DataError
from helpers.costs import catalog, monthly
from helpers.costs.monthly import (
    BASE,
    BOTH,
    FEW_SHOT,
    HERE,
    RETRIEVAL,
    TUNED,
    Bill,
    Machine,
    Workload,
)

KNOWN = catalog.load()
LOAD = Workload(
    questions=1_000, prompt=100, answer=50, demonstrations=400, notes=300, updates=2, job=10**6,
    life=10, documents=10**6,
)  # fmt: skip
MINI = "gpt-4.1-mini"


def hosted(method, load=LOAD, model=MINI):
    found = monthly.hosted(method, load, model, KNOWN)
    assert found is not None
    return found


def test_a_question_costs_its_tokens_in_and_out():
    price = KNOWN.chat_price(MINI)
    assert price is not None
    assert price.output_per_million is not None
    each = (500 * price.per_million + 50 * price.output_per_million) / 1e6
    bill = hosted(FEW_SHOT)
    assert bill.fixed == 0
    assert bill.each == pytest.approx(each)
    assert bill.total(1_000) == pytest.approx(1_000 * each)


def test_a_tuned_model_pays_for_jobs_at_each_change_and_for_its_own_price():
    training, asking = KNOWN.training_price(MINI), KNOWN.tuned_chat_price(MINI)
    assert training is not None
    assert asking is not None
    bill = hosted(TUNED)
    assert bill.fixed == pytest.approx((2 + 1 / 10) * training.per_million)
    assert bill.each == pytest.approx(
        (100 * asking.per_million + 50 * asking.output_per_million) / 1e6
    )


def test_with_retrieval_a_changed_fact_needs_no_job():
    steady = dataclasses.replace(LOAD, updates=0, documents=0)
    assert hosted(BOTH, steady).fixed == pytest.approx(hosted(TUNED, steady).fixed)
    assert hosted(BOTH).fixed < hosted(TUNED).fixed / 5


def test_embedding_is_part_of_retrieval():
    cheapest = min(price.per_million for price in KNOWN.embeddings.values())
    assert hosted(RETRIEVAL).fixed == pytest.approx(2 * cheapest)
    same_prompt = dataclasses.replace(LOAD, demonstrations=LOAD.notes)
    more = hosted(RETRIEVAL).each - hosted(FEW_SHOT, same_prompt).each
    assert more == pytest.approx(LOAD.prompt * cheapest / 1e6)


def test_a_model_that_cannot_be_tuned_has_no_tuned_bill():
    assert monthly.hosted(TUNED, LOAD, "gpt-6-luna", KNOWN) is None
    assert monthly.hosted(BASE, LOAD, "gpt-6-luna", KNOWN) is not None


@pytest.mark.parametrize(("method", "model"), [("guessing", MINI), (BASE, "gpt-none")])
def test_unknown_names_are_errors(method, model):
    with pytest.raises(DataError, match="one of"):
        monthly.hosted(method, LOAD, model, KNOWN)


def test_your_machine_costs_the_same_until_it_is_half_busy():
    machine = Machine(dollars=30, read=1_000, write=100, train=1_000)
    bill = monthly.local(BASE, LOAD, machine)
    assert bill.seconds == pytest.approx(0.1 + 0.5)
    room = int(monthly.BUSY * monthly.MONTH_SECONDS / bill.seconds)
    assert bill.total(0) == bill.total(room) == 30
    assert bill.total(2 * room) == pytest.approx(60, rel=1e-3)
    assert bill.total(2 * room) > monthly.local(
        BASE, dataclasses.replace(LOAD, answer=10), machine
    ).total(2 * room)


def test_the_break_even_is_the_first_number_of_questions_that_is_cheaper():
    prompt, job = Bill(FEW_SHOT, MINI, 0, 0.002), Bill(TUNED, MINI, 12, 0.0005)
    start = monthly.break_even(prompt, job)
    assert start is not None
    assert job.total(start) < prompt.total(start)
    assert job.total(start - 1) >= prompt.total(start - 1)
    assert start == 8_001
    assert monthly.break_even(prompt, Bill(TUNED, MINI, 12, 0.003)) is None


def test_the_lowest_bill_changes_where_the_lines_cross_and_never_is_the_base():
    offered = [
        Bill(BASE, MINI, 0, 0.0001),
        Bill(FEW_SHOT, MINI, 0, 0.002),
        Bill(TUNED, MINI, 12, 0.0005),
        Bill(TUNED, HERE, 100, 0, seconds=1e-6),
    ]
    found = [(start, bill.name) for start, bill in monthly.cheapest(offered)]
    assert [name for _, name in found] == [
        f"few-shot on {MINI}", f"tuned on {MINI}", f"tuned on {HERE}",
    ]  # fmt: skip
    assert [start for start, _ in found] == [0, 8_001, 176_001]
    assert monthly.cheapest([offered[0]]) == []


def test_of_equal_bills_the_quicker_one_counts():
    offered = [monthly.local(method, LOAD, Machine()) for method in (FEW_SHOT, TUNED)]
    assert monthly.cheapest(offered)[0][1].method == TUNED


def test_changes_finds_the_very_number():
    assert monthly.changes(lambda n: int(n >= 123_457) + int(n >= 5)) == [
        (0, 0),
        (5, 1),
        (123_457, 2),
    ]


def test_changes_finds_two_that_are_near_each_other():
    assert monthly.changes(lambda n: int(n >= 1_003) + int(n >= 1_020)) == [
        (0, 0),
        (1_003, 1),
        (1_020, 2),
    ]


@pytest.mark.parametrize(
    ("dollars", "shown"),
    [
        (0, "$0.00"),
        (0.00004, "$4e-05"),
        (0.0012, "$0.0012"),
        (3.456, "$3.46"),
        (12345.6, "$12,346"),
    ],
)
def test_money_hides_nothing(dollars, shown):
    assert monthly.money(dollars) == shown
