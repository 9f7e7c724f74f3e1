"""Ask the engine for one answer or several, whole or streamed.

For: the routes that answer. Not for: the form of the answer, see
`helpers.backend.protocol.response_format`.

    whole(service, model, prompt, Sampling())       # a Choice
"""

from __future__ import annotations

import contextvars
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from helpers.backend.inference.engine import Prompt
from helpers.backend.inference.models import ServedModel
from helpers.backend.protocol.response_format import Choice
from helpers.backend.protocol.sampling import Delta, Sampling
from helpers.backend.service import Service


def whole(service: Service, model: ServedModel, prompt: Prompt, how: Sampling) -> Choice:
    """Collect a stream into one answer."""
    return collected(list(service.engine.generate(model, prompt, how)))


def collected(deltas: Sequence[Delta]) -> Choice:
    """The answer whose pieces these are; the last has the counts."""
    last = deltas[-1]
    return Choice(
        "".join(delta.text for delta in deltas),
        tuple(itertools.chain.from_iterable(delta.logprobs for delta in deltas)),
        last.finish_reason or "stop",
        last.prompt_tokens,
        last.completion_tokens,
        last.cached_tokens,
    )


def as_measured(model: ServedModel, how: Sampling, *, temperature: float | None) -> Sampling:
    """A served method's own limit, and its likeliest words, where the client asks for neither."""
    if model.method is None:
        return how
    limit = model.method.max_tokens if how.max_tokens is None else how.max_tokens
    return replace(how, max_tokens=limit, temperature=temperature or 0.0)


def several(
    service: Service, model: ServedModel, prompts: Sequence[Prompt], how: Sampling, n: int
) -> list[Choice]:
    """n answers to each prompt, at the same time; each with a seed of its own."""
    asked = [
        (prompt, replace(how, seed=None if how.seed is None else how.seed + i))
        for prompt in prompts
        for i in range(n)
    ]
    if len(asked) == 1:
        return [whole(service, model, *asked[0])]
    with ThreadPoolExecutor(min(8, len(asked))) as pool:
        # Each thread gets the context of the request, in which it stands whether its client left.
        def one(pair: tuple[Prompt, Sampling]) -> Choice:
            return whole(service, model, *pair)

        running = [pool.submit(contextvars.copy_context().run, one, pair) for pair in asked]
        return [one.result() for one in running]


def begin(
    service: Service, model: ServedModel, prompt: Prompt, how: Sampling, n: int = 1
) -> Iterator[tuple[int, Delta]]:
    """Start a stream: errors are raised here, while an error status can still be sent."""

    def numbered() -> Iterator[tuple[int, Delta]]:
        with service.slot():
            for index in range(n):
                seed = None if how.seed is None else how.seed + index
                for delta in service.engine.generate(model, prompt, replace(how, seed=seed)):
                    yield index, delta

    stream = numbered()
    first = next(stream)
    return itertools.chain([first], stream)
