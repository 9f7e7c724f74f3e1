from __future__ import annotations

import io
import json
import re
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.base.errors import DataError
from helpers.datasets.validation.codes import CODES
from helpers.datasets.validation.file import KEPT, validate_file
from helpers.datasets.validation.report import TokenLengths

USER = {"role": "user", "content": "How long do I hold the button?"}
ANSWER = {"role": "assistant", "content": "Twelve seconds."}


def chat(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"messages": list(messages), **more}


def file_of(*rows: Any, ending: str = "\n") -> io.BytesIO:
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    return io.BytesIO("".join(line + ending for line in lines).encode())


def codes(*rows: Any, minimum: int = 1, **options: Any) -> dict[str, int]:
    return dict(validate_file(file_of(*rows), minimum=minimum, **options).counts)


def call(call_id: str = "c1", name: str = "order", arguments: Any = "{}") -> dict[str, Any]:
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def calling(*calls: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls)}


def answer_to(call_id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "shipped"}


TOOLS = [{"type": "function", "function": {"name": "order", "parameters": {"type": "object"}}}]


def test_a_sound_file_has_no_problems() -> None:
    system = {"role": "system", "content": "You help."}
    report = validate_file(file_of(*[chat(system, USER, ANSWER)] * 10))
    assert report.ok
    assert report.problems == ()
    assert (report.kind, report.examples) == ("chat", 10)


@pytest.mark.parametrize(
    ("example", "code"),
    [
        ({"messages": []}, "messages_missing"),
        ({"messages": "hello"}, "messages_missing"),
        (chat("hello", USER, ANSWER), "wrong_type"),
        (chat({"content": "hello"}, ANSWER), "missing_role"),
        (chat({"role": 3, "content": "hello"}, ANSWER), "wrong_type"),
        (chat({"role": "boss", "content": "hello"}, ANSWER), "unknown_role"),
        (chat({"role": ["user"], "content": "hello"}, ANSWER), "wrong_type"),
        (chat({"role": "user"}, ANSWER), "missing_content"),
        (chat({"role": "user", "content": None}, ANSWER), "content_null"),
        (chat(USER, {"role": "assistant", "content": None}), "content_null"),
        (chat({"role": "user", "content": 5}, ANSWER), "wrong_type"),
        (chat({"role": "user", "content": []}, ANSWER), "bad_content_part"),
        (chat({"role": "user", "content": [{"type": "text"}]}, ANSWER), "bad_content_part"),
        (chat({"role": "user", "content": ["hi"]}, ANSWER), "bad_content_part"),
        (chat({"role": "user", "content": [{"type": "image_url"}]}, ANSWER), "image_part"),
        (chat({"role": "user", "content": "  "}, ANSWER), "empty_message"),
        (chat(USER, {"role": "assistant", "content": ""}), "empty_answer"),
        (chat(USER), "missing_assistant"),
        (chat(USER, ANSWER, USER), "last_not_assistant"),
        (chat(USER, {**ANSWER, "weight": 2}), "bad_weight"),
        (chat(USER, {**ANSWER, "weight": True}), "bad_weight"),
        (chat(USER, {**ANSWER, "weight": 0}), "all_weights_zero"),
        (chat({**USER, "weight": 1}, ANSWER), "weight_ignored"),
        (chat({**USER, "name": "two words"}, ANSWER), "bad_name"),
        (chat({**USER, "mood": "angry"}, ANSWER), "unknown_key"),
        (chat(USER, ANSWER, source="desk"), "unknown_key"),
        (chat(USER, {"role": "system", "content": "You help."}, ANSWER), "system_not_first"),
        (chat(ANSWER), "missing_user"),
        (chat(USER, ANSWER, tools={}), "wrong_type"),
        (chat(USER, ANSWER, tools=[{"type": "function"}]), "bad_tool"),
        (chat(USER, ANSWER, functions=[{"name": "order"}]), "deprecated_functions"),
        (chat(USER, ANSWER, parallel_tool_calls="no"), "wrong_type"),
        (chat(USER, calling(), tools=TOOLS), "bad_tool_call"),
        (chat(USER, calling({"id": "c1"}), tools=TOOLS), "bad_tool_call"),
        (chat(USER, calling({**call(), "id": None}), tools=TOOLS), "bad_tool_call"),
        (chat(USER, calling(call(arguments="{oops")), tools=TOOLS), "bad_arguments"),
        (chat(USER, calling(call(arguments={})), tools=TOOLS), "bad_arguments"),
        (chat(USER, calling(call(), call()), tools=TOOLS), "duplicate_call_id"),
        (chat(USER, calling(call())), "unknown_tool"),
        (chat(USER, calling(call()), USER, ANSWER, tools=TOOLS), "call_without_answer"),
        (chat(USER, answer_to("c1"), ANSWER), "tool_without_call"),
        (chat(USER, calling(call()), answer_to("c2"), ANSWER, tools=TOOLS), "tool_without_call"),
        ({"prompt": "Hello ->"}, "missing_completion"),
        ({"completion": " Hi"}, "missing_prompt"),
        ({"prompt": 1, "completion": " Hi"}, "wrong_type"),
        ({"prompt": "Hello ->", "completion": " "}, "empty_answer"),
        ({"input": {}, "preferred_output": [ANSWER]}, "bad_preference"),
        (
            {
                "input": chat(USER),
                "preferred_output": [ANSWER],
                "non_preferred_output": [ANSWER],
            },
            "same_preference",
        ),
        (
            {"input": chat(USER), "preferred_output": [USER], "non_preferred_output": [ANSWER]},
            "bad_preference",
        ),
        ({"question": "x", "answer": "y"}, "unknown_format"),
        ([1, 2], "not_jsonl"),
        ("{", "not_jsonl"),
        ('{"messages": NaN}', "not_jsonl"),
        ('{"prompt": "a", "prompt": "b", "completion": "c"}', "duplicate_key"),
        ("", "blank_line"),
    ],
)
def test_each_defect_is_named(example: Any, code: str) -> None:
    assert code in codes(example)


def test_tool_calls_with_answers_are_sound() -> None:
    example = chat(
        USER,
        calling(call("c1"), call("c2")),
        answer_to("c2"),
        answer_to("c1"),
        ANSWER,
        tools=TOOLS,
        parallel_tool_calls=True,
    )
    assert codes(example) == {}


def test_an_example_may_end_with_a_tool_call() -> None:
    assert codes(chat(USER, calling(call()), tools=TOOLS)) == {}


def test_some_answers_may_have_weight_zero() -> None:
    rows = chat(USER, {**ANSWER, "weight": 0}, USER, {**ANSWER, "weight": 1})
    assert codes(rows) == {"weight_elsewhere": 1}
    assert validate_file(file_of(rows), minimum=1).ok


def test_a_sound_preference_pair() -> None:
    other = {"role": "assistant", "content": "No idea."}
    pair = {
        "input": chat(USER),
        "preferred_output": [ANSWER],
        "non_preferred_output": [other],
    }
    report = validate_file(file_of(*[pair] * 10))
    assert (report.kind, report.problems) == ("dpo", ())


def test_openai_words_for_a_line_that_is_no_json() -> None:
    report = validate_file(io.BytesIO(b'{"prompt": \n'), minimum=0)
    assert report.problems[0].message == (
        "Expected file to have JSONL format, where every line is a JSON dictionary. "
        'Line 1 is not a dictionary (HINT: line starts with: "{"p...").'
    )


def test_openai_words_for_a_missing_role_and_for_too_few_examples() -> None:
    report = validate_file(file_of(chat(USER, ANSWER), chat(USER, {"content": "x"}, ANSWER)))
    few, role = report.errors
    assert few.message == "Training file has 2 example(s), but must have at least 10 examples"
    assert role.line == 2
    assert role.message == "Example 2, message 2 Discriminator 'role' is missing in value"


def test_a_byte_order_mark_and_crlf_are_accepted() -> None:
    text = file_of(*[chat(USER, ANSWER)] * 10, ending="\r\n").getvalue()
    report = validate_file(io.BytesIO(b"\xef\xbb\xbf" + text))
    assert report.ok
    assert dict(report.counts) == {"bom": 1, "crlf": 1}


def test_empty_files_and_other_formats_are_refused() -> None:
    assert validate_file(io.BytesIO(b"")).counts == {"empty_file": 1}
    assert validate_file(io.BytesIO(b"PK\x03\x04rest\n")).counts == {"not_text": 1}
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        wide = json.dumps(chat(USER, ANSWER)).encode(encoding)
        assert validate_file(io.BytesIO(wide)).counts == {"not_utf8": 1}


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        (b'{"a": 1}{"a": 2}', "several objects stand on this line"),
        (b'{"a": 1}\r{"a": 2}', "several objects stand on this line"),
        (b'[{"a": 1}, {"a": 2}]', "write its objects one per line"),
        (b'{"a": ' + b"[" * 100_000, "one JSON object per line; recursion limit exceeded"),
        (b'{"a": ' + b"9" * 5000 + b"}", "one JSON object per line; number out of range"),
        (b'{"a": "\\ud800"}', "one JSON object per line; .*hex escape"),
    ],
)
def test_a_line_that_is_no_object_has_a_remedy_of_its_own(line: bytes, remedy: str) -> None:
    (found,) = validate_file(io.BytesIO(line + b"\n"), minimum=0, deep=True).problems
    assert found.code == "not_jsonl"
    assert re.search(remedy, found.fix)


def test_a_wrong_byte_is_named_with_its_place() -> None:
    bad = b'{"prompt": "caf\xe9", "completion": "x"}\n'
    (found,) = validate_file(io.BytesIO(bad), minimum=0).problems
    assert (found.line, found.code) == (1, "not_utf8")
    assert "0xe9 at position 16" in found.message


def test_mixed_formats_are_refused() -> None:
    rows = [chat(USER, ANSWER), {"prompt": "a", "completion": "b"}]
    assert codes(*rows) == {"mixed_kinds": 1}
    assert codes(*rows, kind="completion") == {"mixed_kinds": 1}


def test_lengths_are_measured_and_limited() -> None:
    report = validate_file(
        file_of(chat(USER, ANSWER), chat(USER, {**ANSWER, "content": "x " * 50})),
        minimum=1,
        max_tokens=40,
        count_tokens=lambda text: len(text.split()),
    )
    assert [(p.line, p.code) for p in report.problems] == [(2, "example_too_long")]
    assert report.tokens is not None
    assert report.tokens.longest == 7 + 50 + 2 * 4 + 3


def test_the_first_answer_of_weight_0_brings_one_warning_for_other_trainers() -> None:
    silent = {**ANSWER, "weight": 0}
    rows = [chat(USER, ANSWER), *[chat(USER, silent, USER, ANSWER)] * 3]
    (found,) = validate_file(file_of(*rows), minimum=1).problems
    assert (found.line, found.code) == (0, "weight_elsewhere")
    assert "Line 2" in found.message


@pytest.mark.parametrize(
    "mark",
    ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<filename>", "[INST]",
     "<</SYS>>", "<start_of_turn>", "<eos>", "<\uff5cend\u2581of\u2581sentence\uff5c>"],
)  # fmt: skip
def test_a_mark_of_a_chat_format_in_a_text_is_a_warning_with_its_line(mark: str) -> None:
    said = f"What does {mark} mean?"
    rows = [
        chat(USER, ANSWER),
        chat({**USER, "content": said}, ANSWER),
        chat({**USER, "content": [{"type": "text", "text": said}]}, ANSWER),
    ]
    report = validate_file(file_of(*rows), minimum=1)
    assert [(p.line, p.code) for p in report.problems] == [
        (2, "special_token"),
        (3, "special_token"),
    ]
    assert mark in report.problems[0].message
    spelled = json.dumps(rows[1]).replace("<", "\\u003c").replace("[INST", "\\u005bINST")
    assert validate_file(io.BytesIO(spelled.encode() + b"\n"), minimum=1).counts == {
        "special_token": 1
    }
    pair = {"prompt": "a", "completion": said}
    assert codes(pair) == {"special_token": 1}


@pytest.mark.parametrize("text", ["Restart it.</s>", "<s>Restart it.", "It ends.</s>\n"])
def test_llamas_first_and_last_mark_is_a_warning(text: str) -> None:
    assert codes(chat(USER, {**ANSWER, "content": text})) == {"special_token": 1}


@pytest.mark.parametrize(
    "text", ["a < b and b > a", "<b>bold</b>", "list[int]", "<user>@<host>", "<s>old</s>", "a|b"]
)
def test_other_brackets_are_no_marks(text: str) -> None:
    assert codes(chat({**USER, "content": text}, ANSWER)) == {}


def test_percentiles_are_nearest_rank() -> None:
    lengths = TokenLengths({10: 9, 100: 1})
    assert [lengths.percentile(p) for p in (50, 90, 91, 100)] == [10, 10, 100, 100]
    assert lengths.total == 190


def test_all_problems_are_counted_but_not_all_kept() -> None:
    report = validate_file(io.BytesIO(b"x\n" * (KEPT + 5)))
    assert report.counts["not_jsonl"] == KEPT + 5
    assert sum(report.counts.values()) - len(report.problems) == 5


def test_every_problem_has_a_remedy_and_the_table_shows_it() -> None:
    report = validate_file(file_of(chat({"role": "boss", "content": "<b>"}, ANSWER), "{"))
    assert all(p.fix and p.severity == CODES[p.code].severity for p in report.problems)
    shown = report._repr_html_()
    assert "unknown_role" in shown
    assert "<b>" not in shown


def test_a_missing_file_is_an_error_with_a_remedy() -> None:
    with pytest.raises(DataError, match=r"nowhere\.jsonl.*check the path"):
        validate_file("nowhere.jsonl")


def test_memory_does_not_grow_with_the_file() -> None:
    class Rows(io.RawIOBase):
        """A file that is made while it is read."""

        row = json.dumps(chat(USER, ANSWER)).encode() + b"\n"

        def __init__(self, rows: int) -> None:
            self.left = rows

        def read(self, size: int = -1, /) -> bytes:
            rows = min(self.left, size // len(self.row))
            self.left -= rows
            return self.row * rows

    def peak(rows: int) -> int:
        tracemalloc.start()
        report = validate_file(Rows(rows))  # type: ignore[arg-type]
        assert report.examples == rows
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(10)
    # Two blocks of the file, then seven.
    assert peak(45_000) < 1.1 * peak(15_000)


MESSAGE_KEYS = "role content name weight tool_calls function_call tool_call_id"
KEYS = (
    "messages tools function id type arguments functions prompt completion input "
    "preferred_output non_preferred_output text refusal parallel_tool_calls " + MESSAGE_KEYS
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "messages",
                    "role",
                    "content",
                    "name",
                    "weight",
                    "tools",
                    "tool_calls",
                    "function",
                    "id",
                    "type",
                    "arguments",
                    "tool_call_id",
                    "function_call",
                    "functions",
                    "prompt",
                    "completion",
                    "input",
                    "preferred_output",
                    "non_preferred_output",
                    "text",
                    "refusal",
                    "parallel_tool_calls",
                ]
            )
            | st.text(max_size=4),
            inner | st.sampled_from(["user", "assistant", "tool", "function", "text", "system"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_give_a_report(data: bytes, deep: bool) -> None:
    report = validate_file(io.BytesIO(data), deep=deep, count_tokens=len, max_tokens=10)
    assert not report.ok
    assert all(p.code in CODES for p in report.problems)


@settings(max_examples=60)
@given(st.lists(json_values, max_size=4), st.booleans())
def test_any_json_gives_a_report(rows: list[Any], deep: bool) -> None:
    data = "\n".join(json.dumps(row) for row in rows).encode()
    report = validate_file(io.BytesIO(data), deep=deep, count_tokens=len, max_tokens=10)
    assert sum(report.counts.values()) >= len(report.problems) > 0
    assert isinstance(str(report) + report._repr_html_(), str)


message_lists = st.lists(
    st.dictionaries(
        st.sampled_from(
            ["role", "content", "name", "weight", "tool_calls", "function_call", "tool_call_id"]
        ),
        json_values | st.sampled_from(["user", "assistant", "tool", "function", "system"]),
    )
    | json_values,
    max_size=5,
)


@settings(max_examples=60)
@given(message_lists, json_values, st.sampled_from(["chat", "dpo"]), st.booleans())
def test_any_messages_give_a_report(messages: Any, more: Any, kind: str, deep: bool) -> None:
    example = chat(*messages, tools=more)
    if kind == "dpo":
        example = {"input": example, "preferred_output": messages, "non_preferred_output": more}
    data = json.dumps(example).encode()
    report = validate_file(io.BytesIO(data), deep=deep, count_tokens=len)
    assert sum(report.counts.values()) >= 1


almost_sound = st.lists(
    st.sampled_from(
        [
            json.dumps(chat(USER, ANSWER)),
            json.dumps(chat({"role": "system", "content": "é"}, USER, ANSWER), ensure_ascii=False),
            json.dumps(chat(USER, ANSWER, USER, ANSWER)),
            json.dumps(chat(USER, {**ANSWER, "content": 'the "role" and "content"'})),
            json.dumps(chat(USER, {**ANSWER, "content": "role"})),
            json.dumps(chat(USER, {**ANSWER, "content": " "})),
            json.dumps(chat(USER, {**ANSWER, "content": "👍"})),
            json.dumps(chat(USER, ANSWER, ANSWER)),
            json.dumps(chat(ANSWER, USER, ANSWER)),
            json.dumps(chat(USER, {"role": "system", "content": "x"}, ANSWER)),
            json.dumps(chat(USER)),
            json.dumps(chat(USER, {**ANSWER, "weight": 1})),
            json.dumps(chat(USER, {**ANSWER, "role": "Assistant"})),
            json.dumps(chat(USER, ANSWER)).replace("role", "\\u0072ole"),
            json.dumps(chat(USER, ANSWER)).replace('"role"', '"role": "user", "role"', 1),
            json.dumps(chat(USER, ANSWER)).replace("How", "a\tb"),
            json.dumps(chat(USER, ANSWER)).replace("How", "\\ud800 b"),
            json.dumps(chat(USER, ANSWER)) * 2,
            json.dumps(chat(USER, ANSWER), indent=0),
            json.dumps(chat(USER, ANSWER)) + "\r",
            '{"messages": NaN}',
            "{}",
            "",
            "\ufeff{}",
        ]
    ),
    min_size=1,
    max_size=4,
)


@given(almost_sound, st.sampled_from(["", "\n"]))
def test_the_fast_look_at_sound_blocks_changes_no_report(rows: list[str], end: str) -> None:
    data = ("\n".join(rows) + end).encode()

    def report() -> Any:
        return validate_file(io.BytesIO(data), count_tokens=len, max_tokens=60)

    with pytest.MonkeyPatch.context() as patch:
        quick = report()
        patch.setattr("helpers.datasets.validation.fast_path.plain_chats", lambda _: None)
        assert report() == quick


def test_sound_blocks_take_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helpers.datasets.validation.schema.CHECKS", {})
    system = {"role": "system", "content": "You help."}
    assert validate_file(file_of(*[chat(system, USER, ANSWER)] * 10)).ok
