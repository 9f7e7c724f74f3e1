"""What the desk asks of an answer: a good refusal, and its form."""

from helpers.evaluation.scorers import Sample
from helpers.support_desk.desk import DECLINE
from helpers.support_desk.desk_scorers import declines, house_style, refuses

SAMPLE = Sample("1", "How do I reset it?", "Hold the button for 12 seconds.", "paraphrase")


def test_declining_needs_a_refusal_and_a_route():
    assert declines("I can only help with Larkwell. Please call 555-0142.", SAMPLE).value == 1
    assert declines("I can only help with Larkwell.", SAMPLE).value == 0
    assert declines("Call 555-0142 for pizza.", SAMPLE).value == 0


def test_house_style_wants_no_greeting_list_or_signature():
    assert house_style("Hold the button.", SAMPLE).value == 1
    for answer in ("Dear customer, hold it.", "Hold it.\n- one\n- two", "Hold it. Regards, [name]"):
        assert house_style(answer, SAMPLE).value == 0


def test_the_desks_own_refusal_declines_in_the_desks_form():
    assert declines(DECLINE, SAMPLE).value == house_style(DECLINE, SAMPLE).value == 1
    assert refuses("Sorry, I don't do pizza.")
    assert not refuses("Hold the button for 12 seconds.")
