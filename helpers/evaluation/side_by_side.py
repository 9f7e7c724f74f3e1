"""Ask several models the same thing, one after the other, and follow each answer as it comes.

For: the chat panel, its page and its form in a terminal. A voice turns a talk into what is sent:
a model and its messages, with the notes in them. Not for: many questions, see
`helpers.evaluation.requests`; nor what answers are worth, see `helpers.evaluation.grading`.

    talk = SideBySide(client, {"base": plain("smollm2-135m-instruct", system="You answer.")})
    talk.ask("What is the late fee?")
    talk.turns[0].replies[0].text
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from helpers.base.errors import CourseError

if TYPE_CHECKING:
    from openai import OpenAI

Message = Mapping[str, Any]
MOST_TOKENS = 120
"""Tokens of an answer, unless told otherwise."""


@dataclass(frozen=True)
class Prompted:
    """What is sent for a talk, or what is said without any model."""

    model: str = ""
    messages: Sequence[Message] = ()
    notes: tuple[tuple[str, str], ...] = ()
    """Heading and text of each note that the prompt holds."""
    said: str = ""
    """The answer, where no model is asked."""


Voice = Callable[[Sequence[Message]], Prompted]
"""Takes the talk without a system message; its last message is the question."""


def plain(model: str, *, system: str = "") -> Voice:
    """A model that is asked as it is, after a system message if there is one."""
    start = [{"role": "system", "content": system}] if system else []
    return lambda talk: Prompted(model, [*start, *talk])


@dataclass
class SpokenReply:
    """What one voice says, as far as it has come."""

    name: str
    text: str = ""
    state: str = "waiting"
    """waiting, writing, done, stopped or failed."""
    prompt_tokens: int | None = None
    """None where the endpoint does not say."""
    completion_tokens: int | None = None
    seconds: float | None = None
    """From the question to the end of the answer, the search for notes included."""
    notes: tuple[tuple[str, str], ...] = ()
    error: str = ""

    @property
    def cost(self) -> str:
        """Tokens and seconds in words; empty while it is not known."""
        parts = []
        if self.prompt_tokens is not None:
            parts.append(f"{self.prompt_tokens} tokens read, {self.completion_tokens} written")
        if self.state == "done" and not parts:
            parts.append("no model was asked")
        if self.seconds is not None:
            parts.append(f"{self.seconds:.1f} s")
        return ", ".join(parts)


@dataclass
class SpokenTurn:
    """A question with the reply of each voice."""

    question: str
    replies: list[SpokenReply] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether nobody will say more."""
        return all(one.state in ("done", "stopped", "failed") for one in self.replies)


class SideBySide:
    """A talk with several voices; each keeps to what it said itself."""

    def __init__(
        self, client: OpenAI, voices: Mapping[str, Voice], *, max_tokens: int = MOST_TOKENS
    ) -> None:
        self._client, self.voices, self._most = client, dict(voices), max_tokens
        self.turns: list[SpokenTurn] = []

    def ask(
        self,
        question: str,
        *,
        remember: bool = False,
        changed: Callable[[], None] = lambda: None,
        stop: threading.Event | None = None,
    ) -> SpokenTurn:
        """Ask every voice, in turn, so that none slows another down.

        With `remember` each one is shown what was said before. `changed` is called whenever there
        is more to read; `stop` ends the turn early, the voices that have not spoken included. What
        a voice cannot answer stands in its reply's `error`; nothing is raised.
        """
        past = list(self.turns) if remember else []
        turn = SpokenTurn(question, [SpokenReply(name) for name in self.voices])
        self.turns.append(turn)
        for place, (reply, voice) in enumerate(
            zip(turn.replies, self.voices.values(), strict=True)
        ):
            # By place: each voice sees what it said itself, not what the others did.
            talk = [message for said in past for message in _pair(said, place)]
            self._speak(reply, voice, [*talk, {"role": "user", "content": question}], changed, stop)
        return turn

    def _speak(
        self,
        reply: SpokenReply,
        voice: Voice,
        talk: Sequence[Message],
        changed: Callable[[], None],
        stop: threading.Event | None,
    ) -> None:
        from openai import APIConnectionError, OpenAIError

        if stop and stop.is_set():
            reply.state = "stopped"
            changed()
            return
        start = time.perf_counter()
        try:
            reply.state = "writing"
            for _ in self._pieces(reply, voice(talk)):
                changed()
                if stop and stop.is_set():
                    reply.state = "stopped"
                    break
            # Only if it was not stopped: a time of half an answer would be compared with whole
            # ones.
            else:
                reply.state = "done"
                reply.seconds = time.perf_counter() - start
        except APIConnectionError:
            reply.state = "failed"
            reply.error = "The server does not answer any more: run connect() again."
        except (OpenAIError, CourseError) as error:
            reply.state, reply.error = "failed", str(error)
        changed()

    def _pieces(self, reply: SpokenReply, prompted: Prompted) -> Iterator[None]:
        """Write the reply piece by piece."""
        reply.notes = prompted.notes
        # The notes are shown while the model still reads them.
        yield
        if not prompted.model:
            reply.text = prompted.said
            return
        messages: Any = list(prompted.messages)
        stream = self._client.chat.completions.create(
            model=prompted.model,
            messages=messages,
            temperature=0,
            max_completion_tokens=self._most,
            stream=True,
            stream_options={"include_usage": True},
        )
        with stream:
            for chunk in stream:
                # The usage comes with the last chunk, which has no choices.
                if chunk.usage:
                    reply.prompt_tokens = chunk.usage.prompt_tokens
                    reply.completion_tokens = chunk.usage.completion_tokens
                if chunk.choices and (more := chunk.choices[0].delta.content):
                    reply.text += more
                    yield


def _pair(turn: SpokenTurn, place: int) -> list[Message]:
    """What a voice was asked and said before; nothing where it said nothing."""
    said = turn.replies[place].text
    question = {"role": "user", "content": turn.question}
    return [question, {"role": "assistant", "content": said}] if said else []
