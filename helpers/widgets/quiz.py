"""Answer questions in a notebook: one at a time, with feedback, a score and what to read.

For: the end of each notebook, and the review of notebook 08. The view is an anywidget;
where none runs, the questions stand there as a form, and `ask_text` asks in plain text.
Not for: what an answer is worth, see `helpers.course.quiz`.

    from helpers.widgets import quiz
    quiz.check_yourself("02")            # the short questions of notebook 02
    quiz.review(topic="Retrieval")       # everything, or a part of it
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import anywidget
import traitlets

from helpers.base.markup import code_html, html_text
from helpers.course import chapters, progress
from helpers.course.quiz import text
from helpers.course.quiz.attempt import Attempt
from helpers.course.quiz.questions import Question, select
from helpers.course.quiz.session import Session
from helpers.widgets.assets import assets, lab_folder

INPUTS = {"one": "radio", "several": "checkbox", "number": "text", "gap": "text"}


class QuizView(anywidget.AnyWidget):
    """The panel. The browser sees `screen` and sends verbs; the answers stay in the kernel."""

    _esm, _css = assets("quiz")

    title = traitlets.Unicode("Quiz").tag(sync=True)
    screen = traitlets.Dict().tag(sync=True)
    folder = traitlets.Unicode().tag(sync=True)

    def __init__(self, session: Session, *, title: str, form: str) -> None:
        super().__init__(title=title, folder=lab_folder())
        self.session = session
        self._form = form
        self._turn = 0
        self.on_msg(self._on_message)
        self._show()

    def act(self, message: dict[str, Any]) -> None:
        """Do what the reader asked for: {"do": "check", "given": [0]}, {"do": "next"}, …"""
        session, notice = self.session, ""
        verbs: dict[str, Callable[[], Any]] = {
            "again": session.again,
            "next": session.next,
            "missed": session.review_missed,
            "all": session.review_all,
            "restart": session.start_over,
        }
        verb, place = message.get("do"), message.get("place")
        given: Any = message.get("given")
        # The page may send anything: only values of the right form reach the session.
        if verb == "check" and _is_given(given):
            outcome = session.check(given)
            # Some answers are not counted, an empty one say; the feedback says why.
            notice = "" if outcome.counts else outcome.feedback
        elif verb == "go" and isinstance(place, int):
            session.go(place)
        elif verb in verbs:
            verbs[verb]()
        self._show(notice)

    def _on_message(self, widget: Any, content: Any, buffers: Any) -> None:
        if isinstance(content, dict):
            self.act(content)

    def _show(self, notice: str = "") -> None:
        # The turn makes each screen a new value: the view learns that its message arrived.
        self._turn += 1
        self.screen = self.session.screen() | {"turn": self._turn, "notice": notice}

    def __repr__(self) -> str:
        return self.title

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None:
            data["text/plain"] = repr(self)
            data["text/html"] = self._form
        return bundle


def _is_given(given: Any) -> bool:
    if isinstance(given, list):
        return all(isinstance(place, int) for place in given)
    return isinstance(given, str)


def check_yourself(notebook: str, *, seed: int = 0) -> QuizView:
    """The two or three questions at a notebook's end, "02" for instance."""
    title = f"Check yourself: {chapters.CHAPTERS[notebook].title}"
    return view(select(notebook=notebook, check=True), title=title, seed=seed)


def review(
    *,
    notebook: str | None = None,
    topic: str | None = None,
    level: str | None = None,
    seed: int = 0,
    shuffle: bool = False,
) -> QuizView:
    """All questions, or those of a notebook, topic or level; `shuffle` mixes their order."""
    questions = select(notebook=notebook, topic=topic, level=level)
    if shuffle:
        random.Random(seed).shuffle(questions)
    parts = [notebook and f"notebook {notebook}", topic, level]
    title = ", ".join(["Review quiz", *filter(None, parts)])
    return view(questions, title=title, seed=seed)


def view(questions: Sequence[Question], *, title: str, seed: int = 0) -> QuizView:
    """A panel for any questions; earlier answers are taken from the learner's progress."""
    form = static_form(questions, title=title, seed=seed)
    return QuizView(_session(questions, seed), title=title, form=form)


def ask_text(
    notebook: str | None = None,
    *,
    topic: str | None = None,
    seed: int = 0,
    ask: Callable[[str], str] = input,
    say: Callable[[str], object] = print,
) -> None:
    """The same questions in plain text: `ask` reads what is typed, `say` shows a line."""
    text.ask(_session(select(notebook=notebook, topic=topic), seed), ask=ask, say=say)


def _session(questions: Sequence[Question], seed: int) -> Session:
    return Session(
        questions,
        seed=seed,
        recorded=progress.read().questions,
        record=progress.record_question,
        forget=progress.forget_questions,
    )


def static_form(questions: Sequence[Question], *, title: str, seed: int = 0) -> str:
    """The questions as HTML for a page without a kernel; by topic where there are many."""
    groups: dict[str, list[Question]] = {}
    for question in questions:
        groups.setdefault(question.topic, []).append(question)
    lead = "<p>Run this cell to answer. Without a kernel, the questions are these:</p>"
    if len(groups) == 1:
        body = "".join(_fieldset(question, seed) for question in questions)
    else:
        body = "".join(
            f"<details><summary>{html_text(topic)} ({len(group)})</summary>"
            f"{''.join(_fieldset(question, seed) for question in group)}</details>"
            for topic, group in groups.items()
        )
    return f'<form aria-label="{escape(title)}">{lead}{body}</form>'


def _fieldset(question: Question, seed: int) -> str:
    code = f"<pre>{escape(question.code)}</pre>" if question.code else ""
    name = f"static-{escape(question.id)}"
    kind = INPUTS.get(question.kind, "")
    if question.options:
        field = f'<input type="{kind}" name="{name}"> ' if kind else ""
        rows = "".join(
            f"<li><label>{field}{code_html(option)}</label></li>"
            # The same seed as the live view's: the letters of both forms agree.
            for option in Attempt(question, seed=seed).shown
        )
        answer = f'<ol type="A">{rows}</ol>'
    else:
        answer = f'<label>Your answer <input type="text" name="{name}"></label>'
    return f"<fieldset><legend><b>{code_html(question.stem)}</b></legend>{code}{answer}</fieldset>"
