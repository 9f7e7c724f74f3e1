"""Chat templates as they are given out: what we learn of a chat is what their own marks say.

TRL carries the templates of many models, and beside each the same with marks around what an
assistant says; transformers reads these marks.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer

from helpers.base.chat_template import ChatTemplate
from helpers.base.template_tokenizer import TemplateTokenizer
from helpers.base.tokens import local_tokenizer
from tests.base.test_template_tokenizer import CHAT, TOOL, called, learnt

pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(1200)]
CHATML = ("<|im_start|>", "<|im_end|>")
LLAMA3 = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
PHI = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
MARKS = {
    "qwen2_5": CHATML,
    "qwen3": CHATML,
    "qwen3_instruct_2507": CHATML,
    "llama3": LLAMA3,
    "gemma3": ("<bos>", "<start_of_turn>", "<end_of_turn>"),
    "phi3": PHI,
    "phi3_5": PHI,
}
EMPTY = re.compile(r"<think>\s*</think>\s*")
"""Thoughts that the chat does not hold: TRL learns them, we do not."""


@pytest.fixture(scope="module")
def templates(environment_of) -> Path:
    python = environment_of("target_trl")
    [folder] = python.parents[1].glob("lib/python3*/site-packages/trl/chat_templates")
    return folder


def named(name: str) -> dict[str, str]:
    return {"bos_token": MARKS[name][0], "eos_token": MARKS[name][-1]}


@pytest.fixture(params=MARKS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def tokenizer(name: str, templates: Path) -> TemplateTokenizer:
    core = Tokenizer.from_str(local_tokenizer().core.to_str())
    core.add_special_tokens([AddedToken(m, special=True, normalized=False) for m in MARKS[name]])
    source = (templates / f"{name}.jinja").read_text(encoding="utf-8")
    return TemplateTokenizer(core, ChatTemplate(source, named(name)))


def test_the_same_is_learnt_of_a_chat(name, tokenizer, templates):
    from transformers.utils.chat_template_utils import render_jinja_template

    marked = (templates / f"{name}_training.jinja").read_text(encoding="utf-8")
    [text], [places] = render_jinja_template(
        [CHAT], chat_template=marked, return_assistant_tokens_mask=True, **named(name)
    )
    theirs = [EMPTY.sub("", text[first:last]).strip() for first, last in places]
    assert learnt(tokenizer, CHAT) == theirs
    assert len(theirs) == 2


def test_a_call_is_learnt_whole(tokenizer):
    call, said = learnt(tokenizer, called(), (TOOL,))
    assert call.startswith('<tool_call>\n{"name": "find_order"')
    assert said == f"It was sent.{tokenizer.end_mark}"
