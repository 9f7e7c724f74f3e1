"""Choose tokens from a model's logits: penalties, bias, grammar, temperature, nucleus, seed.

For: engines that return logits. What a parameter means is what it means to llama.cpp, the other
engine: penalties count the last tokens of prompt and answer, the nucleus is cut before the
temperature is applied, and probabilities are reported as the model has them before any of it.

    chooser = Chooser(Sampling(temperature=0), tokenizer, prompt=[1, 2], limit=16)
    token, entry = chooser.choose(logits)       # logits: float32, (vocabulary,)
"""

from __future__ import annotations

import functools
import json
from collections import Counter, deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from helpers.backend.protocol.sampling import Sampling, TokenLogprob
from helpers.base.errors import BackendError
from helpers.base.local_tokenizer import LocalTokenizer

if TYPE_CHECKING:
    from llguidance import LLTokenizer

PARTS = 128
"""The vocabulary is summed in so many parts before one is looked into: numpy's running sum over
all of it would take longer than the rest."""


class Chooser:
    """Chooses the tokens of one answer."""

    def __init__(
        self, sampling: Sampling, tokenizer: LocalTokenizer, *, prompt: Sequence[int], limit: int
    ) -> None:
        self._how, self._tokenizer = sampling, tokenizer
        # numpy takes no negative seeds, OpenAI's API does.
        self._draw = np.random.default_rng(None if sampling.seed is None else sampling.seed % 2**63)
        self._penal = bool(sampling.presence_penalty or sampling.frequency_penalty)
        self._last = deque(prompt[-limit:] if self._penal and limit else (), maxlen=limit)
        self._counts = Counter(self._last)
        self._grammar = Grammar.of(sampling, tokenizer)

    def choose(self, logits: np.ndarray) -> tuple[int, TokenLogprob | None]:
        """The next token, and what is reported of it if probabilities were asked for."""
        token = self._chosen(logits)
        if self._grammar:
            self._grammar.take(token)
        if self._penal:
            self._remember(token)
        if self._how.logprobs is None:
            return token, None
        return token, entry(self._tokenizer, logits, token, self._how.logprobs)

    @property
    def done(self) -> bool:
        """Whether a grammar allows nothing more but the end."""
        return bool(self._grammar and self._grammar.done)

    def _chosen(self, logits: np.ndarray) -> int:
        values = self._changed(logits)
        if self._how.temperature <= 0:
            return int(values.argmax())
        # Not divided by their sum: what is drawn is compared with shares of that sum instead. The
        # greatest is 1, so nothing overflows.
        probabilities = np.exp(values - values.max())
        if self._how.top_p < 1:
            return self._from_nucleus(values, probabilities)
        if self._how.temperature != 1:
            probabilities = np.exp((values - values.max()) / np.float32(self._how.temperature))
        return drawn(probabilities, self._draw.random())

    def _changed(self, logits: np.ndarray) -> np.ndarray:
        how = self._how
        if not (how.logit_bias or self._penal or self._grammar):
            return logits
        values = logits.copy()
        for token, bias in (how.logit_bias or {}).items():
            if 0 <= token < len(values):
                values[token] += bias
        for token, count in self._counts.items() if self._penal else ():
            values[token] -= count * how.frequency_penalty + how.presence_penalty
        if self._grammar:
            self._grammar.forbid(values)
        return values

    def _from_nucleus(self, values: np.ndarray, probabilities: np.ndarray) -> int:
        """From the fewest tokens that together have the probability `top_p`."""
        wanted = self._how.top_p * float(probabilities.sum(dtype=np.float64))
        # Sorting the whole vocabulary would take long, and the nucleus seldom has more than a few
        # tokens.
        count = 64
        while True:
            count = min(count, len(values))
            best = np.argpartition(-probabilities, count - 1)[:count]
            # By number where two are equally likely, so that the same seed draws the same token.
            best = best[np.lexsort((best, -probabilities[best]))]
            sums = np.cumsum(probabilities[best], dtype=np.float64)
            if count == len(values) or sums[-1] >= wanted:
                break
            count *= 8
        kept = best[: int(np.searchsorted(sums, wanted)) + 1]
        powers = np.exp((values[kept] - values.max()) / np.float32(self._how.temperature))
        sums = np.cumsum(powers, dtype=np.float64)
        place = int(np.searchsorted(sums, self._draw.random() * sums[-1], side="right"))
        return int(kept[min(place, len(kept) - 1)])

    def _remember(self, token: int) -> None:
        if len(self._last) == self._last.maxlen:
            gone = self._last[0]
            self._counts[gone] -= 1
            if not self._counts[gone]:
                del self._counts[gone]
        self._last.append(token)
        self._counts[token] += 1


def drawn(weights: np.ndarray, place: float) -> int:
    """The index at `place` (0 to 1) of a row of weights laid end to end."""
    width = max(1, len(weights) // PARTS)
    parts = np.add.reduceat(weights, np.arange(0, len(weights), width), dtype=np.float64)
    part, before = _at(parts, place * float(parts.sum()))
    start = part * width
    inside, _ = _at(weights[start : start + width], place * float(parts.sum()) - before)
    return start + inside


def _at(weights: np.ndarray, target: float) -> tuple[int, float]:
    """Which weight `target` falls on, and the sum of those before it."""
    sums = np.cumsum(weights, dtype=np.float64)
    place = min(int(np.searchsorted(sums, target, side="right")), len(sums) - 1)
    # At the end, a rounding must not choose what cannot come.
    while place and not weights[place]:
        place -= 1
    return place, float(sums[place] - weights[place])


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Natural logarithms of the probabilities of rows of logits, float32, the same shape."""
    moved = logits - logits.max(axis=-1, keepdims=True)
    sums: np.ndarray = np.exp(moved).sum(axis=-1, keepdims=True, dtype=np.float64)
    return (moved - np.log(sums)).astype(np.float32)


def entry(
    tokenizer: LocalTokenizer, logits: np.ndarray, token: int, alternatives: int
) -> TokenLogprob:
    """What is reported of a token, and of the likeliest ones."""
    logs = log_probabilities(logits)
    best: list[int] = []
    if alternatives:
        near = np.argpartition(-logs, alternatives)[:alternatives]
        best = [int(one) for one in near[np.lexsort((near, -logs[near]))]]
    top = tuple(TokenLogprob.of(tokenizer.bytes_of(one), float(logs[one])) for one in best)
    return TokenLogprob.of(tokenizer.bytes_of(token), float(logs[token]), top)


class Grammar:
    """What may come next so that an answer keeps to a schema, by llguidance."""

    def __init__(self, grammar: str, tokenizer: LocalTokenizer) -> None:
        from llguidance import LLMatcher
        from llguidance.numpy import allocate_token_bitmask

        self._ends = tokenizer.end_ids
        self._matcher = LLMatcher(_known_words(tokenizer), grammar)
        self._bits = allocate_token_bitmask(1, tokenizer.core.get_vocab_size())
        self._check()

    @classmethod
    def of(cls, sampling: Sampling, tokenizer: LocalTokenizer) -> Grammar | None:
        """What a request asks for; None if it leaves the form open."""
        from llguidance import LLMatcher

        if sampling.grammar is not None:
            return cls(LLMatcher.grammar_from_lark(sampling.grammar), tokenizer)
        if sampling.schema is None:
            return None
        own = json.dumps(sampling.schema)
        return cls(LLMatcher.grammar_from_json_schema(own), tokenizer)

    @property
    def done(self) -> bool:
        """Whether the answer is whole, and nothing can follow."""
        return bool(self._matcher.is_stopped())

    def forbid(self, values: np.ndarray) -> None:
        """Make what must not come next impossible, in place."""
        from llguidance.numpy import fill_next_token_bitmask

        fill_next_token_bitmask(self._matcher, self._bits)
        self._check()
        # One bit a token, in words of 32: they may reach past the logits, or end before them where
        # a base has more rows than tokens.
        bits = np.unpackbits(self._bits.view(np.uint8), bitorder="little")[: len(values)]
        values[: len(bits)][bits == 0] = -np.inf
        values[len(bits) :] = -np.inf

    def take(self, token: int) -> None:
        """Go on behind a token that was chosen."""
        # The end is the engine's matter: behind it the grammar has nothing to say.
        if token not in self._ends:
            self._matcher.consume_token(token)
            self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            raise BackendError(
                f"the answer cannot be kept to the schema: {self._matcher.get_error()}"
            )


# Takes the whole vocabulary apart, so it is kept for each tokenizer.
@functools.lru_cache(maxsize=4)
def _known_words(tokenizer: LocalTokenizer) -> LLTokenizer:
    from llguidance import LLTokenizer

    return LLTokenizer(
        tokenizer.core.to_str(),
        n_vocab=tokenizer.core.get_vocab_size(),
        eos_token=tokenizer.end_id,
        slices=LLTokenizer.json_slices(),
    )
