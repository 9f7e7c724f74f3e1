"""What a grammar of tools lets through, asked of llguidance; and which requests are refused."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.json_schema import enforceable
from helpers.backend.protocol.response_format import Choice, chat_sampling, read_choice
from helpers.backend.protocol.sampling import TokenLogprob, ending
from helpers.backend.protocol.schemas import ChatRequest, ResponseRequest
from helpers.backend.protocol.tool_answers import check_results
from helpers.backend.protocol.tools import MOST_CALLS, ToolUse
from helpers.base.chat_format import text_of
from helpers.base.tool_format import calls_text


def tool(name: str, properties: Any = None, **more: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(properties or ())}
    function = {"name": name, **more} | ({"parameters": schema} if properties is not None else {})
    return {"type": "function", "function": function}


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


ORDER = tool("find_order", {"number": {"type": "string"}})
VISIT = tool("book", {"day": {"enum": ["Mon", "Tue"]}, "early": {"type": "boolean"}})
CLOCK = tool("clock")
SITE = tool("open", {"site": {"type": "string", "format": "uri"}})
LIST = {"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}
TOOLS = [ORDER, VISIT, CLOCK]
ASK = [{"role": "user", "content": "Hi"}]


def chat(**more: Any) -> ChatRequest:
    return ChatRequest.model_validate({"model": "m", "messages": ASK, "tools": TOOLS, **more})


def allowed(mode: str, *names: str) -> dict[str, Any]:
    tools = [named(name) for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def fits(grammar: str | None, text: str) -> bool:
    """Whether the text is a whole answer by the grammar."""
    import llguidance

    assert grammar
    matcher = llguidance.LLMatcher(llguidance.LLTokenizer("byte"), grammar)
    assert not matcher.is_error(), matcher.get_error()
    data = list(text.encode())
    return bool(matcher.try_consume_tokens(data) == len(data) and matcher.is_accepting())


def call(name: str, **arguments: Any) -> str:
    return calls_text([{"name": name, "arguments": arguments}])


FOUND = call("find_order", number="LF-1")
BOOKED = call("book", day="Mon", early=True)
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
FORM = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
GRAMMARS: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "auto": (
        {},
        ["", "Hello.", "a < b, a <tool_ c", FOUND, f"Let me look.\n{FOUND}", f"{FOUND}\n{BOOKED}"],
        ["<tool_call>", "Hi <tool_call> there", call("unknown"), f"{FOUND} Done.", FOUND[:-1],
         call("find_order"), call("find_order", number=3), call("book", day="Sun", early=True)],
    ),
    "required": (
        {"tool_choice": "required"},
        [FOUND, BOOKED, call("clock"), "\n".join([FOUND] * MOST_CALLS)],
        ["", "Hello.", f"Well: {FOUND}", "\n".join([FOUND] * (MOST_CALLS + 1)),
         call("clock", a=1), FOUND.replace('": ', '":')],
    ),
    "one at a time": (
        {"tool_choice": "required", "parallel_tool_calls": False}, [FOUND], [f"{FOUND}\n{BOOKED}"],
    ),
    "named": (
        {"tool_choice": named("book")}, [BOOKED], [FOUND, "Hello.", f"{BOOKED}\n{BOOKED}"],
    ),
    "allowed, auto": (
        {"tool_choice": allowed("auto", "book", "clock")}, ["Hi", BOOKED, call("clock")], [FOUND],
    ),
    "allowed, required": (
        {"tool_choice": allowed("required", "clock")}, [call("clock")], [FOUND, "Hi"],
    ),
    "auto, with a schema for an answer": (
        {"response_format": FORM}, ['{"a":1}', FOUND], ["Hi", '{"a": "b"}', f'{{"a":1}}{FOUND}'],
    ),
    "auto, with a JSON object for an answer": (
        {"response_format": {"type": "json_object"}}, ['{"b":[]}', FOUND], ["Hi"],
    ),
    "the older functions": (
        {"tools": None, "functions": [ORDER["function"], CLOCK["function"]]},
        ["Hi", FOUND, call("clock")], [f"{FOUND}\n{FOUND}"],
    ),
    "the older functions, named": (
        {"tools": None, "functions": [ORDER["function"]], "function_call": {"name": "find_order"}},
        [FOUND], ["Hi"],
    ),
    "a loose schema may be departed from": (
        {"tools": [SITE]}, ["Hi", call("open", site="x"), call("open", b=1)], [call("open")[:-1]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAMMARS)
def test_a_grammar_lets_through_what_was_asked_for_and_nothing_else(name):
    more, good, bad = GRAMMARS[name]
    grammar = chat_sampling(chat(**more)).grammar
    assert [text for text in good if not fits(grammar, text)] == []
    assert [text for text in bad if fits(grammar, text)] == []


def test_without_tools_or_with_none_to_be_called_nothing_is_enforced():
    for more in ({"tools": None}, {"tools": []}, {"tool_choice": "none"}):
        body = chat(**more)
        assert body.tool_use is None
        assert chat_sampling(body).grammar is None
    how = chat_sampling(chat(tool_choice="none", response_format=FORM))
    assert how.json_schema == enforceable(SCHEMA, param="x")


@pytest.mark.parametrize(
    ("more", "param", "says"),
    [
        ({"tools": None, "tool_choice": "required"}, "tool_choice", "only allowed when 'tools'"),
        ({"tools": None, "function_call": {"name": "f"}}, "function_call", "only allowed when"),
        ({"tool_choice": named("none")}, "tool_choice", "'none' not found"),
        ({"tool_choice": allowed("auto", "none")}, "tool_choice", "'none' not found"),
        ({"tool_choice": allowed("auto")}, "tool_choice", "names no tool"),
        ({"tools": [CLOCK, CLOCK]}, "tools", "Two of the tools"),
        ({"functions": [CLOCK["function"]]}, "functions", "has tools too"),
        ({"tools": [LIST]}, "tools[0].parameters", "\"object\"', got 'type: \"array\"'"),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(more, param, says):
    with pytest.raises(ApiError) as caught:
        chat_sampling(chat(**more))
    assert caught.value.body["error"]["param"] == param
    assert says in str(caught.value)


@pytest.mark.parametrize("more", [{"tool_choice": "required"}, {"tool_choice": named("open")}])
def test_a_schema_that_must_be_kept_to_and_cannot_be_is_refused_by_keyword(more):
    with pytest.raises(ApiError, match=r"tools\.open: 'format' cannot be enforced") as caught:
        chat_sampling(chat(tools=[SITE], **more))
    assert caught.value.body["error"]["code"] == "invalid_json_schema"
    strict = {"type": "function", "function": SITE["function"] | {"strict": True}}
    with pytest.raises(ApiError, match="cannot be enforced"):
        chat_sampling(chat(tools=[strict]))


def as_asked(use: ToolUse | None) -> Any:
    assert use
    return use.tools, use.allowed, use.named, use.grammar(None)


def test_a_response_has_the_same_tools_in_its_own_shape():
    flat = [{"type": "function", **one["function"]} for one in TOOLS]
    choice = {"type": "function", "name": "book"}
    body = {"model": "m", "input": "Hi", "tools": flat, "tool_choice": choice}
    use = ResponseRequest.model_validate(body).tool_use
    assert as_asked(use) == as_asked(chat(tool_choice=named("book")).tool_use)
    few = {"type": "allowed_tools", "mode": "auto", "tools": [choice]}
    use = ResponseRequest.model_validate(body | {"tool_choice": few}).tool_use
    assert as_asked(use) == as_asked(chat(tool_choice=allowed("auto", "book")).tool_use)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({}, "tool_calls"),
        ({"tool_choice": "required"}, "tool_calls"),
        ({"tool_choice": named("find_order")}, "stop"),
        ({"tools": None, "functions": [ORDER["function"]]}, "function_call"),
    ],
)
def test_why_an_answer_with_a_call_ended(more, reason):
    use = chat(**more).tool_use
    assert read_choice(Choice(FOUND, (), "stop", 1, 1), use).finish_reason == reason
    assert read_choice(Choice(FOUND[:50], (), "length", 1, 1), use).finish_reason == "length"
    assert read_choice(Choice("Hi", (), "stop", 1, 1), use).finish_reason == "stop"


def test_without_tools_a_call_is_text():
    read = read_choice(Choice(FOUND, (), "stop", 1, 1), None)
    assert (read.text, read.calls, read.finish_reason) == (FOUND, (), "stop")


def test_the_probabilities_are_those_of_the_text():
    pieces = ["Zł", "oty. ", *FOUND]
    tokens = tuple(TokenLogprob(one, -1.0, tuple(one.encode())) for one in pieces)
    read = read_choice(Choice("".join(pieces), tokens, "stop", 1, 1), chat().tool_use)
    assert read.text == "Złoty."
    assert [one.token for one in read.logprobs] == ["Zł", "oty. "]


CALLED = {"role": "assistant", "tool_calls": [{"id": "a"}, {"id": "b"}]}
A, B = ({"role": "tool", "tool_call_id": key, "content": ""} for key in "ab")


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([A], r"messages\[0\].*no call before it has the id 'a'"),
        ([CALLED, A], r"messages\[0\].*these have none: b"),
        ([CALLED, A, {"role": "user"}, B], r"these have none: b"),
        ([CALLED, A, B, A], r"messages\[3\].*no call before it has the id 'a'"),
        ([CALLED, A, {"role": "tool"}], r"messages\[2\].*the id None"),
    ],
)
def test_a_result_without_its_call_or_a_call_without_its_result_is_refused(messages, says):
    with pytest.raises(ApiError, match=says):
        check_results(messages)


def test_calls_and_results_in_any_order_are_fine():
    check_results([{"role": "user"}, CALLED, B, A, {"role": "assistant"}])
    older = {"role": "assistant", "function_call": {"name": "f"}}
    check_results([older, {"role": "function", "name": "f"}, {"role": "user"}])


def test_calls_stay_apart_from_the_text_until_the_template_writes_them():
    said = {"role": "assistant", "content": "Wait.", "tool_calls": [{"function": {"name": "f"}}]}
    (plain,) = [message.plain() for message in chat(messages=[said]).messages]
    assert plain["content"] == "Wait."
    assert text_of(plain) == f"Wait.\n{call('f')}"


def test_the_end_of_a_message_may_follow_a_text_and_each_whole_call():
    import llguidance

    grammar = ending(chat_sampling(chat()).grammar or "", 2)
    tokenizer = llguidance.LLTokenizer("byte")
    for text, may_end in (("Hi", True), (FOUND, True), (FOUND[:-1], False)):
        matcher = llguidance.LLMatcher(tokenizer, grammar)
        assert matcher.try_consume_tokens(list(text.encode())) == len(text)
        assert bool(matcher.try_consume_tokens([2])) is may_end, text
