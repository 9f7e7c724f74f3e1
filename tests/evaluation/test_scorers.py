import pytest

from helpers.datasets.checkable_facts import stated_facts
from helpers.evaluation.scorers import (
    Sample,
    chrf,
    contains,
    exact_match,
    key_fact_recall,
    made_up_facts,
    outdated,
)

SAMPLE = Sample(
    id="1",
    question="How do I reset it?",
    target="Hold the button for 12 seconds.",
    kind="paraphrase",
    key_facts=(("12 seconds", "twelve seconds"), ("amber",)),
)


@pytest.mark.parametrize(
    ("answer", "recall"),
    [
        ("Hold it for 12 seconds until it blinks amber.", 1.0),
        ("Twelve  Seconds, then AMBER!", 1.0),
        ("Hold it for 112 seconds, amber.", 0.5),
        ("No idea.", 0.0),
    ],
)
def test_key_fact_recall_is_the_share_of_stated_facts(answer, recall):
    assert key_fact_recall(answer, SAMPLE).value == recall


def test_key_fact_recall_names_what_is_missing():
    assert "amber" in key_fact_recall("12 seconds", SAMPLE).reason


def test_a_number_inside_another_number_is_not_contained():
    assert not contains("in 2025", "20")
    assert not contains("it costs $4.50", "$4")
    assert contains("it costs $4.", "$4")


def test_exact_match_ignores_case_and_spaces():
    assert exact_match("hold the button  for 12 SECONDS.", SAMPLE).value == 1
    assert exact_match("Hold the knob for 12 seconds.", SAMPLE).value == 0


def test_chrf_is_one_for_the_target_and_lower_for_another_text():
    assert chrf(SAMPLE.target, SAMPLE).value == pytest.approx(1)
    assert chrf("Something else", SAMPLE).value < 0.4


def test_facts_are_found_once_each():
    found = stated_facts("Pay $12 under Plan > Leave, or write to help@larkwell.example in 3 days.")
    assert found == ["help@larkwell.example", "Plan > Leave", "$12", "3"]


@pytest.mark.parametrize(
    ("answer", "value"),
    [("The fee is $8.", 1.0), ("The fee is $5.", 0.0), ("Pay within 14 days.", 0.0), ("", 0.0)],
)
def test_an_outdated_answer_states_what_the_article_no_longer_holds(answer, value):
    score = outdated({"fee": "It is $8 after 14 days."}, {"fee": "It is $5 after 14 days."})
    changed = Sample("s", "What is the fee?", "It is $5.", "changed policy", article="fee")
    assert score(answer, changed).value == value


def test_only_a_changed_policy_can_be_answered_with_the_old_one():
    score = outdated({"fee": "It is $8."}, {"fee": "It is $5."})
    for kind, article in (("paraphrase", "fee"), ("changed policy", "other")):
        assert score("It is $8.", Sample("s", "?", "", kind, article=article)).value is None


def test_a_question_that_is_to_be_declined_has_no_key_fact_recall():
    assert key_fact_recall("$8", Sample("s", "Hi", "I cannot", "misuse")).value is None


def test_made_up_facts_are_those_in_no_known_text():
    score = made_up_facts(["Hold it for 12 seconds."])
    assert score("Hold it for 12 seconds.", SAMPLE).value == 0
    assert score("Hold it for 13 seconds, then pay $5.", SAMPLE).value == 2
