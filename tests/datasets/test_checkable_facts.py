from __future__ import annotations

import pytest

from helpers.datasets.checkable_facts import contradict, facts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hold it for twelve seconds.", {"12 second"}),
        ("It costs £4.50 or 10% more", {"4.5 £", "10 %"}),
        ("Between 18:00 and 19:30", {"18:00", "19:30"}),
        ("Yes, within 3 days", {"yes", "3 day"}),
        ("No one can do it", {"no"}),
        ("That one is fine", set()),
        ("1,299 points", {"1299 point"}),
    ],
)
def test_facts_are_numbers_with_units_and_verdicts(text: str, found: set[str]) -> None:
    assert facts(text) == found


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Hold it for 12 seconds.", "Press for twelve seconds, please.", False),
        ("Hold it for 12 seconds.", "Hold it for 10 seconds.", True),
        ("It takes 3 days.", "It takes 3 days and costs £5.", False),
        ("Yes, you can.", "No, you cannot.", True),
        ("Switch it off.", "Take out the plug.", False),
    ],
)
def test_answers_contradict_when_each_states_another_fact(
    one: str, other: str, expected: bool
) -> None:
    assert contradict(one, other) is expected
