"""The quiz's view without a browser: what it sends, what it does, what stands there statically."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from helpers.course import progress
from helpers.course.quiz.questions import load, select
from helpers.widgets import quiz


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBOOK_STATE", str(tmp_path))
    return tmp_path


def receive(view, message):
    """As if the browser had sent it."""
    view._handle_custom_msg(message, [])


def place(view, *, right):
    question = view.session.question
    texts = [option.text for option in question.options if option.right is right]
    return [view.screen["options"].index(texts[0])]


def test_an_answer_goes_to_the_progress_file_and_the_next_view_shows_it():
    view = quiz.check_yourself("02")
    receive(view, {"do": "check", "given": place(view, right=False)})
    assert view.screen["outcome"] == "wrong"
    assert view.screen["source"]["link"].startswith("02_fine_tuning.ipynb#")
    receive(view, {"do": "again"})
    receive(view, {"do": "check", "given": place(view, right=True)})
    assert view.screen["outcome"] == "right"
    assert progress.read().questions["loss-mask"]["tries"] == 2

    later = quiz.check_yourself("02")
    assert later.screen["place"] == 2
    receive(later, {"do": "go", "place": 0})
    assert later.screen["outcome"] == "right"


def test_to_the_end_and_back_to_the_missed_one():
    view = quiz.check_yourself("00")
    receive(view, {"do": "check", "given": place(view, right=False)})
    for _ in range(3):
        receive(view, {"do": "next"})
    assert (view.screen["name"], view.screen["missed"]) == ("result", 1)
    receive(view, {"do": "missed"})
    assert (view.screen["name"], view.screen["count"]) == ("question", 1)
    receive(view, {"do": "all"})
    assert view.screen["count"] == 3
    receive(view, {"do": "restart"})
    assert progress.read().questions == {}


def test_a_notice_is_no_outcome_and_every_message_is_answered():
    view = quiz.check_yourself("00")
    before = view.screen["turn"]
    receive(view, {"do": "check", "given": []})
    assert view.screen["notice"] == "Choose an answer first."
    assert view.screen["outcome"] == "open"
    receive(view, {"do": "check", "given": []})
    assert view.screen["turn"] == before + 2


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"do": "check"},
        {"do": "check", "given": ["x"]},
        {"do": "check", "given": [99]},
        {"do": "check", "given": {"a": 1}},
        {"do": "go", "place": "last"},
        {"do": "go", "place": 10**9},
        {"do": "__init__"},
        "next",
        None,
    ],
)
def test_nonsense_from_a_page_changes_no_score(message):
    view = quiz.check_yourself("00")
    receive(view, message)
    assert view.session.right == {}
    assert view.screen["name"] == "question"


def test_what_the_browser_gets_tells_no_answer():
    question = select(notebook="02", check=True)[0]
    sent = str(quiz.check_yourself("02").get_state())
    told = [option.feedback for option in question.options if not option.right]
    told += [question.explanation, question.source]
    assert question.stem in sent
    assert not [text for text in told if text in sent]


class Form(HTMLParser):
    """Counts what a form is made of, and whether its tags are closed."""

    def __init__(self):
        super().__init__()
        self.seen, self.open = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag != "input":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_without_a_kernel_every_question_stands_there_as_a_form():
    everything = list(load().values())
    html = quiz.static_form(everything, title="Review")
    form = Form()
    form.feed(html)
    tags = [tag for tag, _ in form.seen]
    assert form.open == []
    assert tags.count("fieldset") == tags.count("legend") == len(everything)
    names = {a["name"] for t, a in form.seen if t == "input" and a["type"] == "radio"}
    assert len(names) == sum(question.kind == "one" for question in everything)
    for question in everything:
        assert not [
            o.feedback for o in question.options if len(o.feedback) > 5 and o.feedback in html
        ]


def test_the_outputs_are_the_same_for_every_reader():
    first = quiz.check_yourself("02")
    bundle = first._repr_mimebundle_()
    receive(first, {"do": "check", "given": [0]})
    again = quiz.check_yourself("02")
    for data in (bundle, again._repr_mimebundle_()):
        data = data[0] if isinstance(data, tuple) else data
        assert data["text/plain"] == "Check yourself: Fine-tune a model"
        assert data["text/html"] == first._form
    assert not re.search("0x[0-9a-f]{6}", repr(first))


def test_a_part_of_the_questions_in_mixed_order():
    view = quiz.review(topic="Retrieval", shuffle=True, seed=7)
    ids = [question.id for question in view.session.all]
    assert sorted(ids) == sorted(q.id for q in select(topic="Retrieval"))
    assert ids != [q.id for q in select(topic="Retrieval")]
    assert repr(view) == "Review quiz, Retrieval"


def test_plain_text_goes_through_the_functions_that_are_passed_in():
    said = []
    quiz.ask_text("02", ask=lambda prompt: "q", say=said.append)
    assert said[0].startswith("Question 1 of 11 · Fine-tuning")
