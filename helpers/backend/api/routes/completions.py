"""`/v1/completions`, the older form: a text is continued, whole or streamed, or only scored."""

from __future__ import annotations

import codecs
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter

from helpers.backend.api.routes.common import ServiceOf, sse
from helpers.backend.api.routes.generation import begin, collected, several
from helpers.backend.inference.engine import refuse_by_length
from helpers.backend.inference.models import ServedModel
from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.response_format import FINGERPRINT, Choice, sampling, usage
from helpers.backend.protocol.sampling import Delta, Sampling, TokenLogprob
from helpers.backend.protocol.schemas import CompletionRequest, new_id
from helpers.backend.service import Service
from helpers.base.local_tokenizer import LocalTokenizer
from helpers.base.tokens import local_tokenizer

router = APIRouter()
COMPLETION_TOKENS = 16
"""How long an answer is when no max_tokens is asked for."""


@dataclass(frozen=True)
class EchoedPrompt:
    """A prompt, and what stands of it in front of the answer."""

    ids: list[int]
    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()


@router.post("/v1/completions")
def complete(body: CompletionRequest, service: ServiceOf) -> Any:
    model = service.models.resolve(body.model)
    tokenizer = local_tokenizer(model.gguf)
    prompts = _prompts(body, model, tokenizer)
    most = COMPLETION_TOKENS if body.max_tokens is None else body.max_tokens
    how = sampling(body, max_tokens=most, logprobs=body.logprobs)
    head = {
        "id": new_id("cmpl-"),
        "object": "text_completion",
        "created": int(time.time()),
        "model": body.model,
        "system_fingerprint": FINGERPRINT,
    }
    if body.stream:
        # Given back before the answer takes a place of its own, and is counted as a request there.
        with service.place() if most else service.slot():
            echoed = _echoed(body, service, model, prompts, tokenizer)[0]
        deltas = _begin(service, model, echoed.ids, how, body.n or 1)
        return sse(_completion_chunks(head, deltas, body, echoed))
    with service.slot():
        echoes = _echoed(body, service, model, prompts, tokenizer)
        choices = _answers(service, model, prompts, how, body.n or 1)
    fronts = [echo for echo in echoes for _ in range(body.n or 1)]
    return head | {
        "choices": [
            {
                "text": echo.text + choice.text,
                "index": index,
                "logprobs": _old_logprobs(body, echo, choice.logprobs),
                "finish_reason": choice.finish_reason,
            }
            for index, (choice, echo) in enumerate(zip(choices, fronts, strict=True))
        ],
        "usage": usage(choices, body.n or 1),
    }


# With `echo` and no tokens of an answer, a prompt is only scored: the engine is not asked.
def _nothing(prompt: Sequence[int]) -> Delta:
    return Delta("", finish_reason="length", prompt_tokens=len(prompt))


def _answers(
    service: Service, model: ServedModel, prompts: Sequence[list[int]], how: Sampling, n: int
) -> list[Choice]:
    if how.max_tokens == 0:
        return [collected([_nothing(prompt)]) for prompt in prompts for _ in range(n)]
    return several(service, model, prompts, how, n)


def _begin(
    service: Service, model: ServedModel, prompt: list[int], how: Sampling, n: int
) -> Iterator[tuple[int, Delta]]:
    if how.max_tokens == 0:
        return iter([(index, _nothing(prompt)) for index in range(n)])
    return begin(service, model, prompt, how, n)


def _prompts(
    body: CompletionRequest, model: ServedModel, tokenizer: LocalTokenizer
) -> list[list[int]]:
    """Each prompt as tokens. Raises `ApiError` for tokens that the model does not have."""
    given = body.prompt
    if given is None or given == "":
        # OpenAI's default too: the beginning of a new document.
        given = "<|endoftext|>"
    if not given:
        raise ApiError(400, "The prompt is empty.", param="prompt", code="invalid_value")
    # A list of numbers is one prompt in tokens, not many prompts.
    single = isinstance(given, str) or isinstance(given[0], int)
    several_given: list[Any] = [given] if single else list(given)
    if body.stream and len(several_given) > 1:
        raise ApiError(400, "Stream one prompt at a time.", param="prompt")
    for one in several_given:
        refuse_by_length(model, tokenizer, one)
    return [
        tokenizer.encode(one) if isinstance(one, str) else _known(one, tokenizer)
        for one in several_given
    ]


def _known(ids: Any, tokenizer: LocalTokenizer) -> list[int]:
    size = tokenizer.core.get_vocab_size()
    wrong = [token for token in ids if not 0 <= token < size]
    if wrong or not ids:
        why = f"{wrong[0]} is no token of this model" if wrong else "there are none"
        raise ApiError(
            400, f"Invalid token ids: {why}; they are 0 to {size - 1}.", param="prompt",
            code="invalid_value",
        )  # fmt: skip
    return list(ids)


def _echoed(
    body: CompletionRequest,
    service: Service,
    model: ServedModel,
    prompts: Sequence[list[int]],
    tokenizer: LocalTokenizer,
) -> list[EchoedPrompt]:
    """The prompts as they stand before the answers, with their probabilities if asked for."""
    if not body.echo:
        return [EchoedPrompt(ids) for ids in prompts]
    found = []
    for ids in prompts:
        scored: tuple[TokenLogprob, ...] = ()
        if body.logprobs is not None:
            # The first token has nothing before it, so no probability either.
            head = TokenLogprob.of(tokenizer.bytes_of(ids[0]), None)
            scored = (head, *service.engine.score(model, ids, alternatives=body.logprobs))
        found.append(EchoedPrompt(ids, tokenizer.decode(ids), scored))
    return found


def _completion_chunks(
    head: dict[str, Any],
    deltas: Iterator[tuple[int, Delta]],
    body: CompletionRequest,
    echo: EchoedPrompt,
) -> Generator[dict[str, Any]]:
    ends: list[Choice] = []
    said: list[Delta] = []
    for index, delta in deltas:
        # At the start of each answer: `said` is emptied behind its last piece.
        if body.echo and not said:
            logprobs = _old_logprobs(body, echo, ())
            first = {"text": echo.text, "index": index, "logprobs": logprobs, "finish_reason": None}
            yield head | {"choices": [first]}
        # No tokens of the prompt again, only how much text stands before this piece.
        before = EchoedPrompt([], echo.text + "".join(one.text for one in said))
        said.append(delta)
        choice = {
            "text": delta.text,
            "index": index,
            "logprobs": _old_logprobs(body, before, delta.logprobs),
            "finish_reason": delta.finish_reason,
        }
        yield head | {"choices": [choice]}
        if delta.finish_reason:
            ends.append(collected(said))
            said = []
    if body.stream_options and body.stream_options.include_usage:
        yield head | {"choices": [], "usage": usage(ends, body.n or 1)}


def _old_logprobs(
    body: CompletionRequest, echo: EchoedPrompt, answer: Sequence[TokenLogprob]
) -> dict[str, Any] | None:
    """The completions form: parallel lists, with places in the whole text."""
    if body.logprobs is None:
        return None
    items = [*echo.logprobs, *answer]
    # A stream's pieces come without the prompt's entries: their places then begin behind its text.
    start = 0 if echo.logprobs else len(echo.text)
    return {
        "tokens": [item.token for item in items],
        "token_logprobs": [item.logprob for item in items],
        "top_logprobs": [_alternatives(item) for item in items],
        "text_offset": [start + offset for offset in _offsets(items)],
    }


def _alternatives(item: TokenLogprob) -> dict[str, float] | None:
    """The likeliest tokens, and the one that stands there; None where nothing came before."""
    if item.logprob is None:
        return None
    return {o.token: o.logprob for o in item.top if o.logprob is not None} | {
        item.token: item.logprob
    }


def _offsets(items: Sequence[TokenLogprob]) -> Iterator[int]:
    """Letters before each token; a token may be a part of one."""
    decoder, letters = codecs.getincrementaldecoder("utf-8")("replace"), 0
    for item in items:
        yield letters
        letters += len(decoder.decode(bytes(item.bytes)))
