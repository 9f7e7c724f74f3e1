"""The shapes of tools and of the choice among them, in chats and in responses.

For: `schemas`. Not for: what may be done with them, see `helpers.backend.protocol.tools`.

    ChatTool.model_validate({"type": "function", "function": {"name": "find_order"}})
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from helpers.backend.protocol.parameters import unsupported

MOST_TOOLS = 128
NAME = r"^[a-zA-Z0-9_-]{1,64}$"
OWN_FUNCTIONS = "This server calls functions of the client alone"


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class Function(_Part):
    """A function that the client can run."""

    name: Annotated[str, Field(pattern=NAME)]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: StrictBool | None = None


class _Typed(_Part):
    """A tool of OpenAI's many kinds."""

    @model_validator(mode="before")
    @classmethod
    def _is_a_function(cls, given: Any) -> Any:
        kind = given.get("type") if isinstance(given, Mapping) else None
        # Refused before pydantic looks, which would only say that the type is not "function".
        if isinstance(kind, str) and kind != "function":
            raise unsupported("tools", f"{OWN_FUNCTIONS}, not tools of the type {kind!r}")
        return given


class ChatTool(_Typed):
    type: Literal["function"]
    function: Function


class ResponseTool(Function, _Typed):
    type: Literal["function"]


Mode = Literal["none", "auto", "required"]


class FunctionName(_Part):
    """Of the older `function_call`, and within other choices."""

    name: str


class ChatToolName(_Part):
    type: Literal["function"]
    function: FunctionName

    @property
    def name(self) -> str:
        return self.function.name


class ResponseToolName(FunctionName):
    type: Literal["function"]


class _ChatAllowed(_Part):
    mode: Literal["auto", "required"]
    tools: list[ChatToolName]


class ChatAllowedTools(_Part):
    type: Literal["allowed_tools"]
    allowed_tools: _ChatAllowed


class ResponseAllowedTools(_Part):
    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[ResponseToolName]


ChatToolChoice = Mode | ChatToolName | ChatAllowedTools
ResponseToolChoice = Mode | ResponseToolName | ResponseAllowedTools
FunctionCall = Literal["none", "auto"] | FunctionName
ToolChoice = ChatToolChoice | ResponseToolChoice | FunctionCall
ChatTools = Annotated[list[ChatTool], Field(max_length=MOST_TOOLS)]
ResponseTools = Annotated[list[ResponseTool], Field(max_length=MOST_TOOLS)]
Functions = Annotated[list[Function], Field(max_length=MOST_TOOLS)]
