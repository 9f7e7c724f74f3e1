"""Say in OpenAI's words what an engine answered, and in the engine's what a chat asks for.

For: the routes, and batches, which answer the same requests. Not for: asking the engine.

    how = chat_sampling(body)
    chat_answer(chat_head(body), [Choice("Hello.", (), "stop", 12, 3)], how, body)
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.json_schema import enforceable
from helpers.backend.protocol.parameters import unsupported
from helpers.backend.protocol.sampling import Sampling, TokenLogprob, one_of
from helpers.backend.protocol.schemas import ChatRequest, SamplingRequest, new_id
from helpers.backend.protocol.tool_answers import AnswerReader, Call, chat_calls
from helpers.backend.protocol.tools import ToolUse

FINGERPRINT = "fp_workbook"


def sampling(body: SamplingRequest, **more: Any) -> Sampling:
    """What a request asks for, with OpenAI's defaults."""
    return Sampling(
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        stop=body.stops(),
        seed=body.seed,
        presence_penalty=body.presence_penalty or 0.0,
        frequency_penalty=body.frequency_penalty or 0.0,
        logit_bias={int(token): bias for token, bias in (body.logit_bias or {}).items()} or None,
        **more,
    )


def chat_sampling(body: ChatRequest) -> Sampling:
    """What a chat asks for. Raises `ApiError` for a schema that is announced and not there."""
    wanted = body.response_format
    if wanted and wanted.type == "json_schema" and wanted.json_schema is None:
        raise ApiError(
            400,
            "Missing required parameter: 'response_format.json_schema'.",
            param="response_format",
            code="missing_required_parameter",
        )
    how = sampling(
        body,
        max_tokens=body.max_completion_tokens or body.max_tokens,
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        json_object=bool(wanted and wanted.type == "json_object"),
        json_schema=enforceable(wanted.json_schema.schema_, param="response_format")
        if wanted and wanted.type == "json_schema" and wanted.json_schema
        else None,
        grammar=one_of(body.structured_outputs["choice"]) if body.structured_outputs else None,
    )
    if how.grammar and (how.schema or body.tool_use):
        why = "An answer that is one of several texts has no other form, and calls no tool"
        raise unsupported("structured_outputs", why)
    return with_tools(how, body.tool_use)


def with_tools(how: Sampling, use: ToolUse | None) -> Sampling:
    """The same for an answer that may, or must, call tools."""
    if use is None:
        return how
    # One grammar holds both, since an answer is text in that schema or a call.
    return replace(how, grammar=use.grammar(how.schema), json_schema=None, json_object=False)


@dataclass(frozen=True)
class Choice:
    """One whole answer."""

    text: str
    logprobs: tuple[TokenLogprob, ...]
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    calls: tuple[Call, ...] = ()

    def read(self, reader: AnswerReader) -> Choice:
        """The same with text and calls apart. The probabilities are those of the text's tokens."""
        # Bytes, as the probabilities belong to tokens, which may end inside a letter.
        counts = itertools.accumulate(len(item.bytes) for item in self.logprobs)
        room = len(self.text[: reader.letters].encode())
        shown = tuple(item for item, n in zip(self.logprobs, counts, strict=True) if n <= room)
        reason = reader.finish_reason(self.finish_reason)
        return replace(
            self,
            text=reader.text,
            calls=tuple(reader.calls),
            finish_reason=reason,
            logprobs=shown if reader.calls else self.logprobs,
        )


def read_choice(choice: Choice, use: ToolUse | None) -> Choice:
    """A whole answer, with the calls that stand in its text."""
    reader = AnswerReader(use)
    reader.feed(choice.text)
    reader.close()
    return choice.read(reader)


def usage(choices: Sequence[Choice], n: int = 1) -> dict[str, Any]:
    """Token counts; a prompt that was answered n times counts once."""
    # Each prompt has n neighbours in the list; the first of them stands for all.
    prompt = sum(choice.prompt_tokens for choice in choices[::n])
    made = sum(choice.completion_tokens for choice in choices)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": made,
        "total_tokens": prompt + made,
        "prompt_tokens_details": {
            "cached_tokens": sum(choice.cached_tokens for choice in choices[::n]),
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def logprob_item(item: TokenLogprob) -> dict[str, Any]:
    """One token of an answer, with its alternatives."""
    body = {"token": item.token, "logprob": item.logprob, "bytes": list(item.bytes)}
    return body | {
        "top_logprobs": [
            {"token": other.token, "logprob": other.logprob, "bytes": list(other.bytes)}
            for other in item.top
        ]
    }


def chat_logprobs(items: Sequence[TokenLogprob], how: Sampling) -> dict[str, Any] | None:
    """The tokens of an answer, in the form of chats; None if they were not asked for."""
    if how.logprobs is None:
        return None
    return {"content": [logprob_item(item) for item in items], "refusal": None}


def chat_head(body: ChatRequest) -> dict[str, Any]:
    """What an answer and each chunk of a streamed one begin with."""
    return {
        "id": new_id("chatcmpl-"),
        "created": int(time.time()),
        "model": body.model,
        "system_fingerprint": FINGERPRINT,
        "service_tier": "default",
    }


def chat_answer(
    head: dict[str, Any], choices: Sequence[Choice], how: Sampling, body: ChatRequest
) -> dict[str, Any]:
    """The whole answer to a chat."""
    return head | {
        "object": "chat.completion",
        "choices": [
            {
                "index": index,
                "message": {
                    "role": "assistant",
                    # OpenAI's form: null beside calls, an empty text where there is nothing else.
                    "content": choice.text if choice.text or not choice.calls else None,
                    "refusal": None,
                    "annotations": [],
                    **chat_calls(choice.calls, older_form=bool(body.functions)),
                },
                "logprobs": chat_logprobs(choice.logprobs, how),
                "finish_reason": choice.finish_reason,
            }
            for index, choice in enumerate(choices)
        ],
        "usage": usage(choices, body.n or 1),
    }
