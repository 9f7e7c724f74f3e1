"""Tool calls through OpenAI's client: whole, streamed, in both APIs, and what is stored of them.

The model's words are given here; that a model keeps to them is shown by `test_tool_calling`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import openai
import pytest

from helpers.backend.protocol.sampling import Delta, TokenLogprob
from helpers.base import settings as settings_module
from helpers.base.chat_format import ChatPrompt, chat_text
from helpers.base.settings import BASE_MODEL
from helpers.base.tool_format import calls_text
from tests.backend.in_process import COUNTS, TOKEN, InstantEngine, served

ORDER = {
    "name": "find_order",
    "description": "Where an order is",
    "parameters": {"type": "object", "properties": {"number": {"type": "string"}}},
}
TOOLS: Any = [
    {"type": "function", "function": ORDER},
    {"type": "function", "function": {"name": "clock"}},
]
FLAT: Any = [{"type": "function", "strict": True, **ORDER}]
ASK: Any = [{"role": "user", "content": "Where is LF-1?"}]
FOUND = calls_text([{"name": "find_order", "arguments": {"number": "LF-1"}}])
BOTH = "\n".join(["Let me look.", FOUND, calls_text([{"name": "clock", "arguments": {}}])])
ARGUMENTS = '{"number": "LF-1"}'


class Scripted(InstantEngine):
    """Says what it is told to, a few letters at a time, and remembers what it was asked."""

    says = ""
    cut = False

    def generate(self, model: Any, prompt: Any, sampling: Any) -> Iterator[Delta]:
        self.asked, self.sampling = prompt, sampling
        for start in range(0, len(self.says), 3):
            piece = self.says[start : start + 3]
            tokens = (TokenLogprob(piece, -1.0, tuple(piece.encode())),)
            yield Delta(piece, tokens if sampling.logprobs is not None else ())
        yield Delta("", finish_reason="length" if self.cut else "stop", **COUNTS)

    @property
    def text(self) -> str:
        """What a model would have seen."""
        if isinstance(self.asked, ChatPrompt):
            return chat_text(self.asked.messages, self.asked.tools)
        return chat_text(self.asked)


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Iterator[tuple[Scripted, openai.OpenAI]]:
    state = tmp_path_factory.mktemp("tools") / "workbook"
    engine = Scripted()
    settings = replace(settings_module.load(), state=state)
    with (
        served(settings, engine) as (_, url),
        openai.OpenAI(base_url=f"{url}/v1", api_key=TOKEN, max_retries=0) as client,
    ):
        yield engine, client


@pytest.fixture(autouse=True)
def script(desk) -> None:
    desk[0].says, desk[0].cut = BOTH, False


def chat(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(
        model=BASE_MODEL, **{"messages": ASK, "tools": TOOLS, **more}
    )


def respond(client: openai.OpenAI, **more: Any) -> Any:
    return client.responses.create(model=BASE_MODEL, **{"input": ASK, "tools": FLAT, **more})


def made(message: Any) -> list[tuple[str, str]]:
    return [(call.function.name, call.function.arguments) for call in message.tool_calls]


def test_a_chat_has_text_and_calls_apart(desk):
    engine, client = desk
    (choice,) = chat(client, logprobs=True).choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == "Let me look."
    assert made(choice.message) == [("find_order", ARGUMENTS), ("clock", "{}")]
    ids = [call.id for call in choice.message.tool_calls]
    assert len({*ids}) == 2
    assert all(key.startswith("call_") for key in ids)
    assert "".join(one.token for one in choice.logprobs.content) == "Let me look."
    assert '"name": "find_order", "description": "Where an order is"' in engine.text
    assert engine.sampling.grammar
    engine.says = FOUND
    (choice,) = chat(client).choices
    assert choice.message.content is None


def test_a_streamed_chat_brings_the_arguments_as_they_are_made(desk):
    _, client = desk
    chunks = list(chat(client, stream=True, stream_options={"include_usage": True}, logprobs=True))
    said = [chunk.choices[0] for chunk in chunks if chunk.choices]
    pieces = [call for one in said for call in one.delta.tool_calls or ()]
    begun = [call for call in pieces if call.id]
    assert [(call.index, call.function.name, call.type) for call in begun] == [
        (0, "find_order", "function"),
        (1, "clock", "function"),
    ]
    told = ["".join(call.function.arguments for call in pieces if call.index == n) for n in (0, 1)]
    assert told == [ARGUMENTS, "{}"]
    assert len(pieces) > 6
    assert "".join(one.delta.content or "" for one in said) == "Let me look."
    assert said[-1].finish_reason == "tool_calls"
    tokens = [token.token for one in said if one.logprobs for token in one.logprobs.content]
    assert "".join(tokens) == "Let me look."
    with client.chat.completions.stream(model=BASE_MODEL, messages=ASK, tools=TOOLS) as stream:
        whole = stream.get_final_completion().choices[0].message
    assert made(whole) == [("find_order", ARGUMENTS), ("clock", "{}")]


def test_the_older_functions_answer_in_the_older_form(desk):
    engine, client = desk
    engine.says = FOUND
    asked = {"tools": openai.omit, "functions": [ORDER]}
    (choice,) = chat(client, **asked).choices
    assert choice.finish_reason == "function_call"
    assert choice.message.function_call.name == "find_order"
    assert choice.message.tool_calls is None
    deltas = [chunk.choices[0].delta for chunk in chat(client, **asked, stream=True)]
    calls = [delta.function_call for delta in deltas if delta.function_call]
    assert calls[0].name == "find_order"
    assert "".join(call.arguments for call in calls) == ARGUMENTS


def test_the_model_reads_calls_and_results_as_its_template_writes_them(desk):
    engine, client = desk
    message = chat(client).choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": call.function.name}
        for call in message.tool_calls
    ]
    engine.says = "On its way."
    turns = [*ASK, message.model_dump(exclude_none=True), *results[::-1]]
    assert chat(client, messages=turns).choices[0].message.content == "On its way."
    assert f"assistant\n{BOTH}<|im_end|>" in engine.text
    shown = (
        "<tool_response>\nfind_order\n</tool_response>\n<tool_response>\nclock\n</tool_response>"
    )
    assert f"user\n{shown}<|im_end|>" in engine.text
    with pytest.raises(openai.BadRequestError, match="these have none"):
        chat(client, messages=turns[:-1])
    with pytest.raises(openai.BadRequestError, match="no call before it"):
        chat(client, messages=[*ASK, results[0]])


def test_no_tools_are_shown_and_no_calls_are_read_where_none_may_be_made(desk):
    engine, client = desk
    message = chat(client, tool_choice="none").choices[0].message
    assert message.content == BOTH
    assert message.tool_calls is None
    assert "find_order" not in engine.text
    assert engine.sampling.grammar is None


def test_what_is_cut_off_says_so_and_keeps_what_there_is(desk):
    engine, client = desk
    engine.says, engine.cut = FOUND[:50], True
    (choice,) = chat(client).choices
    assert choice.finish_reason == "length"
    assert made(choice.message) == [("find_order", FOUND[FOUND.index('{"number') : 50])]
    answer = respond(client)
    assert answer.status == "incomplete"
    assert answer.output[0].status == "incomplete"


def test_a_stored_chat_keeps_the_calls_that_were_sent(desk):
    _, client = desk
    with chat(client, stream=True, store=True) as stream:
        chunks = list(stream)
    sent = {call.id for c in chunks for call in c.choices[0].delta.tool_calls or () if call.id}
    kept = client.chat.completions.retrieve(chunks[0].id).choices[0].message
    assert {call.id for call in kept.tool_calls} == sent


def test_a_response_has_a_message_and_an_item_for_each_call(desk):
    engine, client = desk
    engine.says = BOTH
    answer = respond(client, tools=[*FLAT, {"type": "function", "name": "clock"}])
    message, first, second = answer.output
    assert message.content[0].text == answer.output_text == "Let me look."
    assert (first.type, first.name, first.arguments) == ("function_call", "find_order", ARGUMENTS)
    assert (second.name, second.arguments, second.status) == ("clock", "{}", "completed")
    assert answer.tools[0].name == "find_order"
    assert answer.tools[0].strict is True
    assert answer.tool_choice == "auto"
    engine.says = FOUND
    assert [item.type for item in respond(client).output] == ["function_call"]
    choice = {"type": "function", "name": "find_order"}
    assert respond(client, tool_choice=choice).tool_choice.model_dump() == choice


def test_a_streamed_response_opens_and_closes_each_item(desk):
    engine, client = desk
    engine.says = BOTH
    events = list(respond(client, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type.removeprefix("response.") for event in events]
    order = [kind for at, kind in enumerate(kinds) if kind != kinds[at - 1]]
    call = ["output_item.added", "function_call_arguments.delta", "function_call_arguments.done",
            "output_item.done"]  # fmt: skip
    assert order == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", *call, *call, "completed",
    ]  # fmt: skip
    begun = [event.item for event in events if event.type == "response.output_item.added"]
    assert [item.arguments for item in begun[1:]] == ["", ""]
    final = events[-1].response
    done = [event.item.id for event in events if event.type == "response.output_item.done"]
    assert [item.id for item in final.output] == done
    told = [e for e in events if e.type == "response.function_call_arguments.delta"]
    first = [event.delta for event in told if event.output_index == 1]
    assert "".join(first) == ARGUMENTS
    assert len(first) > 3
    with client.responses.stream(model=BASE_MODEL, input=ASK, tools=FLAT) as stream:
        assert stream.get_final_response().output[1].parsed_arguments == json.loads(ARGUMENTS)


def test_the_next_response_knows_the_call_by_the_id_of_the_last_or_by_its_items(desk):
    engine, client = desk
    first = respond(client)
    call = next(item for item in first.output if item.type == "function_call")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "on its way"}
    clock = first.output[2]
    other = [{"type": "input_text", "text": "9:00"}]
    results: Any = [result, result | {"call_id": clock.call_id, "output": other}]
    engine.says = "Tomorrow."
    second = respond(client, previous_response_id=first.id, input=results)
    by_id = engine.text
    assert f"assistant\n{BOTH}<|im_end|>" in by_id
    assert "<tool_response>\non its way\n</tool_response>\n<tool_response>\n9:00\n" in by_id
    items = [*ASK, *[item.model_dump(exclude_none=True) for item in first.output], *results]
    assert respond(client, input=items).output_text == "Tomorrow."
    assert engine.text == by_id
    kept = [item.type for item in client.responses.input_items.list(second.id, order="asc")]
    assert (
        kept
        == ["message", "message", "function_call", "function_call"] + ["function_call_output"] * 2
    )
    with pytest.raises(openai.BadRequestError, match="these have none"):
        respond(client, previous_response_id=first.id, input=results[:1])


@pytest.mark.parametrize("stream", [False, True])
def test_a_schema_that_cannot_be_enforced_is_refused_before_anything_is_said(desk, stream):
    _, client = desk
    function = {"name": "open", "parameters": {"properties": {"a": {"format": "uri"}}}}
    tools = [{"type": "function", "function": function}]
    with pytest.raises(openai.BadRequestError, match=r"tools.open: 'format' cannot be enforced"):
        chat(client, tools=tools, tool_choice="required", stream=stream)
    flat = [{"type": "function", "strict": True, **function}]
    with pytest.raises(openai.BadRequestError, match=r"tools.open: 'format' cannot be enforced"):
        respond(client, tools=flat, stream=stream)
