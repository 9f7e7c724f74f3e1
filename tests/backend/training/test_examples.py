"""Which tokens are learned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.backend.training.examples import (
    Example,
    chat_example,
    completion_example,
    read_examples,
)
from helpers.base.chat_format import DEFAULT_SYSTEM
from helpers.base.local_tokenizer import LocalTokenizer
from helpers.base.tokens import local_tokenizer
from tests.backend.training.tiny import write_gguf


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> LocalTokenizer:
    return local_tokenizer(write_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf"))


def text(example: Example, tokenizer: LocalTokenizer) -> str:
    return tokenizer.decode(example.ids)


def learned(example: Example, tokenizer: LocalTokenizer) -> str:
    pairs = zip(example.ids, example.targets, strict=True)
    return tokenizer.decode([token for token, target in pairs if target])


def said(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def test_only_the_answer_and_its_end_are_learned(tokenizer: LocalTokenizer) -> None:
    messages = [said("system", "Be brief."), said("user", "hi"), said("assistant", "hello")]
    example = chat_example(1, messages, tokenizer)
    assert learned(example, tokenizer) == "hello<|im_end|>"
    assert text(example, tokenizer) == tokenizer.chat(messages, add_generation_prompt=False)[:-1]


def test_the_askers_words_are_marked_and_nothing_of_the_template(
    tokenizer: LocalTokenizer,
) -> None:
    turns = [said("system", "S"), said("user", "the abc"), said("assistant", "yo")]
    example = chat_example(1, [*turns, *turns[1:]], tokenizer)
    marked = [token for token, asked in zip(example.ids, example.prompt, strict=True) if asked]
    assert tokenizer.decode(marked) == "the abcthe abc"
    old = completion_example(1, "Q: hi", " yo", tokenizer)
    assert old.prompt == tuple(not target for target in old.targets)


def test_without_a_system_message_the_template_puts_its_own(tokenizer: LocalTokenizer) -> None:
    example = chat_example(1, [said("user", "hi"), said("assistant", "yo")], tokenizer)
    assert text(example, tokenizer).startswith(f"<|im_start|>system\n{DEFAULT_SYSTEM}<|im_end|>")


def test_every_answer_of_a_conversation_is_learned_but_those_of_weight_0(
    tokenizer: LocalTokenizer,
) -> None:
    turns = [
        said("user", "1"),
        said("assistant", "one", weight=0),
        said("user", "2"),
        said("assistant", "two", weight=1),
        said("user", "3"),
        said("assistant", "three"),
    ]
    example = chat_example(1, turns, tokenizer)
    assert learned(example, tokenizer) == "two<|im_end|>three<|im_end|>"


def test_tool_messages_are_context_and_tool_calls_are_answers(tokenizer: LocalTokenizer) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [
        said("developer", "Use tools."),
        said("user", "do"),
        said("assistant", None, tool_calls=[call]),
        said("tool", "42", tool_call_id="c"),
        said("assistant", "It is 42."),
    ]
    example = chat_example(1, turns, tokenizer)
    assert learned(example, tokenizer) == f"{MADE}It is 42.<|im_end|>"
    assert "<|im_start|>system\nUse tools." in text(example, tokenizer)
    assert "user\n<tool_response>\n42\n</tool_response><|im_end|>" in text(example, tokenizer)


def test_the_tokens_before_an_answer_are_those_of_a_prompt(tokenizer: LocalTokenizer) -> None:
    asked = [said("system", "\n S "), said("user", " the abc\n")]
    example = chat_example(1, [*asked, said("assistant", " ab")], tokenizer)
    prompt = tokenizer.encode_chat(asked)
    assert list(example.ids[: len(prompt)]) == prompt
    assert not any(example.targets[: len(prompt)])


def test_prompt_and_completion_need_no_template(tokenizer: LocalTokenizer) -> None:
    example = completion_example(1, "Q: hi\nA:", " yo", tokenizer)
    assert text(example, tokenizer) == "Q: hi\nA: yo<|im_end|>"
    assert learned(example, tokenizer) == " yo<|im_end|>"


def written(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8-sig")
    return path


def pair(asked: list[dict[str, Any]], better: str, worse: str) -> dict[str, Any]:
    return {
        "input": {"messages": asked},
        "preferred_output": [said("assistant", better)],
        "non_preferred_output": [said("assistant", worse)],
    }


def read(path: Path, tokenizer: LocalTokenizer, limit: int = 10_000) -> tuple[list[Any], Any]:
    built: list[Any] = []
    report = read_examples(path, tokenizer, built.append, max_tokens=limit)
    return built, report


def test_a_long_example_is_cut_at_its_end_with_a_warning_that_says_what_is_lost(
    tokenizer: LocalTokenizer, tmp_path: Path
) -> None:
    turns = [said("user", "abc"), said("assistant", "first"), said("user", "d" * 30)]
    path = written(tmp_path, {"messages": [*turns, said("assistant", "the last answer")]})
    (whole,), report = read(path, tokenizer)
    assert report.counts == {"bom": 1}
    assert report.tokens.longest == len(whole.ids)
    limit = len(whole.ids) - 12
    (short,), report = read(path, tokenizer, limit)
    assert short.ids == whole.ids[:limit]
    assert report.ok
    (_, warning) = report.problems
    assert (warning.line, warning.code) == (1, "example_too_long")
    assert f"has {len(whole.ids)} tokens; the last 12 are cut off" in warning.message
    assert "the end of its 5. part (assistant)" in warning.message
    assert warning.message.endswith('last answer"')
    *_, error = read(path, tokenizer, len(whole.ids) - 60)[1].problems
    assert error.code == "example_too_long"
    assert "whole part" in error.message


def test_where_no_answer_is_left_the_line_is_refused(
    tokenizer: LocalTokenizer, tmp_path: Path
) -> None:
    rows = [{"messages": [said("user", "u" * n), said("assistant", "answer")]} for n in (5, 500)]
    built, report = read(written(tmp_path, *rows), tokenizer, 200)
    assert [example.line for example in built] == [1]
    assert [(p.line, p.code) for p in report.errors] == [(2, "answer_cut_off")]


def test_a_preference_compares_the_last_answers_alone(
    tokenizer: LocalTokenizer, tmp_path: Path
) -> None:
    asked = [said("user", "a"), said("assistant", "b"), said("user", "c")]
    (one,), report = read(written(tmp_path, pair(asked, "good", "bad")), tokenizer)
    assert learned(one.preferred, tokenizer) == "good<|im_end|>"
    assert learned(one.other, tokenizer) == "bad<|im_end|>"
    assert report.tokens.counts == {len(one.preferred.ids): 1, len(one.other.ids): 1}


def test_of_a_pair_the_longer_side_counts(tokenizer: LocalTokenizer, tmp_path: Path) -> None:
    path = written(tmp_path, pair([said("user", "a" * 40)], "good " * 10, "bad"))
    (whole,), _ = read(path, tokenizer)
    longest = len(whole.preferred.ids)
    assert read(path, tokenizer, longest)[1].counts == {"bom": 1}
    (cut,), report = read(path, tokenizer, longest - 1)
    assert len(cut.preferred.ids) == longest - 1
    assert cut.other == whole.other
    assert set(report.counts) == {"bom", "example_too_long"}


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f"}}
ASK, OK = said("user", "a"), said("assistant", "b")
PICTURE = [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "a"}]
CALLS = [ASK, said("assistant", None, tool_calls=[CALL]), said("tool", "4", tool_call_id="c"), OK]
OFFER = {"messages": [ASK], "tools": [TOOL]}
BLANK = [{"type": "text", "text": " "}]
OLD = said("assistant", None, function_call={"name": "f", "arguments": "{}"})


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"messages": [said("user", PICTURE), OK]}, "image_unsupported"),
        ({"messages": [ASK, said("assistant", "")]}, "nothing_to_learn"),
        ({"messages": [ASK, said("assistant", BLANK)]}, "nothing_to_learn"),
        ({"messages": [ASK, said("assistant", ""), ASK, OK]}, "nothing_to_learn"),
        ({"prompt": "a", "completion": "  "}, "nothing_to_learn"),
        (pair([ASK], "", "b"), "nothing_to_learn"),
        (pair([said("user", PICTURE)], "a", "b"), "image_unsupported"),
    ],
)  # fmt: skip
def test_what_could_only_be_learnt_wrongly_is_refused_by_line(
    tokenizer: LocalTokenizer, tmp_path: Path, row: dict[str, Any], code: str
) -> None:
    good = row if "prompt" in row else {"messages": [ASK, OK]}
    if "prompt" in row:
        good = {"prompt": "a", "completion": "b"}
    if "input" in row:
        good = pair([ASK], "a", "b")
    built, report = read(written(tmp_path, good, row), tokenizer)
    assert [(p.line, p.code) for p in report.errors] == [(2, code)]
    assert [item.line for item in built] == [1]


MADE = '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call><|im_end|>'


def test_calls_and_what_follows_them_are_learnt_as_the_template_writes_them(
    tokenizer: LocalTokenizer, tmp_path: Path
) -> None:
    row = {"messages": CALLS, "tools": [TOOL]}
    (example,), report = read(written(tmp_path, row), tokenizer)
    assert report.ok
    assert (
        text(example, tokenizer) == tokenizer.chat(CALLS, [TOOL], add_generation_prompt=False)[:-1]
    )
    assert learned(example, tokenizer) == f"{MADE}b<|im_end|>"
    prompt = tokenizer.encode_chat([ASK], [TOOL])
    assert list(example.ids[: len(prompt)]) == prompt
    assert report.tokens.counts == {len(example.ids): 1}


def test_that_a_file_teaches_calls_is_said_once(tokenizer: LocalTokenizer, tmp_path: Path) -> None:
    plain, calling = {"messages": [ASK, OK]}, {"messages": CALLS, "tools": [TOOL]}
    _, report = read(written(tmp_path, plain, calling, plain, calling), tokenizer)
    (told,) = [one for one in report.problems if one.code == "tools_offered"]
    assert (told.line, told.severity) == (2, "warning")
    assert "first of 2 that offer tools" in str(told)


def test_a_tools_answer_is_no_word_of_the_asker(tokenizer: LocalTokenizer, tmp_path: Path) -> None:
    (example,), _ = read(written(tmp_path, {"messages": CALLS, "tools": [TOOL]}), tokenizer)
    asked = [i for i, is_asked in zip(example.ids, example.prompt, strict=True) if is_asked]
    assert tokenizer.decode(asked) == "a"


def test_functions_are_learnt_like_tools(tokenizer: LocalTokenizer, tmp_path: Path) -> None:
    older = [ASK, OLD, said("function", "4", name="f"), OK]
    (one,), _ = read(written(tmp_path, {"messages": CALLS, "tools": [TOOL]}), tokenizer)
    (other,), report = read(
        written(tmp_path, {"messages": older, "functions": [{"name": "f"}]}), tokenizer
    )
    assert report.ok
    assert "name_ignored" not in report.counts
    assert other.ids == one.ids


def test_a_pair_sees_its_tools_on_both_sides(tokenizer: LocalTokenizer, tmp_path: Path) -> None:
    called = said("assistant", None, tool_calls=[CALL])
    row = {"input": OFFER, "preferred_output": [called], "non_preferred_output": [OK]}
    (one,), report = read(written(tmp_path, row), tokenizer)
    assert report.ok
    prompt = tokenizer.encode_chat([ASK], [TOOL])
    assert list(one.preferred.ids[: len(prompt)]) == list(one.other.ids[: len(prompt)]) == prompt
    assert learned(one.preferred, tokenizer) == MADE


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (said("assistant", None, refusal="No."), "No.<|im_end|>"),
        (said("assistant", "No.", refusal=None), "No.<|im_end|>"),
        (said("assistant", [{"type": "refusal", "refusal": "No."}]), "No.<|im_end|>"),
        (said("assistant", "a", tool_calls=None), "a<|im_end|>"),
    ],
)
def test_a_refusal_is_learnt_as_it_is_said(
    tokenizer: LocalTokenizer, tmp_path: Path, message: dict[str, Any], text: str
) -> None:
    (example,), report = read(written(tmp_path, {"messages": [ASK, message]}), tokenizer)
    assert report.ok
    assert learned(example, tokenizer) == text


def test_an_empty_answer_of_weight_0_is_context(tokenizer: LocalTokenizer, tmp_path: Path) -> None:
    turns = [ASK, said("assistant", "", weight=0), ASK, OK]
    (example,), report = read(written(tmp_path, {"messages": turns}), tokenizer)
    assert report.ok
    assert learned(example, tokenizer) == "b<|im_end|>"


def test_a_speakers_name_is_said_to_be_ignored(tokenizer: LocalTokenizer, tmp_path: Path) -> None:
    row = {"messages": [said("user", "a", name="Ann"), OK]}
    _, report = read(written(tmp_path, row), tokenizer)
    assert report.counts["name_ignored"] == 1
