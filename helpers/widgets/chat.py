"""Chat with several models side by side: type anything, and watch each answer come.

For: notebooks, and the page of `python3 -m helpers chat`. Where no kernel runs, the last answers
stand there as a table; `text` is the same in plain text. Not for: measuring, see
`helpers.evaluation.grading`; the asking itself, see `helpers.evaluation.side_by_side`.

    chat.panel(client, {"base": base, "tuned": tuned}, system="You answer.")
    chat.panel(client, {"tuned": tuned, "with notes": rag_model.voice("tech_support_kb")})
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from helpers.base.markup import cell, html_text
from helpers.evaluation.side_by_side import (
    MOST_TOKENS,
    SideBySide,
    SpokenReply,
    SpokenTurn,
    Voice,
    plain,
)
from helpers.widgets.assets import assets

if TYPE_CHECKING:
    from openai import OpenAI

EVERY = 0.08
"""Seconds between two pictures of an answer that is being written."""
LONGEST = 4000
"""Letters of a question."""
KEPT = 20
"""Turns that the panel shows."""


class ChatPanel(anywidget.AnyWidget):
    """The panel. The browser sees `screen` and sends what was typed; the kernel asks."""

    _esm, _css = assets("chat")

    screen = traitlets.Dict().tag(sync=True)

    def __init__(self, talk: SideBySide, *, examples: Sequence[str]) -> None:
        super().__init__()
        self.talk, self._examples = talk, list(examples)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._shown, self._turn = 0.0, 0
        self.on_msg(self._on_message)
        self._show()

    @property
    def busy(self) -> bool:
        """Whether an answer is being written."""
        return self._thread is not None and self._thread.is_alive()

    def act(self, message: Mapping[str, Any]) -> None:
        """Do what the reader asked for: {"do": "ask", "text": "…"}, {"do": "stop"} or "clear"."""
        verb, notice = message.get("do"), ""
        words = str(message.get("text") or "").strip()[:LONGEST]
        if verb == "ask" and self.busy:
            notice = "Wait for the answer, or stop it."
        elif verb == "ask" and not words:
            notice = "Type a question first."
        elif verb == "ask":
            self.begin(words, remember=bool(message.get("remember")))
        elif verb == "stop":
            self._stop.set()
        # Not while an answer comes: its turn would be gone from under the thread that writes it.
        elif verb == "clear" and not self.busy:
            self.talk.turns.clear()
        self._show(notice)

    def begin(self, question: str, *, remember: bool = False) -> None:
        """Ask in the background; the panel follows."""
        self._stop.clear()

        def work() -> None:
            self.talk.ask(question, remember=remember, changed=self._soon, stop=self._stop)
            # Before the last picture, which says that the panel is no longer busy.
            self._thread = None
            self._show()

        self._thread = threading.Thread(target=work, name="chat", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until the answer is complete."""
        # Read once: the thread sets the attribute to None at its end.
        if thread := self._thread:
            thread.join()

    def _on_message(self, widget: Any, content: Any, buffers: Any) -> None:
        if isinstance(content, dict):
            self.act(content)

    def _soon(self) -> None:
        # A picture of all turns for each token would fill the connection to the browser.
        if time.monotonic() - self._shown >= EVERY:
            self._show()

    def _show(self, notice: str = "") -> None:
        self._shown = time.monotonic()
        # The turn makes each screen a new value: the view learns that its message arrived.
        self._turn += 1
        self.screen = {
            "names": list(self.talk.voices),
            "examples": self._examples,
            "turns": [_turn(one) for one in self.talk.turns[-KEPT:]],
            "busy": self.busy,
            "notice": notice,
            "turn": self._turn,
        }

    def __repr__(self) -> str:
        lines = [f"Chat with {', '.join(self.talk.voices)}"]
        for turn in self.talk.turns[-1:]:
            lines.append(f"you: {turn.question}")
            lines += [f"{one.name}: {one.text or one.error}" for one in turn.replies]
        return "\n".join(lines)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None:
            # Jupyter stores these with the notebook; the view itself needs a kernel.
            data["text/plain"] = repr(self)
            data["text/html"] = _static(self.talk)
        return bundle


def _turn(turn: SpokenTurn) -> dict[str, Any]:
    replies = [asdict(one) | {"cost": one.cost} for one in turn.replies]
    return {"question": turn.question, "replies": replies}


def _static(talk: SideBySide) -> str:
    """What was said so far, for a page without a kernel."""
    lead = "<p>Run this cell to chat.</p>"
    rows = ""
    for turn in talk.turns[-KEPT:]:
        cells = "".join(cell(_said(one)) for one in turn.replies)
        rows += f"<tr>{cell(html_text(turn.question), 'th')}{cells}</tr>"
    if not rows:
        return lead
    names = "".join(cell(html_text(name), "th") for name in ("question", *talk.voices))
    head = f"<thead><tr>{names}</tr></thead>"
    return f"{lead}<table>{head}<tbody>{rows}</tbody></table>"


def _said(reply: SpokenReply) -> str:
    text = f"{html_text(reply.text or reply.error)}<br><small>{html_text(reply.cost)}</small>"
    if not reply.notes:
        return text
    notes = "".join(f"<li>{html_text(heading)}</li>" for heading, _ in reply.notes)
    return f"{text}<br><small>Notes used:</small><ul>{notes}</ul>"


def _talk(
    client: OpenAI, models: Mapping[str, str | Voice], system: str, max_tokens: int
) -> SideBySide:
    voices = {
        name: plain(one, system=system) if isinstance(one, str) else one
        for name, one in models.items()
    }
    return SideBySide(client, voices, max_tokens=max_tokens)


def panel(
    client: OpenAI,
    models: Mapping[str, str | Voice],
    *,
    system: str = "",
    examples: Sequence[str] = (),
    max_tokens: int = MOST_TOKENS,
) -> ChatPanel:
    """A panel with a column for each of `models`: a model's id, or a voice.

    `system` is the system message of those that are given by id; `examples` are questions to
    begin with, the first of which is asked at once. Everything is asked at temperature 0.
    """
    made = ChatPanel(_talk(client, models, system, max_tokens), examples=examples)
    if examples:
        made.begin(examples[0])
        made.wait()
    return made


def text(
    client: OpenAI,
    models: Mapping[str, str | Voice],
    *,
    system: str = "",
    max_tokens: int = MOST_TOKENS,
    ask: Callable[[str], str] = input,
    say: Callable[[str], object] = print,
) -> None:
    """The same in plain text, until an empty line: `ask` reads a question, `say` shows a line."""
    talk = _talk(client, models, system, max_tokens)
    while True:
        try:
            question = ask("you (an empty line ends): ").strip()
        except EOFError:
            return
        if not question:
            return
        for reply in talk.ask(question).replies:
            say(f"{reply.name}: {reply.text or reply.error}")
            say(f"    {reply.cost}")
            for heading, _ in reply.notes:
                say(f"    note: {heading}")
