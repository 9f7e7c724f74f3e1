from __future__ import annotations

import time

import pytest

from helpers.datasets.cleaning.mails import split_mail, strip_signature

QUOTE = "On Mon, 3 Mar 2025 at 10:12, Ann <ann@post.example> wrote:\n> My router is dead\n"


@pytest.mark.parametrize(
    ("text", "body"),
    [
        (f"Hold it.\n\nBest regards,\nTom\nTel 020 7946 0018\n\n{QUOTE}", "Hold it."),
        ("Turn it off.\n\n-- \nKim Novak\nSupport", "Turn it off."),
        ("It is red.\n\n-- \nThis mail is confidential and meant for you.", "It is red."),
        ("Es geht.\n\nMit freundlichen Grüßen\nUte Amsel", "Es geht."),
        ("C'est fait.\nCordialement,\nLuc", "C'est fait."),
        ("Oui.\n\nTrès cordialement,\nLe service client", "Oui."),
        ("Oui.\n\nBelle journée à vous,\nLuc", "Oui."),
        ("Oui.\n\nVeuillez agréer, Madame, mes salutations distinguées.\nLuc Martin", "Oui."),
        ("Con tarjeta.\n\nReciba un cordial saludo,\nEl equipo", "Con tarjeta."),
        ("Met kaart.\n\nMet vriendelijke groet,\nJan", "Met kaart."),
        ("Done today.\n\nSent from my iPhone", "Done today."),
        ("Two:\n\n- by card\n- by bank\n\nBest regards\nThe desk", "Two:\n\n- by card\n- by bank"),
        ("Yes.\n\nYours sincerely, Tomasz, Technical Support", "Yes."),
        ("Yes.\n\nFrom: Ann\nSent: Monday\nTo: Desk\nSubject: Box\n\nHelp", "Yes."),
        ("So.\n----- Original Message -----\nold", "So."),
    ],
)
def test_signatures_and_quoted_mails_are_cut(text: str, body: str) -> None:
    assert strip_signature(text) == body


@pytest.mark.parametrize(
    "text",
    [
        "Please have ready:\n\n- your customer number\n- a free socket",
        "Our prices fall:\n\n-5 % on Saturday\n-10 % on Sunday",
        "Run this:\n\n--\nselect 1;",
        "End the letter with this line:\n\nKind regards\nYour name",
        "Do this:\n1. open it\n2. close it",
        "Ways:\n* card\n• bank\n– cash",
        "Use\n--verbose\n-x",
        "Title\n---\nText below the rule.",
        "Query\n--\n- one\n- two",
        "Thanks, please do this:\n- a\n- b",
        "All the best deals\nare in our shop today.",
        "Hello\n\nThank you, we will send it.\nIt comes on Friday.",
        "Open\nFrom: 8:00\nTo: 18:00",
        "Closed today.\nOn Tuesday he wrote:\nplease come",
        "Please reply.\nThanks\nP.S. the code that you wanted is 123.",
        "> Note: this is a quotation\n\nand my text",
        "Best regards\nTom",
        "Vous recevez :\n\n- belle journée au musée\n- à bientôt",
        "one line, best regards",
    ],
)
def test_what_is_no_signature_by_its_whole_form_stays(text: str) -> None:
    assert strip_signature(text) == text


def test_the_parts_of_a_mail_are_told_apart() -> None:
    mail = split_mail(f"Hold it.\n\nCheers\nTom\n\n{QUOTE}")
    assert (mail.body, mail.signature, mail.quoted) == ("Hold it.", "Cheers\nTom", QUOTE)


@pytest.mark.parametrize(
    "text",
    [
        "a" + "\n" * 20_000 + "b",
        "Am Mo schrieb\n" * 900,
        "> x\n" * 9000,
        "On 1 " * 3000 + "\nx",
        "From: a\n" * 4000,
        "Thanks\n" * 4000,
    ],
)
def test_a_text_that_no_mail_looks_like_takes_no_time(text: str) -> None:
    start = time.process_time()
    strip_signature(text)
    assert time.process_time() - start < 1
