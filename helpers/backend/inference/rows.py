"""Requests on their way through an engine: what each has read and said, and what it reads next.

For: `openvino_engine`, which puts the next tokens of many together. Not for: the passes.

    row = AnswerRow(model, tokens, Sampling(), stopped=lambda: False)
    row.next_tokens(512)        # of the prompt, or the token said last
    row.take(logits)            # False at the end; deltas are in `row.out`
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from helpers.backend.inference.llama_graph import BLOCK
from helpers.backend.inference.models import ServedModel
from helpers.backend.inference.text_pieces import TextPieces
from helpers.backend.inference.token_choice import Chooser, entry
from helpers.backend.protocol.sampling import Delta, Sampling, TokenLogprob
from helpers.base.tokens import local_tokenizer

SCORED = 128
"""The most tokens of a pass whose logits are all wanted: 196 KB each."""


class Row:
    """One request: what it has read and said so far."""

    shares = True
    """Whether it may begin behind what others have read."""

    def __init__(
        self,
        model: ServedModel,
        prompt: Sequence[int],
        limit: int,
        stopped: Callable[[], bool],
    ) -> None:
        self.model, self.prompt, self.limit, self.stopped = model, list(prompt), limit, stopped
        self.out: queue.SimpleQueue[Delta | list[TokenLogprob] | BaseException | None] = (
            queue.SimpleQueue()
        )
        self.blocks: list[int] = []
        self.read = self.cached = 0
        self.said: list[int] = []

    @property
    def needed(self) -> int:
        """Blocks for prompt and answer."""
        # All are taken at the start, so an answer never stops half way for want of a block.
        return -(-(len(self.prompt) + self.limit) // BLOCK)

    def next_tokens(self, room: int) -> list[int]:
        """What the next pass reads for this request; nothing if a prompt does not fit in."""
        left = len(self.prompt) - self.read
        if left <= 0:
            # The token said last is not in the cache yet: saying and reading are one pass apart.
            return [self.said[-1]]
        if left > room:
            left = room // BLOCK * BLOCK
            # What is left over must not be a single token.
            left -= BLOCK if len(self.prompt) - self.read - left == 1 else 0
        return self.prompt[self.read : self.read + max(left, 0)]

    def places(self, count: int) -> list[int]:
        """Of the tokens in a pass, those whose successors the request wants to know of."""
        return [count - 1] if self.read + count >= len(self.prompt) else []

    def take(self, logits: np.ndarray) -> bool:
        """Go on with these rows of logits; False at the end."""
        raise NotImplementedError


class AnswerRow(Row):
    """A request for an answer."""

    def __init__(
        self,
        model: ServedModel,
        prompt: Sequence[int],
        sampling: Sampling,
        stopped: Callable[[], bool],
    ) -> None:
        super().__init__(model, prompt, sampling.limit(model.context - len(prompt)), stopped)
        tokenizer = local_tokenizer(model.gguf)
        self._ends = tokenizer.end_ids
        self._pieces = TextPieces(tokenizer, sampling.stop)
        self._chooser = Chooser(sampling, tokenizer, prompt=self.prompt, limit=self.limit)

    def take(self, logits: np.ndarray) -> bool:
        if not len(logits):
            # A part of a long prompt is read: whoever waits may still be there to be asked.
            self.out.put(Delta(""))
            return True
        token, reported = self._chooser.choose(logits[0])
        self.said.append(token)
        if token in self._ends:
            self._end("stop", *self._pieces.rest())
            return False
        text, entries = self._pieces.add(token, reported)
        if self._pieces.stopped or self._chooser.done:
            more, others = ("", ()) if self._pieces.stopped else self._pieces.rest()
            self._end("stop", text + more, (*entries, *others))
            return False
        if len(self.said) >= self.limit:
            more, others = self._pieces.rest()
            self._end("length", text + more, (*entries, *others))
            return False
        if text or entries:
            self.out.put(Delta(text, entries))
        return True

    def _end(self, reason: Any, text: str, entries: tuple[TokenLogprob, ...]) -> None:
        sizes = len(self.prompt), len(self.said), self.cached
        self.out.put(Delta(text, entries, reason, *sizes))
        self.out.put(None)


class ScoredRow(Row):
    """A text whose own tokens' probabilities are asked for."""

    # Every token's logits are wanted, and those of shared blocks were never kept.
    shares = False

    def __init__(
        self, model: ServedModel, ids: Sequence[int], alternatives: int, stopped: Callable[[], bool]
    ) -> None:
        super().__init__(model, ids, 0, stopped)
        self._tokenizer, self._alternatives = local_tokenizer(model.gguf), alternatives
        self._entries: list[TokenLogprob] = []

    def next_tokens(self, room: int) -> list[int]:
        return super().next_tokens(min(room, SCORED))

    def places(self, count: int) -> list[int]:
        # Nothing is asked for behind the last token.
        return list(range(min(count, len(self.prompt) - 1 - self.read)))

    def take(self, logits: np.ndarray) -> bool:
        start = len(self._entries) + 1
        for place, row in enumerate(logits, start=start):
            self._entries.append(
                entry(self._tokenizer, row, self.prompt[place], self._alternatives)
            )
        if self.read < len(self.prompt):
            return True
        self.out.put(self._entries)
        self.out.put(None)
        return False
