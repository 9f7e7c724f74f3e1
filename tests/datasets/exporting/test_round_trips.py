"""Any sound example goes to every target and comes home; nothing is lost but what was said."""

from __future__ import annotations

import io
import json

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from helpers.base import jsonl
from helpers.base.chat_format import text_of
from helpers.datasets.example import TrainingExample
from helpers.datasets.exporting.losses import Account
from helpers.datasets.exporting.readers import read_row
from helpers.datasets.exporting.rows import parts_of, rows_of
from helpers.datasets.exporting.targets import TARGETS
from helpers.datasets.validation.file import validate_file
from tests.datasets.exporting.rows import canonical

odd = st.sampled_from(
    ["<|im_end|>", "<tool_call>\n{}\n</tool_call>", "</tool_response>", "null",
     "[]", '{"a": 1}', "2026-11-30", " both ", "two\n\nlines", "\u2028"]
)  # fmt: skip
words = odd | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20
).filter(str.strip)  # fmt: skip
texts = words | st.lists(st.builds(lambda t: {"type": "text", "text": t}, words), min_size=1,
                         max_size=2)  # fmt: skip
values = st.recursive(words | st.none() | st.booleans() | st.integers(-5, 5),
                      lambda inner: st.lists(inner, max_size=2), max_leaves=3)  # fmt: skip
objects = st.dictionaries(words, values, max_size=2)
system_roles = st.sampled_from(["system", "developer"])


@st.composite
def offers(draw):
    """One or two functions, of which nothing but the name is sure to be there."""
    made = []
    for name in draw(st.sampled_from([["hours"], ["hours", "other"]])):
        further = {
            "description": words,
            "strict": st.booleans(),
            "parameters": st.just({"type": "object", "properties": {}}) | st.just({}),
        }
        function = {"name": name, **draw(st.fixed_dictionaries({}, optional=further))}
        made.append({"type": "function", "function": function})
    return made


@st.composite
def answers(draw, *, calls=()):
    """What an assistant says: text, a refusal, or calls with or without a text."""
    row = {"role": "assistant"}
    if calls:
        row["tool_calls"] = [
            {"id": one, "type": "function",
             "function": {"name": "hours", "arguments": json.dumps(draw(objects))}}
            for one in calls
        ]  # fmt: skip
        row |= draw(st.sampled_from([{}, {"content": None}, {"content": ""}]) | _saying(texts))
    elif draw(st.integers(0, 9)) == 0:
        row |= {"content": draw(st.none() | words), "refusal": draw(words)}
    else:
        row["content"] = draw(texts)
    return row | draw(st.fixed_dictionaries({}, optional={"weight": st.integers(0, 1)}))


def _saying(content):
    return st.builds(lambda said: {"content": said}, content)


@st.composite
def asked(draw, *, tools):
    """A chat of one to three turns that ends with a question or what tools answered."""
    messages = [{"role": draw(system_roles), "content": draw(texts)}] if draw(st.booleans()) else []
    turns = draw(st.integers(1, 3))
    for turn in range(turns):
        for _ in range(draw(st.sampled_from([1, 1, 2]))):
            name = {"name": "Ann"} if draw(st.integers(0, 9)) == 0 else {}
            messages.append({"role": "user", "content": draw(texts), **name})
        ids = [f"call_{turn}_{n}" for n in range(draw(st.integers(0, 2)))] if tools else []
        if ids:
            messages.append(draw(answers(calls=ids)))
            results = st.builds(dict, content=texts | st.just(""))
            messages += [{"role": "tool", "tool_call_id": one, **draw(results)}
                         for one in draw(st.permutations(ids))]  # fmt: skip
        if turn < turns - 1:
            messages += [draw(answers()) for _ in range(draw(st.sampled_from([1, 1, 2])))]
            if draw(st.integers(0, 9)) == 0:
                messages.append({"role": draw(system_roles), "content": draw(texts)})
    return messages


@st.composite
def examples(draw):
    """Chats, preferences and completions of all that OpenAI's formats may hold."""
    extra = {"metadata": {"id": "1"}} if draw(st.integers(0, 4)) == 0 else {}
    kind = draw(st.sampled_from(["chat", "chat", "dpo", "completion"]))
    if kind == "completion":
        return {"prompt": draw(words), "completion": draw(words), **extra}
    tools = draw(st.none() | offers())
    body = {"messages": draw(asked(tools=bool(tools))), **({"tools": tools} if tools else {})}
    ids = ["call_last"] if tools and draw(st.booleans()) else []
    if draw(st.integers(0, 9)) == 0:
        body["parallel_tool_calls"] = draw(st.booleans())
    if kind == "chat":
        body["messages"].append(draw(answers(calls=ids)))
        return body | extra
    sides = [draw(answers(calls=ids)), draw(answers())]
    compared = [{k: v for k, v in side.items() if k != "weight"} for side in sides]
    keys = ("preferred_output", "non_preferred_output")
    return {"input": body, **{k: [v] for k, v in zip(keys, compared, strict=True)}, **extra}


@settings(max_examples=60, deadline=None)
@given(examples())
def test_what_comes_home_is_what_was_written_and_holds_all_that_was_said(row):
    assume(validate_file(io.BytesIO(jsonl.dump(row)), minimum=1).ok)
    example = TrainingExample.of(row)
    for target in TARGETS.values():
        account = Account(target)
        account.add(1, example)
        parts, rows = parts_of(example, target), rows_of(example, target)
        assert bool(rows) == (account.rows_left_out == 0), target.name
        weights = target.fate("weight_0") == "kept"
        back = [read_row(json.loads(jsonl.dump(one))) for one in rows]
        assert [canonical(one, weights=weights) for one in back] == [
            canonical(part, weights=weights) for part in parts
        ], target.name
        if not account.losses:
            assert [canonical(one) for one in back] == [canonical(example)], target.name
        # Of an unrolled chat, the last row holds all before the last answer that is learnt.
        if rows and not any(loss.fate == "unrolled" for loss in account.losses.values()):
            assert all_is_said(example, back[0]), target.name


def all_is_said(example, back):
    """Whether each text and call stands in a message of the same speaker."""

    def speaker(message):
        return {"developer": "system"}.get(message["role"], message["role"])

    def texts_of(message):
        return text_of({**message, "tool_calls": None})

    def calls(said):
        return [json.loads(call["function"]["arguments"])
                for message in said for call in message.get("tool_calls") or ()]  # fmt: skip

    return calls(example.said) == calls(back.said) and all(
        any(speaker(m) == speaker(b) and texts_of(m) in texts_of(b) for b in back.said)
        for m in example.said
    )
