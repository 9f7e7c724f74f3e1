"""Chats in each family's own form: what is learnt of them, and what no text in them can do.

The forms are written here, short, as the families' own templates write them; `tests/peers` looks
at templates as they are given out.
"""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer

from helpers.base.chat_template import ChatTemplate
from helpers.base.errors import DataError
from helpers.base.template_tokenizer import TemplateTokenizer
from helpers.base.tokens import local_tokenizer
from helpers.base.tool_format import calls_text

END = "{% if add_generation_prompt %}"
INST = (
    "{% if messages[0].role == 'system' %}{% set head = messages[0].content + '\n\n' %}"
    "{% set rest = messages[1:] %}{% else %}{% set head = '' %}{% set rest = messages %}{% endif %}"
    "{% for m in rest %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if m.role == 'user' %}[INST] {{ (head if loop.first else '') + m.content }} [/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{% if m.tool_calls %}{% set f = m.tool_calls[0].function %}"
    '{"name": "{{ f.name }}", "parameters": {{ f.arguments | tojson }}}'
    "{% else %}{{ m.content | trim }}{% endif %}<|eot_id|>{% endfor %}"
    "{% if tools %}{{ tools | tojson }}{% endif %}"
    f"{END}<|start_header_id|>assistant<|end_header_id|>\n\n{{% endif %}}"
)
TOOLS = (
    "{% if tools %}<|im_start|>system\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}"
    "<|im_end|>\n{% endif %}"
)
SAID = (
    "{{ m.content }}{% for c in m.tool_calls or [] %}{% if m.content or not loop.first %}\n"
    '{% endif %}<tool_call>\n{"name": "{{ c.function.name }}", "arguments": '
    "{{ c.function.arguments | tojson }}}\n</tool_call>{% endfor %}"
)
RESULT = (
    "{% if m.role == 'tool' %}<|im_start|>user\n<tool_response>\n{{ m.content }}\n</tool_response>"
    "<|im_end|>\n"
)
CHATML = (
    f"{TOOLS}{{% for m in messages %}}{RESULT}{{% else %}}<|im_start|>{{{{ m.role }}}}\n{SAID}"
    f"<|im_end|>\n{{% endif %}}{{% endfor %}}{END}<|im_start|>assistant\n{{% endif %}}"
)
QWEN3 = (
    f"{TOOLS}{{% for m in messages %}}{RESULT}{{% else %}}<|im_start|>{{{{ m.role }}}}\n"
    "{% if m.role == 'assistant' and loop.last and '</think>' not in m.content %}"
    f"<think>\n\n</think>\n\n{{% endif %}}{SAID}<|im_end|>\n{{% endif %}}{{% endfor %}}"
    f"{END}<|im_start|>assistant\n{{% if enable_thinking is false %}}<think>\n\n</think>\n\n"
    "{% endif %}{% endif %}"
)
"""Asks for an answer behind empty thoughts, and leaves them out of an answer that others follow."""
SMOLLM3 = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and "
    "'</think>' not in m.content %}<think>\n\n</think>\n{% endif %}{{ m.content }}<|im_end|>\n"
    f"{{% endfor %}}{END}<|im_start|>assistant\n{{% endif %}}"
)
"""Puts empty thoughts before an answer, and not at the end of a prompt."""
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}"
    "{% endif %}{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}<start_of_turn>"
    "{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end_of_turn>\n"
    f"{{% endfor %}}{END}<start_of_turn>model\n{{% endif %}}"
)
PHI = (
    "{% for m in messages %}{% if m.role in ('system', 'user', 'assistant') %}<|{{ m.role }}|>\n"
    f"{{{{ m.content }}}}<|end|>\n{{% endif %}}{{% endfor %}}{END}<|assistant|>\n{{% endif %}}"
)
HEADERS = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
FORMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Llama 2": (INST.replace("[INST]", "{{ bos_token }}[INST]"), ("<s>", "</s>")),
    "Llama 3": (LLAMA3, HEADERS),
    "SmolLM2, Qwen2.5": (CHATML, ("<|im_start|>", "<|im_end|>")),
    "Qwen3": (QWEN3, ("<|im_start|>", "<|im_end|>")),
    "SmolLM3": (SMOLLM3, ("<|im_start|>", "<|im_end|>")),
    "Mistral": ("{{ bos_token }}" + INST, ("<s>", "[INST]", "[/INST]", "</s>")),
    "Gemma 3": (GEMMA, ("<bos>", "<start_of_turn>", "<end_of_turn>")),
    "Phi 3, Phi 4": (PHI, ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")),
}  # fmt: skip
"""Template and marks; the first mark begins a text, the last ends an answer."""
OWN_CALLS = ("SmolLM2, Qwen2.5", "Qwen3")
"""Those that write tools in the form in which answers are read."""
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Where is it?"},
    {"role": "assistant", "content": "On its way."},
    {"role": "user", "content": "When?"},
    {"role": "assistant", "content": "Monday at nine."},
]
THOUGHTS = "<think>\nA day.\n</think>\n\n"
TOOL = {
    "type": "function",
    "function": {
        "name": "find_order",
        "parameters": {"type": "object", "properties": {"id": {"type": "string"}}},
    },
}


def called(arguments: str = '{"id": "7"}') -> list[dict[str, Any]]:
    function = {"name": "find_order", "arguments": arguments}
    call = {"id": "call_1", "type": "function", "function": function}
    return [
        {"role": "user", "content": "Where is 7?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sent"},
        {"role": "assistant", "content": "It was sent."},
    ]


@pytest.fixture(params=FORMS)
def tokenizer(request: pytest.FixtureRequest) -> TemplateTokenizer:
    return of_form(request.param)


def of_form(name: str) -> TemplateTokenizer:
    source, marks = FORMS[name]
    core = Tokenizer.from_str(local_tokenizer().core.to_str())
    core.add_special_tokens([AddedToken(m, special=True, normalized=False) for m in marks])
    named = {"bos_token": marks[0], "eos_token": marks[-1]}
    return TemplateTokenizer(core, ChatTemplate(source, named))


def learnt(tokenizer: TemplateTokenizer, messages: Any, tools: Any = ()) -> list[str]:
    """What is learnt of each answer, its end mark included."""
    return [
        tokenizer.core.decode(turn.ids[turn.text_at : turn.end_at + 1], skip_special_tokens=False)
        for turn in tokenizer.training_turns(messages, tools)
        if turn.turn.role == "assistant"
    ]


def before_last(tokenizer: TemplateTokenizer, messages: Any, tools: Any = ()) -> list[int]:
    """All tokens before the last answer's first."""
    turns = tokenizer.training_turns(messages, tools)
    *context, last = turns
    return [token for turn in context for token in turn.ids] + last.ids[: last.text_at]


def test_answers_and_their_end_are_learnt_and_nothing_else(tokenizer) -> None:
    end = tokenizer.end_mark
    found = [said.strip() for said in learnt(tokenizer, CHAT)]
    assert found == [f"On its way.{end}", f"Monday at nine.{end}"]
    every = [token for turn in tokenizer.training_turns(CHAT) for token in turn.ids]
    text = tokenizer.core.decode(every, skip_special_tokens=False)
    assert text == tokenizer.chat(CHAT, add_generation_prompt=False).rstrip("\n")


def test_an_answer_is_learnt_where_it_is_asked_for(tokenizer) -> None:
    asked = tokenizer.encode_chat(CHAT[:2])
    assert before_last(tokenizer, CHAT[:3])[: len(asked)] == asked


@pytest.mark.parametrize("name", ["Qwen3", "SmolLM3", "SmolLM2, Qwen2.5"])
def test_thoughts_are_learnt_where_the_data_has_them_alone(name: str) -> None:
    tokenizer = of_form(name)
    assert not any("think" in said for said in learnt(tokenizer, CHAT))
    aloud = [*CHAT[:-1], {"role": "assistant", "content": f"{THOUGHTS}Monday."}]
    assert learnt(tokenizer, aloud)[-1] == f"{THOUGHTS}Monday.<|im_end|>"


def test_a_call_is_learnt_from_its_first_letter_and_what_follows_a_result(tokenizer) -> None:
    end, calls = tokenizer.end_mark, called()
    written = calls_text([{"name": "find_order", "arguments": {"id": "7"}}])
    assert [s.strip() for s in learnt(tokenizer, calls, (TOOL,))] == [
        f"{written}{end}", f"It was sent.{end}",
    ]  # fmt: skip
    asked = tokenizer.encode_chat(calls[:1], (TOOL,))
    assert before_last(tokenizer, calls[:2], (TOOL,))[: len(asked)] == asked
    shown = tokenizer.chat(calls, (TOOL,))
    assert shown.index('"parameters"') < shown.index("7?") < shown.index("<tool_response>\nsent")


def test_only_a_template_that_writes_calls_as_they_are_read_writes_them_itself() -> None:
    assert [name for name in FORMS if of_form(name).template.writes_calls] == [*OWN_CALLS]


def test_the_older_form_of_a_call_reads_like_todays(tokenizer) -> None:
    calls = called()
    function = calls[1]["tool_calls"][0]["function"]
    older = [
        calls[0],
        {"role": "assistant", "content": None, "function_call": function},
        {"role": "function", "name": "find_order", "content": "sent"},
        calls[3],
    ]
    assert tokenizer.chat(older, (TOOL,)) == tokenizer.chat(calls, (TOOL,))


def test_no_text_and_no_argument_becomes_a_mark(tokenizer) -> None:
    end = tokenizer.end_mark
    plain, spoilt = called(), called(f'{{"id": "7{end}"}}')
    spoilt[0] = {"role": "user", "content": f"Where is {end}?"}
    tool = {**TOOL, "function": {**TOOL["function"], "description": f"Finds {end}"}}
    counts = [
        tokenizer.encode_chat(chat, (one,)).count(tokenizer.end_id)
        for chat, one in ((plain, TOOL), (spoilt, tool))
    ]
    assert counts[0] == counts[1]
    assert f"7{end}" in tokenizer.core.decode(
        tokenizer.encode_chat(spoilt, (tool,)), skip_special_tokens=False
    )


def test_what_a_template_refuses_is_said_with_what_to_do() -> None:
    twice = [CHAT[1], CHAT[1]]
    with pytest.raises(DataError, match="roles must alternate"):
        of_form("Gemma 3").encode_chat(twice)
