from __future__ import annotations

import pytest

from helpers.datasets.checkable_facts import contradict, facts, stated_facts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hold it for twelve seconds.", {"12 second"}),
        ("It costs £4.50 or 10% more", {"4.5 £", "10 %"}),
        ("Between 18:00 and 19:30", {"18:00", "19:30"}),
        ("Yes, within 3 days", {"yes", "3 day"}),
        ("No one can do it", {"no"}),
        ("That one is fine", set()),
        ("1,299 points, 5 stars", {"1299", "5"}),
        ("1.299,00 € and 4,90 Euro", {"1299 €", "4.9 €"}),
        ("1. Open the app. 2. Choose Account. 3. Choose Reset.", set()),
        ("Steps:\n1) open\n2) wait 5 minutes", {"5 minute"}),
        ("Step 1: open it\nStep 2: wait 3 days", {"3 day"}),
        ("**1.** Open\n**2.** Wait", set()),
        ("It takes 5. Then 6 days", {"5", "6 day"}),
        ("Am 1. Mai und 2. Juni", {"1", "2"}),
        ("We are here 24/7 for you", set()),
        ("Order NB-20241187 or INV2024-11, #4711", set()),
        ("See https://a.example/b-77/9 or bob99@post.example", set()),
        ("id 550e8400-e29b-41d4-a716-446655440000 and 113542617735902", set()),
        ("until 2025-03-14 or 14.03.2025", {"2025-03-14", "14.03.2025"}),
        ("Call 555-0142", {"phone 5550142"}),
        ("a 10-day trial", {"10 day"}),
        ("Ja, 2 Jahre", {"yes", "2 year"}),
        ("Rs.10,000/-* or Rs. 50,000", {"10000 rupee", "50000 rupee"}),
        ("EUR 20, 20 €, USD 5 and ₹7", {"20 €", "5 $", "7 rupee"}),
        ("7 working days or 2 or 3 days, 5 a day", {"7 day", "2", "3 day", "5"}),
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
        ("From 3 to 21 years.", "From 3 years to 21.", False),
        ("Yes, it can be topped up.", "It is topped up in 2 ways.", False),
        ("Yes, within 3 days.", "No, within 3 days.", True),
        ("It takes 3 days.", "It takes 3 hours.", True),
    ],
)
def test_answers_contradict_when_each_states_another_fact(
    one: str, other: str, expected: bool
) -> None:
    assert contradict(one, other) is expected


def test_stated_facts_are_as_they_are_written() -> None:
    text = "1. Pay $12 under Plan > Leave.\n2. Write to help@desk.example in 3 days."
    assert stated_facts(text) == ["help@desk.example", "Plan > Leave", "$12", "3"]
