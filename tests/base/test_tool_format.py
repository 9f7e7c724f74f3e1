"""Tools, calls and results: written as Qwen 2.5's template writes them, and read back."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from helpers.base.chat_format import DEFAULT_SYSTEM, chat_text, turns
from helpers.base.tool_format import (
    ArgumentsPiece,
    CallReader,
    CallStart,
    TextPiece,
    calls_text,
    offered,
    read_answer,
    tools_text,
)

# Qwen 2.5's own template (Apache-2.0), with this model's default system message.
TEMPLATE = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'DEFAULT' }}
    {%- endif %}
    {{- "\\n\\n# Tools\\n\\nYou may call one or more functions to assist with the user query.\\n\\nYou are provided with function signatures within <tools></tools> XML tags:\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools>\\n\\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\\n<tool_call>\\n{\\"name\\": <function-name>, \\"arguments\\": <args-json-object>}\\n</tool_call><|im_end|>\\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nDEFAULT<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\\n<tool_call>\\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- message.content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}"""  # noqa: E501


def call(key: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": key, "type": "function", "function": {"name": name, "arguments": arguments}}


WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather – today's, in °C",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CLOCK = {"type": "function", "function": {"name": "clock"}}
ASKED = {"role": "user", "content": "Rain in Łódź?"}
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [call("a", "weather", '{"city":"Łódź"}'), call("b", "clock", "{}")],
}
TOLD = [
    {"role": "tool", "tool_call_id": "a", "content": "dry"},
    {"role": "tool", "tool_call_id": "b", "content": "9:00"},
]
SYSTEM = {"role": "system", "content": "Be brief."}
SAID = {"role": "assistant", "content": "No.", "tool_calls": [call("c", "clock", "{}")]}
CHATS = {
    "asked": [ASKED],
    "with a system message": [SYSTEM, ASKED],
    "called": [ASKED, CALLED],
    "told": [SYSTEM, ASKED, CALLED, *TOLD],
    "told, said, and called beside a text": [ASKED, CALLED, *TOLD, SAID],
}


def with_objects(message: dict[str, Any]) -> dict[str, Any]:
    """As the template wants it: arguments as objects, no null content."""
    said = message | {"content": message["content"] or ""}
    if "tool_calls" in message:
        functions = [one["function"] for one in message["tool_calls"]]
        objects = [f | {"arguments": json.loads(f["arguments"])} for f in functions]
        said["tool_calls"] = [{"type": "function", "function": f} for f in objects]
    return said


@pytest.mark.parametrize("tools", [[], [WEATHER], [WEATHER, CLOCK]])
@pytest.mark.parametrize("name", CHATS)
def test_a_chat_with_tools_reads_as_qwens_template_writes_it(name, tools):
    jinja2 = pytest.importorskip("jinja2.sandbox")
    environment = jinja2.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    template = environment.from_string(TEMPLATE.replace("DEFAULT", DEFAULT_SYSTEM))
    said = [with_objects(message) for message in CHATS[name]]
    written = template.render(messages=said, tools=tools, add_generation_prompt=True)
    assert chat_text(CHATS[name], tools) == written


def test_results_stand_in_the_order_of_the_calls():
    swapped = [ASKED, CALLED, *TOLD[::-1]]
    assert chat_text(swapped) == chat_text([ASKED, CALLED, *TOLD])
    assert [turn.role for turn in turns(swapped)] == ["system", "user", "assistant", "user"]


def test_the_older_form_reads_like_todays():
    older = {"role": "assistant", "function_call": {"name": "clock", "arguments": "{}"}}
    result = {"role": "function", "name": "clock", "content": "9:00"}
    newer = [{"role": "assistant", "tool_calls": [call("b", "clock", "{}")]}, TOLD[1]]
    assert chat_text([ASKED, older, result]) == chat_text([ASKED, *newer])
    functions = {"functions": [WEATHER["function"], CLOCK["function"]]}
    assert offered(functions) == offered({"tools": [WEATHER, CLOCK]})


def test_only_what_a_model_reads_is_kept_of_a_tool():
    asked = {"type": "function", "function": {**CLOCK["function"], "strict": True, "x": 1}}
    nulls = {"type": "function", "function": {**CLOCK["function"], "description": None}}
    assert offered({"tools": [asked]}) == offered({"tools": [nulls]}) == (CLOCK,)
    assert offered({"tools": [3, {"type": "function"}], "functions": None}) == ()
    assert tools_text([]) == ""


TWO_CALLS = """Let me look.
<tool_call>
{"name": "weather", "arguments": {"city": "a}\\"</tool_call>"}}
</tool_call>
<tool_call>
{"name": "clock", "arguments": {"deep": [{"a": "]"}]}}
</tool_call>"""
ANSWERS = {
    "text": ("It is dry.", "It is dry.", []),
    "blanks": ("  \n", "  \n", []),
    "a call": (
        '<tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call>', "", [("clock", "{}")],
    ),
    "text and two calls": (
        TWO_CALLS,
        "Let me look.",
        [
            ("weather", '{"city": "a}\\"</tool_call>"}'),
            ("clock", '{"deep": [{"a": "]"}]}'),
        ],
    ),
    "arguments first": (
        '<tool_call>{"arguments": {"a": 1}, "name": "clock"}</tool_call>', "",
        [("clock", '{"a": 1}')],
    ),
    "a list of calls, as SmolLM2-1.7B writes it": (
        '<tool_call>[{"name": "a", "arguments": {}}, {"name": "b", "arguments": {}}]</tool_call>',
        "", [("a", "{}"), ("b", "{}")],
    ),
    "no call after all": ("<tool_call>\nhm\n</tool_call>", "<tool_call>\nhm\n</tool_call>", []),
    "cut off before its name": ('Yes <tool_call>\n{"na', 'Yes<tool_call>\n{"na', []),
    "cut off in its arguments": (
        '<tool_call>\n{"name": "a", "arguments": {"b": "c', "", [("a", '{"b": "c')],
    ),
    "half a mark": ("a <tool_", "a <tool_", []),
}  # fmt: skip


def collected(events: list[Any]) -> tuple[str, list[tuple[str, str]]]:
    text = "".join(event.text for event in events if isinstance(event, TextPiece))
    names = {event.index: event.name for event in events if isinstance(event, CallStart)}
    arguments = dict.fromkeys(names, "")
    for event in events:
        if isinstance(event, ArgumentsPiece):
            arguments[event.index] += event.text
    return text, [(names[index], arguments[index]) for index in names]


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read_alike_whole_and_in_any_pieces(name):
    answer, text, calls = ANSWERS[name]
    assert collected(read_answer(answer)) == (text, calls)
    rng = random.Random(0)
    for _ in range(40):
        reader, rest, events = CallReader(), answer, []
        while rest:
            n = rng.randint(1, 4)
            events += reader.feed(rest[:n])
            rest = rest[n:]
        assert collected(events + reader.close()) == (text, calls)


def test_what_is_written_is_read_back():
    calls = [{"name": "weather", "arguments": {"city": "Łódź", "n": [1, None]}}]
    _, ((name, arguments),) = collected(read_answer(calls_text(calls)))
    assert {"name": name, "arguments": json.loads(arguments)} == calls[0]


def test_arguments_come_as_they_are_made():
    reader = CallReader()
    assert reader.feed('<tool_call>\n{"name": "clock", "arguments": {"a') == [
        CallStart(0, "clock"),
        ArgumentsPiece(0, '{"a'),
    ]
    assert reader.feed('": 1}') == [ArgumentsPiece(0, '": 1}')]
    assert reader.feed("}\n</tool_call>") == reader.close() == []
