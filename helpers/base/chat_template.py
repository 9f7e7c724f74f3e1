"""A model's own chat template: Jinja, rendered in the sandbox in which transformers renders it.

For: bases that bring their template with them. Not for: tokens, see
`helpers.base.template_tokenizer`; nor the course's own model, whose form is `chat_format`.

    template = ChatTemplate(source, {"bos_token": "<s>"})
    template.render([{"role": "user", "content": "Hi"}])      # "<s><|im_start|>user\\nHi…"
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from helpers.base.chat_format import SYSTEM_ROLES, Message, is_result, role_of, text_of, turns
from helpers.base.errors import DataError
from helpers.base.tool_format import calls_text, result_text

PROBE = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
"""A chat that every template can write."""
SIGN = "\u2042"
"""A sign that no template writes itself."""
CALL: Message = {"name": "probe", "arguments": {"a": 1}}
CALLED: list[Message] = [
    PROBE[0],
    {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": CALL}]},
    {"role": "tool", "content": "c"},
]
OFFERED = [{"type": "function", "function": {"name": "probe", "description": SIGN}}]
"""A chat with a tool that is shown, called, and answers."""
THINK, THOUGHT = "<think>", "</think>"
"""What models that reason aloud put around it."""


@dataclass(frozen=True)
class ChatTemplate:
    """The template's text, and the marks that it may name, such as `bos_token`."""

    source: str
    marks: Mapping[str, str] = field(default_factory=dict)

    @functools.cached_property
    def _compiled(self) -> Any:
        return _compile(self.source)

    @functools.cached_property
    def takes_system(self) -> bool:
        """Whether it has a place for a system message."""
        try:
            return SIGN in self._render([{"role": "system", "content": SIGN}, *PROBE])
        except DataError:
            return False

    @functools.cached_property
    def writes_calls(self) -> bool:
        """Whether it shows tools, and writes calls and results as `tool_format` reads them.

        Qwen's templates do. Llama 3.1's writes calls in another form, Gemma's in none.
        """
        try:
            written = self._render(CALLED, tools=OFFERED, add_generation_prompt=True)
        except DataError:
            return False
        return all(part in written for part in (SIGN, calls_text([CALL]), result_text("c")))

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] = (),
        *,
        add_generation_prompt: bool = True,
        think: bool = False,
    ) -> str:
        """The whole text. `think`: let a model that can reason aloud first.

        Where the template has no such form for tools, they stand at the end of the system message,
        calls and results in plain messages. A system message that the template cannot write stands
        before the first question.
        Raises `DataError` with the template's own words for a chat that it refuses.
        """
        if (tools or any(map(_has_tools, messages))) and not self.writes_calls:
            messages, tools = _in_words(messages, tools), ()
        given = [_plain(message) for message in messages]
        if given and given[0]["role"] == "system" and not self.takes_system:
            given = _put_before(given)
        return self._render(
            given,
            tools=list(tools) or None,
            add_generation_prompt=add_generation_prompt,
            enable_thinking=think,
        )

    def _render(self, messages: Sequence[Message], **options: Any) -> str:
        import jinja2

        try:
            return str(self._compiled.render(messages=messages, **self.marks, **options))
        except jinja2.TemplateError as error:
            raise DataError(
                f"the model's chat template refuses this chat: {error}",
                fix="let user and assistant take turns, beginning with the user",
            ) from error
        except (TypeError, ValueError, LookupError) as error:
            raise DataError(
                f"the model's chat template cannot write this chat: {error}",
                fix="write it in plain messages",
            ) from error


def _has_tools(message: Message) -> bool:
    return bool(message.get("tool_calls") or message.get("function_call")) or is_result(message)


def _in_words(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> list[Message]:
    """Tools, calls and results as what somebody says."""
    # With a system message, as `turns` would put that of the course's own model in front.
    first, *rest = turns(_with_system(messages), tools)
    said: list[Message] = [{"role": turn.role, "content": turn.text} for turn in rest]
    head = first.text.lstrip()
    return [{"role": "system", "content": head}, *said] if head else said


def _with_system(messages: Sequence[Message]) -> list[Message]:
    there = bool(messages) and role_of(messages[0]) == "system"
    return [*messages] if there else [{"role": "system", "content": ""}, *messages]


def _put_before(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The system message at the head of the first question."""
    first, *rest = messages
    if not rest or rest[0]["role"] != "user":
        return [{"role": "user", "content": first["content"]}, *rest]
    joined = f"{first['content']}\n\n{rest[0]['content']}".strip()
    return [{**rest[0], "content": joined}, *rest[1:]]


def _plain(message: Message) -> dict[str, Any]:
    """A message as templates expect it: text as one string, arguments of calls as objects."""
    role = message.get("role", "")
    # `weight` is OpenAI's word for training files; a template that lists all fields would write it.
    plain = {key: value for key, value in message.items() if key != "weight"}
    calls = message.get("tool_calls")
    # The older form of the same.
    if function := plain.pop("function_call", None):
        calls = [{"type": "function", "function": function}]
    content = text_of({**message, "tool_calls": None, "function_call": None})
    named = "tool" if is_result(message) else role
    plain |= {"role": "system" if role in SYSTEM_ROLES else named, "content": content}
    if calls:
        plain["tool_calls"] = [_call(call) for call in calls]
    return plain


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = dict(call.get("function", {}))
    # Arguments come as text, and templates write them as JSON: a text would be quoted once more.
    with contextlib.suppress(KeyError, TypeError, ValueError):
        function["arguments"] = json.loads(function["arguments"])
    return {**call, "function": function}


def _now(form: str) -> str:
    # The learner's own day, as transformers gives it.
    return datetime.now().astimezone().strftime(form)


@functools.cache
def _compile(source: str) -> Any:
    """As `transformers.utils.chat_template_utils` does it, without loading transformers."""
    import jinja2
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """The tag with which some templates mark answers; here it only encloses them."""

        tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(["name:endgeneration"], drop_needle=True)

    def refuse(message: str) -> None:
        raise jinja2.TemplateError(message)

    def to_json(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, **options)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )

    class Names(jinja2.utils.Namespace):
        """What a template keeps for itself: nothing of Python's own."""

        def __init__(*given: Any, **options: Any) -> None:
            # Names with an underscore lead to Python's own attributes, and from there out of the
            # sandbox.
            for name in dict(*given[1:], **options):
                Names.check(name)
            jinja2.utils.Namespace.__init__(*given, **options)

        def __setitem__(self, name: str, value: Any) -> None:
            Names.check(name)
            super().__setitem__(name, value)

        @staticmethod
        def check(name: str) -> None:
            if name.startswith("_"):
                raise jinja2.exceptions.SecurityError(f"{name!r} cannot be a name in a template")

    environment.filters["tojson"] = to_json
    environment.globals["namespace"] = Names
    environment.globals["dict"] = lambda *given, **options: dict(*given, **options)
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = _now
    try:
        return environment.from_string(source)
    except jinja2.TemplateError as error:
        raise DataError(f"the chat template is no Jinja: {error}", fix="get it again") from error
