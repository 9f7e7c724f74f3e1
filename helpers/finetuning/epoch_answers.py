"""One question, asked of the model before training and after each epoch, while its job goes on.

For: seeing what a falling loss means in words. Each epoch's checkpoint is a model that answers
by its own name, so the trainer loses no time but what one short answer takes of the cores. Not
for: how good a model is: one question says little, see `helpers.evaluation`.

    heard = EpochAnswers(client, [{"role": "user", "content": "What is the late fee?"}])
    heard.look(snapshot)        # asks the models that are new since the last look
    heard.answers[0].text
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from helpers.finetuning.jobs import Snapshot

if TYPE_CHECKING:
    from openai import OpenAI

MOST_TOKENS = 60
"""Tokens of an answer: enough to see its form, and short beside a training step."""


@dataclass(frozen=True)
class EpochAnswer:
    """What a model said."""

    epoch: int
    """After how many epochs; 0 before the first one, or where the job does not say."""
    step: int
    """After how many steps; 0 is the model that the job began with."""
    text: str

    @property
    def label(self) -> str:
        """When it was said, in words."""
        if not self.step:
            return "before"
        return f"after epoch {self.epoch}" if self.epoch else f"after step {self.step}"


class EpochAnswers:
    """Keeps what was said; asks no model twice."""

    def __init__(self, client: OpenAI, question: Sequence[Mapping[str, Any]]) -> None:
        self._client, self.question = client, list(question)
        self.answers: list[EpochAnswer] = []
        self._asked: set[str] = set()
        # Below any epoch, so that the model before training is due at once.
        self._known = -1

    @property
    def asked(self) -> str:
        """The question in words."""
        return str(self.question[-1]["content"])

    def due(self, state: Snapshot) -> bool:
        """Whether there may be a model that was not asked yet; takes no request."""
        return self._known < _epoch(state, state.step)

    def look(self, state: Snapshot) -> None:
        """Ask the models that are there by now and were not asked, the earliest first.

        One that is gone again, or that an endpoint does not let answer, is passed over.
        """
        from openai import OpenAIError

        with contextlib.suppress(OpenAIError):
            self._ask(state.job.model, 0, 0)
        if not state.step:
            return
        with contextlib.suppress(OpenAIError):
            held = self._client.fine_tuning.jobs.checkpoints.list(state.job.id).data
            # The API lists checkpoints newest first.
            for one in sorted(held, key=lambda each: each.step_number):
                step = one.step_number
                self._ask(one.fine_tuned_model_checkpoint, _epoch(state, step), step)

    def _ask(self, model: str, epoch: int, step: int) -> None:
        if model in self._asked:
            return
        # Before the request: a model that does not answer is not asked at every look again.
        self._asked.add(model)
        self._known = max(self._known, epoch)
        reply = self._client.chat.completions.create(
            model=model,
            messages=self.question,  # type: ignore[arg-type]
            temperature=0,
            max_completion_tokens=MOST_TOKENS,
        )
        self.answers.append(EpochAnswer(epoch, step, reply.choices[0].message.content or ""))


def _epoch(state: Snapshot, step: int) -> int:
    """Epochs that have ended with `step`; 0 where the job does not say how many it has."""
    found = state.job.hyperparameters.n_epochs if state.job.hyperparameters else None
    if not isinstance(found, int) or not state.total_steps:
        return 0
    # Rounded down: a checkpoint within an epoch belongs to the one that ended before.
    return step * found // state.total_steps
