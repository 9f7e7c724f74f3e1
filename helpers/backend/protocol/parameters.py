"""Which of OpenAI's parameters this server cannot honour, and what it says then.

For: request bodies. A parameter is read by a route, or says only who asks and how to cache
(`HINTS`), or stands in `LIMITED` with the values that ask for nothing more than this server
does; every other value is a 400, as is a name that OpenAI does not have. Not for: the types
of values, see `schemas`.

    check({"model", "messages"}, {}, {"model": "m", "background": True})     # ApiError 400
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from helpers.backend.protocol.errors import ApiError

HINTS = frozenset(
    {
        "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
        "prompt_cache_options", "service_tier", "max_tool_calls",
    }
)  # fmt: skip
"""They change no answer: who asks, how to cache, a tier that the answer names anyway, and a bound
on calls of OpenAI's own tools, of which there are none here."""
LEAVE_OUT = "Leave it out"
TEXT = "This server reads and writes text alone"
PLAIN = "The models of this server answer at once, without reasoning or style settings"

LIMITED: dict[str, tuple[tuple[Any, ...], str, str]] = {
    "audio": ((), TEXT, LEAVE_OUT),
    "modalities": ((["text"],), TEXT, LEAVE_OUT),
    "moderation": ((), "This server moderates nothing", LEAVE_OUT),
    "prediction": ((), "This server does not use predicted outputs", LEAVE_OUT),
    "reasoning_effort": (("none",), PLAIN, LEAVE_OUT),
    "verbosity": (("medium",), PLAIN, "Say in the prompt how long the answer should be"),
    "web_search_options": ((), "This server searches no web", LEAVE_OUT),
    "personality": ((), PLAIN, "Say in the instructions how the model should speak"),
    "access_programs": ((), "The models of this server belong to no programs", LEAVE_OUT),
    "image": ((), TEXT, LEAVE_OUT),
    "background_options": (
        (), "This server answers while the client waits", "Send a batch instead",
    ),
    "background": ((False,), "This server answers while the client waits", "Send a batch instead"),
    "conversation": (
        (), "This server keeps no conversations", "Use previous_response_id, or send all messages",
    ),
    "context_management": ((), "This server does not shorten conversations", "Send fewer messages"),
    "prompt": ((), "This server keeps no prompt templates", "Send the text as instructions"),
    "reasoning": (
        ({}, {"effort": "none"}, {"effort": None}, {"effort": None, "summary": None},
         {"effort": "none", "summary": None}),
        PLAIN, LEAVE_OUT,
    ),
    "truncation": (("disabled",), "This server drops no messages", "Send fewer messages"),
    "suffix": ((), "The models of this server cannot fill a gap in a text", LEAVE_OUT),
    "integrations": (
        ([],), "This server reports to no other services", "Read the job's events and result files",
    ),
}  # fmt: skip
"""By name: the values that are fine, why others are not, and what to do instead."""


def check(fields: Collection[str], limited: Collection[str], body: Mapping[str, Any]) -> None:
    """Raise `ApiError` 400 for what a request with these fields cannot ask for.

    A parameter that is null is one that was not given.
    """
    given = {name: value for name, value in body.items() if value is not None}
    for name, value in given.items():
        if name in limited:
            accepted, why, fix = LIMITED[name]
            # By type as well, since True equals 1 in Python.
            if not any(value == one and type(value) is type(one) for one in accepted):
                raise unsupported(name, why, fix)
        elif name not in fields and name not in HINTS:
            raise ApiError(
                400, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter"
            )


Choices = Annotated[
    dict[
        Literal["choice"],
        Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=1000)],
    ],
    Field(min_length=1),
]
"""vLLM's parameter `structured_outputs`, as far as this server has it: one of several texts."""


def unsupported(name: str, why: str, fix: str = LEAVE_OUT) -> ApiError:
    """400 for a parameter, or a value of it, that cannot be honoured."""
    message = f"Unsupported parameter: '{name}' is not supported with this value. {why}. {fix}."
    return ApiError(400, message, param=name, code="unsupported_parameter")
