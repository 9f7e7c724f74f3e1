"""The questions of data/quiz/: complete, fair, and about sections that exist."""

from __future__ import annotations

import difflib
import re
from collections import Counter

import pytest

from helpers.base.errors import DataError
from helpers.course import chapters
from helpers.course.quiz import questions
from helpers.course.quiz.attempt import Attempt, AttemptOutcome
from helpers.course.quiz.questions import DATA
from helpers.course.quiz.session import Session

QUESTIONS = list(questions.load().values())
ONES = [question for question in QUESTIONS if question.kind == "one"]


def right_texts(question):
    return [option.text for option in question.options if option.right]


def test_there_are_questions_of_every_kind_on_every_notebook():
    assert len(QUESTIONS) >= 64
    assert {question.kind for question in QUESTIONS} == {"one", "several", "number", "order", "gap"}
    counts = Counter(question.notebook for question in QUESTIONS)
    assert set(counts) == set(chapters.CHAPTERS) - {"08"}
    assert min(counts.values()) >= 5


@pytest.mark.parametrize("notebook", [*(f"{n:02}" for n in range(8)), "09", "10"])
def test_a_notebook_ends_with_at_least_three_short_questions(notebook):
    own = questions.select(QUESTIONS, notebook=notebook, check=True)
    assert len(own) >= 3
    assert all(len(question.stem) < 200 for question in own)


def test_a_file_holds_the_questions_of_the_notebook_that_it_is_named_after():
    for path in DATA.glob("*.json"):
        found = re.findall(r'"notebook": "(\d\d)"', path.read_text(encoding="utf-8"))
        assert set(found) == {path.stem[:2]}


def test_the_question_of_the_article_is_there():
    question = questions.load()["finetuning-meaning"]
    assert question.stem == "What is fine-tuning in the context of AI?"
    assert len(question.options) == 4
    assert right_texts(question) == ["Training a pretrained model on a new, custom dataset"]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.id)
def test_every_answer_that_can_be_given_gets_its_own_words(question):
    said = [option.feedback for option in question.options if option.feedback]
    wrong = [option.feedback for option in question.options if not option.right]
    if question.kind in ("one", "several"):
        assert all(wrong)
        assert len(set(wrong)) == len(wrong)
    else:
        said += [question.hint, *question.traps.values()]
    assert all(text.endswith((".", "?")) for text in [*said, question.explanation])


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.id)
def test_the_right_answer_is_accepted_and_every_trap_is_not(question):
    attempt = Attempt(question)
    if question.kind in ("number", "gap"):
        assert attempt.answer(question.accepted[0]).correct
        for typed, why in question.traps.items():
            assert attempt.answer(typed) == AttemptOutcome(False, why)
    else:
        texts = [o.text for o in question.options if o.right or question.kind == "order"]
        assert attempt.answer([attempt.shown.index(text) for text in texts]).correct


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.id)
def test_a_wrong_answer_does_not_give_the_right_one_away(question):
    if question.kind in ("number", "gap"):
        words = [question.hint, *question.traps.values()]
        for word in question.accepted:
            assert not [text for text in words if re.search(rf"(?<![\w.,]){word}\b(?!,)", text)]
    for option in question.options:
        assert not any(text in option.feedback for text in right_texts(question))


def test_the_right_answer_stands_at_each_place_equally_often():
    places = Counter()
    for question in ONES:
        places[Attempt(question).shown.index(right_texts(question)[0])] += 1
    expected = len(ONES) / 4
    assert all(0.6 * expected <= places[place] <= 1.5 * expected for place in range(4)), places


def test_the_right_answer_is_not_given_away_by_its_length():
    longest = [q.id for q in ONES if max(q.options, key=lambda o: len(o.text)).right]
    assert len(longest) <= 0.4 * len(ONES), longest


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.id)
def test_the_section_to_read_again_exists(question):
    known = chapters.headings(question.notebook)
    near = difflib.get_close_matches(question.source, known, cutoff=0.2)
    assert not known or question.source in known, (
        f"change its source to a heading of notebook {question.notebook}, perhaps one of {near}"
    )


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.id)
def test_a_screen_holds_nothing_that_tells_the_answer(question):
    screen = str(Session([question]).screen())
    hidden = [question.explanation, question.source, question.hint, *question.traps.values()]
    hidden += [option.feedback for option in question.options]
    assert not [text for text in hidden if text and len(text) > 4 and text in screen]
    assert "accepted" not in screen


def test_no_question_is_named_with_its_remedy():
    with pytest.raises(DataError, match="no question with topic 'Cooking'"):
        questions.select(QUESTIONS, topic="Cooking")


def test_a_double_id_is_found(tmp_path):
    text = (DATA / "00_start_here.json").read_text(encoding="utf-8")
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"b\.json: id 'finetuning-meaning' is used twice"):
        questions.load(tmp_path)
