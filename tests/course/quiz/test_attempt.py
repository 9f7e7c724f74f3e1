"""One question, judged."""

import pytest

from helpers.base.errors import DataError
from helpers.course.quiz import questions, scores
from helpers.course.quiz.attempt import Attempt, plain_number

ROW = {
    "id": "meaning",
    "topic": "basics",
    "notebook": "00",
    "level": "•",
    "kind": "one",
    "stem": "What is fine-tuning?",
    "explanation": "The model is trained further on your examples.",
    "source": "A sculptor and a block of marble",
    "hint": "Think of the sculptor.",
    "options": [
        {"text": "from scratch", "feedback": "That is pretraining."},
        {"text": "further, on your data", "right": True, "feedback": "Yes."},
        {"text": "a longer prompt", "feedback": "No weight changes then."},
    ],
}


def attempt(**changes):
    return Attempt(questions.parse(ROW | changes), seed=3)


def place(tried, text):
    return [tried.shown.index(text)]


def test_the_feedback_is_that_of_the_chosen_option():
    tried = attempt()
    assert tried.answer(place(tried, "from scratch")).feedback == "That is pretraining."
    assert tried.answer(place(tried, "further, on your data")).correct
    assert tried.tries == 2


def test_several_choices_must_be_complete():
    options = [*ROW["options"], {"text": "with new examples", "right": True, "feedback": "Also."}]
    tried = attempt(kind="several", options=options)
    first = place(tried, "further, on your data")
    assert not tried.answer(first).correct
    assert tried.answer(first + place(tried, "with new examples")).correct


@pytest.mark.parametrize(("typed", "right"), [("12.4", True), ("12.6", False), ("abc", False)])
def test_a_number_counts_within_its_tolerance(typed, right):
    tried = attempt(kind="number", options=[], accepted=["12"], tolerance=0.5)
    assert tried.answer(typed).correct is right


def test_steps_must_stand_in_order_and_are_never_shown_so():
    tried = attempt(kind="order")
    texts = [option["text"] for option in ROW["options"]]
    assert tried.shown != texts
    assert tried.answer([tried.shown.index(text) for text in texts]).correct
    assert not tried.answer([0, 1, 2]).correct


def test_a_gap_in_code_ignores_spaces_and_the_kind_of_quotes():
    tried = attempt(kind="gap", options=[], accepted=["f(x, 'a')"], code="y = ____")
    assert tried.answer('f(x,"a")').correct


@pytest.mark.parametrize(
    "change",
    [
        {"stem": ""},
        {"kind": "guess"},
        {"options": ROW["options"][:1]},
        {"level": "easy"},
        {"notebook": "11"},
        {"colour": "red"},
    ],
)
def test_a_defect_of_a_question_is_named(change):
    with pytest.raises(DataError, match="meaning"):
        questions.parse(ROW | change)


def test_a_known_mistake_gets_its_own_words():
    tried = attempt(
        kind="number", options=[], accepted=["12"], tolerance=0.5, traps={"24": "Halve it."}
    )
    assert tried.answer("24.0").feedback == "Halve it."
    assert tried.answer("99").feedback == ROW["hint"]


@pytest.mark.parametrize("typed", ["1,234.5", "1234,5", "$1234.5", " 1 234.5 ", "1234.5 %"])
def test_numbers_are_read_as_people_type_them(typed):
    assert plain_number(typed) == "1234.5"


@pytest.mark.parametrize("typed", ["", "nan", "inf", "1_0", "1,2,3", "ten"])
def test_what_is_no_number_is_not_a_try(typed):
    tried = attempt(kind="number", options=[], accepted=["12"])
    assert not tried.answer(typed).counts
    assert tried.tries == 0


@pytest.mark.parametrize("given", [[], [0, 1], "", "7"])
def test_no_choice_or_two_of_one_is_not_a_try(given):
    tried = attempt()
    assert tried.answer(given).feedback == "Choose an answer first."
    assert tried.tries == 0


def test_a_missed_question_says_what_to_read_again():
    question = questions.parse(ROW)
    score = scores.by_topic([question], {"meaning": False})[0]
    assert (score.right, score.answered) == (0, 1)
    assert score.reread == (("00", ROW["source"]),)
