"""Ollama's form of a template writes the same chats, or is left out."""

from __future__ import annotations

import pytest

from helpers.base.chat_template import ChatTemplate
from helpers.finetuning.ollama_template import ollama_template
from tests.backend.bases.tiny_families import CHATML, NO_SYSTEM

LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] | trim }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}"
    "<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
DATED = "Today is {{ strftime_now('%d') }}{{ messages | length }}. " + CHATML
FIRST_ONLY = "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nHi<|im_end|>\n{% endif %}"


def test_a_template_that_frames_each_role_alike_is_written_in_go():
    made = ollama_template(ChatTemplate(LLAMA3, {"bos_token": "<s>"}))
    assert made is not None
    assert made.startswith(
        '{{- range .Messages }}{{ if eq .Role "user" }}<|start_header_id|>user<|end_header_id|>'
        "\n\n{{ .Content }}<|eot_id|>"
    )
    assert "<s>" not in made
    assert made.count("{{ end }}") == 2
    assert made.endswith("<|start_header_id|>assistant<|end_header_id|>\n\n")


def test_chatml_keeps_its_system_message():
    made = ollama_template(ChatTemplate(CHATML))
    assert made is not None
    assert '{{ else if eq .Role "system" }}<|im_start|>system\n{{ .Content }}<|im_end|>\n' in made


@pytest.mark.parametrize("source", [NO_SYSTEM, DATED, FIRST_ONLY + CHATML, "{{ messages }}"])
def test_one_that_depends_on_more_than_the_role_is_left_to_ollama(source):
    assert ollama_template(ChatTemplate(source, {"bos_token": "<s>"})) is None


def filled(template: str, tools: list[str], messages: list[tuple[str, str, str]]) -> str:
    """What Go makes of it: `if`, `else if`, `range` and `end`, for one call at most."""
    import re

    head, rest = template.split("{{- range .Messages }}")
    body, opening = rest.rsplit("{{ end }}{{ end }}", 1)
    before, one = head.split("{{- range .Tools }}")
    tool, after = one.split("{{- end }}")
    listed = "".join(tool.replace("{{ .Function }}", name) for name in tools)
    system = before.split("}}", 1)[1].replace("{{ .System }}", "S").replace("{{ if .Tools }}", "")
    made = system + listed + after.replace("{{ end }}", "")
    cases = re.split(r'\{\{-? ?(?:else )?if eq .Role "(\w+)" \}\}', body)
    forms = dict(zip(cases[1::2], cases[2::2], strict=True))
    for role, content, call in messages:
        text = forms[role].split("{{ range .ToolCalls }}")
        if len(text) == 2:
            inner, end = text[1].split("{{ end }}")
            text = [text[0], inner * bool(call) + end]
        name, _, arguments = call.partition(" ")
        written = "".join(text).replace("{{ if .Content }}", "").replace("{{ end }}", "")
        for mark, value in (
            ("{{ .Content }}", content),
            ("{{ .Function.Name }}", name),
            ("{{ .Function.Arguments }}", arguments),
        ):
            written = written.replace(mark, value)
        made += written
    return made + opening


def test_tools_calls_and_results_are_written_as_they_were_trained():
    import json

    from helpers.base.chat_format import chat_text
    from helpers.base.tool_format import as_json
    from helpers.finetuning.ollama_template import tool_template

    function = {"name": "find_order", "parameters": {"type": "object"}}
    call = {"function": {"name": "find_order", "arguments": json.dumps({"n": 1})}}
    chat = [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "On its way."},
    ]
    ours = chat_text(chat, [{"type": "function", "function": function}])
    theirs = filled(
        tool_template(),
        [as_json(function)],
        [
            ("user", "Where?", ""),
            ("assistant", "", 'find_order {"n": 1}'),
            ("tool", "On its way.", ""),
        ],
    )
    assert theirs == ours
