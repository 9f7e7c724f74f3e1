from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.datasets.personal_data import find, luhn, redact

KEY = "sk-" + "proj-abcdefghijklmnopqrst"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Write to ann.o'neil+shop@post.example.", "Write to [email]."),
        ("Call 020 7946 0018 now", "Call [phone] now"),
        ("Call +44 7700 900123.", "Call [phone]."),
        ("Call (555) 010-0199, please", "Call [phone], please"),
        ("Call 555-0123", "Call [phone]"),
        ("Card 4111 1111 1111 1111, exp 04/29", "Card [card], exp 04/29"),
        ("Card 4111111111111111", "Card [card]"),
        (f"my key is {KEY}", "my key is [key]"),
        ("for my order 4111 1111 1111 1111", "for my order [card]"),
        ("order +44 7700 900123", "order [phone]"),
        ("customer service: 0800 123 4567", "customer service: [phone]"),
        ("Amex 378282246310005", "Amex [card]"),
        ("IBAN DE89 3704 0044 0532 0130 00 bitte", "IBAN [iban] bitte"),
        ("to GB29NWBK60161331926819.", "to [iban]."),
        ("BE68 5390 0754 7034 and that is all", "[iban] and that is all"),
        ("compte fr14 2004-1010-0505-0001-3M02-606, merci", "compte [iban], merci"),
        ("order NO93 8601 1117 947", "order [iban]"),
        ("two: a@b.example and 07700 900 456", "two: [email] and [phone]"),
    ],
)
def test_personal_data_is_replaced(text: str, redacted: str) -> None:
    assert redact(text).text == redacted


@pytest.mark.parametrize(
    "text",
    [
        "The outage of 2025-03-14 ended at 18:30.",
        "From 14.03.2025 on you pay 1,299.00 a year.",
        "The card number 4111 1111 1111 1112 has a wrong check sum",
        "IBAN DE89 3704 0044 0532 0130 01 has wrong check digits",
        "IBAN DE89 3704 0044 is not whole",
        "Serial 123-456",
        "Speeds of 1000 to 2500 Mbit/s for 24 months",
        "Open 192.168.1.1 in the browser",
        "Order NB-20241187",
        "Meet @home at 7",
        "where is order 113542617735902?",
        "order 4111111111111111 is on its way",
        "cancel purchase 00004587345",
        "tracking number is 0034043416",
        "Bestellnummer: 0301 234567",
        "customer number 07700900456",
        "ticket #0170123456",
        "see https://example.com/posts/activity-1111180401478746163",
        "see www.shop.example/07700900456 or shop.example/p/4111111111111111",
        "The code 1234567890123452 has a right check sum and no issuer",
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert redact(text).text == text


def test_the_desks_own_address_may_stay() -> None:
    text = "help@desk.example or ann@post.example"
    assert redact(text, keep={"help@desk.example"}).text == "help@desk.example or [email]"


def test_order_numbers_are_redacted_on_request() -> None:
    text = "Order NB-20241187 of ann@post.example"
    assert redact(text, kinds=("order",)).text == "Order [order] of ann@post.example"


def test_findings_carry_their_place_and_can_be_masked() -> None:
    (found,) = find("x ann@post.example")
    assert (found.kind, found.start, found.end) == ("email", 2, 18)
    assert found.masked == "an…le"


def test_luhn() -> None:
    assert luhn("4111111111111111")
    assert not luhn("4111111111111112")


@given(st.text() | st.text("0123456789 +-.()@abc"))
def test_redacted_text_holds_nothing_more_and_nothing_else_is_lost(text: str) -> None:
    done = redact(text)
    rest, expected = done.text, text
    for item in reversed(done.found):
        expected = expected[: item.start] + f"[{item.kind}]" + expected[item.end :]
    assert rest == expected
