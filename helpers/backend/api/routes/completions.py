"""`/v1/completions`, the older form: a text is continued, whole or streamed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from fastapi import APIRouter

from helpers.backend.api.answering import as_choice, begin, several
from helpers.backend.api.routes.common import ServiceOf, sse
from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.response_format import FINGERPRINT, Choice, sampling, usage
from helpers.backend.protocol.sampling import Delta, TokenLogprob
from helpers.backend.protocol.schemas import CompletionRequest, new_id

router = APIRouter()
COMPLETION_TOKENS = 16
"""How long an answer is when no max_tokens is asked for."""


@router.post("/v1/completions")
def complete(body: CompletionRequest, service: ServiceOf) -> Any:
    model = service.models.resolve(body.model)
    prompts = _prompts(body)
    how = sampling(body, max_tokens=body.max_tokens or COMPLETION_TOKENS, logprobs=body.logprobs)
    head = {
        "id": new_id("cmpl-"),
        "object": "text_completion",
        "created": int(time.time()),
        "model": body.model,
        "system_fingerprint": FINGERPRINT,
    }
    if body.stream:
        deltas = begin(service, model, prompts[0], how, body.n or 1)
        return sse(_completion_chunks(head, deltas, body, prompts[0] if body.echo else ""))
    with service.slot():
        choices = several(service, model, prompts, how, body.n or 1)
    echoes = [prompt if body.echo else "" for prompt in prompts for _ in range(body.n or 1)]
    return head | {
        "choices": [
            {
                "text": echo + choice.text,
                "index": index,
                "logprobs": _old_logprobs(choice.logprobs) if body.logprobs is not None else None,
                "finish_reason": choice.finish_reason,
            }
            for index, (choice, echo) in enumerate(zip(choices, echoes, strict=True))
        ],
        "usage": usage(choices, body.n or 1),
    }


def _prompts(body: CompletionRequest) -> list[str]:
    prompt = body.prompt
    if prompt is None or isinstance(prompt, str):
        return [prompt or "<|endoftext|>"]
    if prompt and all(isinstance(item, str) for item in prompt):
        if body.stream and len(prompt) > 1:
            raise ApiError(400, "Stream one prompt at a time.", param="prompt")
        return [str(item) for item in prompt]
    raise ApiError(
        400,
        "This server takes prompts as text, not as token ids.",
        param="prompt",
        code="unsupported_value",
    )


def _completion_chunks(
    head: dict[str, Any],
    deltas: Iterator[tuple[int, Delta]],
    body: CompletionRequest,
    echo: str,
) -> Generator[dict[str, Any]]:
    ends: list[Choice] = []
    begun: set[int] = set()
    for index, delta in deltas:
        if echo and index not in begun:
            begun.add(index)
            first = {"text": echo, "index": index, "logprobs": None, "finish_reason": None}
            yield head | {"choices": [first]}
        logprobs = _old_logprobs(delta.logprobs) if body.logprobs is not None else None
        choice = {
            "text": delta.text,
            "index": index,
            "logprobs": logprobs,
            "finish_reason": delta.finish_reason,
        }
        yield head | {"choices": [choice]}
        if delta.finish_reason:
            ends.append(as_choice(delta))
    if body.stream_options and body.stream_options.include_usage:
        yield head | {"choices": [], "usage": usage(ends, body.n or 1)}


def _old_logprobs(items: Sequence[TokenLogprob]) -> dict[str, Any]:
    """The completions form: parallel lists."""
    offsets = itertools.accumulate((len(item.token) for item in items), initial=0)
    return {
        "tokens": [item.token for item in items],
        "token_logprobs": [item.logprob for item in items],
        "top_logprobs": [{o.token: o.logprob for o in item.top} for item in items],
        "text_offset": list(offsets)[: len(items)],
    }
