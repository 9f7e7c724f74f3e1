"""Which tools a request offers, whether one must be called, and the grammar that sees to it.

For: chats and responses. A model may write text or calls, or calls alone; whatever it begins
as a call is held to the tool's name and schema by llguidance, as a JSON schema is. Not for: how
a call is written, see `helpers.base.tool_format`, nor for reading one, see `tool_answers`.

    use = tool_use(body.tools, body.tool_choice, parallel=True, param="tools")
    use.tools, use.must_call, use.grammar(None)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.json_schema import enforceable
from helpers.backend.protocol.tool_schemas import (
    ChatAllowedTools,
    ChatToolName,
    Function,
    FunctionName,
    Mode,
    ToolChoice,
)
from helpers.base.tool_format import CLOSE, OPEN, SEPARATORS, Tool, offered

MOST_CALLS = 8
"""Calls in one answer: a small model that may go on might never stop."""
SPACED = {
    "whitespace_flexible": False, "item_separator": SEPARATORS[0], "key_separator": SEPARATORS[1],
}  # fmt: skip
"""A call's JSON as the chat template writes it, which is what a model was trained on."""


@dataclass(frozen=True)
class ToolUse:
    """The tools of one request, of which there is at least one, and what may be done with them."""

    functions: tuple[Function, ...]
    param: str
    """The parameter that they came in."""
    allowed: tuple[str, ...]
    """Names of those that may be called."""
    must_call: bool = False
    named: bool = False
    """Whether the request says which one: exactly this call is made, and nothing else."""
    parallel: bool = True
    """Whether an answer may make several calls."""

    @property
    def tools(self) -> tuple[Tool, ...]:
        """As the chat template takes them."""
        return offered({"functions": [function.model_dump() for function in self.functions]})

    @property
    def older_form(self) -> bool:
        """Whether answers have a `function_call` in place of `tool_calls`."""
        return self.param == "functions"

    def grammar(self, answer: Mapping[str, Any] | None) -> str:
        """What an answer may be, for llguidance; `answer` is the schema of one without calls.

        Raises `ApiError` 400 for a schema that must be kept to and cannot be enforced.
        """
        rules, names = ["%llguidance {}"], []
        for place, function in enumerate(self._callable()):
            names.append(f"call{place}")
            head = json.dumps(f'\n{{"name": "{function.name}", "arguments": ')
            end = json.dumps(f"}}\n{CLOSE}")
            rules += [f"call{place}: {head} arguments{place} {end}"]
            rules += [f"arguments{place}: {self._arguments(function)}"]
        rules.append(f"call: {' | '.join(names)}")
        opening = json.dumps(OPEN)
        # The first call stands apart, so one fewer may follow.
        most = MOST_CALLS - 1 if self.parallel and not self.named else 0
        # Further calls stand on lines of their own.
        again = f" ({json.dumps(chr(10) + OPEN)} call){{0,{most}}}" if most else ""
        if self.must_call:
            rules.append(f"start: {opening} call{again}")
        elif answer is not None:
            rules += [f"start: {opening} call{again} | answer", f"answer: %json {_dump(answer)}"]
        else:
            # A text that holds the mark is a call from there on.
            rules += [
                f"start: before call{again} | TEXT",
                f"before[suffix={opening}]: /(?s:.*)/",
                # Text that holds no mark anywhere: the set of all texts without those that do.
                f"TEXT: /(?s:.*)/ & ~/(?s:.*){OPEN}(?s:.*)/",
            ]
        return "\n".join(rules)

    def _callable(self) -> list[Function]:
        return [function for function in self.functions if function.name in self.allowed]

    def _arguments(self, function: Function) -> str:
        schema = function.parameters
        # Without properties, an open object would let a small model make some up.
        if not schema or (schema.get("properties") == {} and not _is_open(schema)):
            return '"{}"'
        param = f"{self.param}.{function.name}"
        try:
            return f"%json {_dump(enforceable({'type': 'object', **schema}, param=param), SPACED)}"
        except ApiError:
            if self.must_call or function.strict:
                raise
            # As OpenAI has it: without strict, a call that the model chooses may depart from it.
            return f"%json {_dump({'type': 'object'}, SPACED)}"


def tool_use(
    functions: Sequence[Function], choice: ToolChoice | None, *, parallel: bool, param: str
) -> ToolUse | None:
    """What a request may do with its tools; None if it has none, or must call none.

    Raises `ApiError` 400 for a choice that its tools do not allow.
    """
    where = "function_call" if param == "functions" else "tool_choice"
    mode, names = _chosen(choice)
    if not functions:
        if mode == "required":
            raise _invalid(where, f"'{where}' is only allowed when '{param}' are specified.")
        return None
    known = [function.name for function in functions]
    for place, function in enumerate(functions):
        _look(function, f"{param}[{place}]")
        if function.name in known[:place]:
            raise _invalid(param, f"Two of the {param} have the name '{function.name}'.")
    for name in names or ():
        if name not in known:
            raise _invalid(where, f"Tool choice '{name}' not found in '{param}' parameter.")
    if names == []:
        raise _invalid(where, "'allowed_tools' names no tool.")
    if mode == "none":
        return None
    # `allowed_tools` with "required" leaves the choice among several, and is no named call.
    named = isinstance(choice, ChatToolName | FunctionName)
    allowed = tuple(known if names is None else names)
    return ToolUse(tuple(functions), param, allowed, mode == "required", named, parallel)


def _chosen(choice: ToolChoice | None) -> tuple[Mode, list[str] | None]:
    """The mode, and the names that it is about; None for all."""
    if choice is None:
        return "auto", None
    if isinstance(choice, str):
        return choice, None
    if isinstance(choice, ChatToolName | FunctionName):
        return "required", [choice.name]
    given = choice.allowed_tools if isinstance(choice, ChatAllowedTools) else choice
    return given.mode, [tool.name for tool in given.tools]


def _look(function: Function, place: str) -> None:
    schema = function.parameters
    if schema and schema.get("type", "object") != "object":
        kind = json.dumps(schema["type"])
        raise _invalid(
            f"{place}.parameters",
            f"Invalid schema for function '{function.name}': "
            f"schema must be a JSON Schema of 'type: \"object\"', got 'type: {kind}'.",
            code="invalid_function_parameters",
        )


def _invalid(param: str, message: str, code: str = "invalid_value") -> ApiError:
    return ApiError(400, message, param=param, code=code)


def _is_open(schema: Mapping[str, Any]) -> bool:
    keys = ("additionalProperties", "patternProperties", "allOf", "anyOf", "oneOf", "$ref")
    return any(schema.get(key) for key in keys)


def _dump(schema: Mapping[str, Any], form: Mapping[str, Any] | None = None) -> str:
    return json.dumps({**schema, "x-guidance": form} if form else schema)
