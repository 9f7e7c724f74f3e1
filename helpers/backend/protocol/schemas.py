"""The shapes of OpenAI's API: requests as pydantic models, lists, ids.

For: the routes. Not for: deciding anything, nor for what this server does not do, see
`helpers.backend.protocol.parameters`.

    ChatRequest.model_validate(body).messages[0].plain()
"""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    model_validator,
)

from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.parameters import Choices, check, unsupported
from helpers.backend.protocol.tool_schemas import (
    ChatToolChoice,
    ChatTools,
    FunctionCall,
    Functions,
    ResponseToolChoice,
    ResponseTools,
)
from helpers.backend.protocol.tools import ToolUse, tool_use
from helpers.base.chat_format import role_of, text_of
from helpers.base.settings import BASE_MODEL

ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str, length: int = 24) -> str:
    """An id such as `file-a81Kd…`; unguessable."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(length))


def page(
    items: Sequence[Mapping[str, Any]], has_more: bool, *, ends: bool = False
) -> dict[str, Any]:
    """A list as OpenAI wraps it; `ends` adds first_id and last_id."""
    body: dict[str, Any] = {"object": "list", "data": list(items), "has_more": has_more}
    if ends:
        body["first_id"] = items[0]["id"] if items else None
        body["last_id"] = items[-1]["id"] if items else None
    return body


class Request(BaseModel):
    """Base of all request bodies. A number or a truth value in quotes is not taken for one."""

    # Unknown names are refused in `Body`, with OpenAI's words; parts may hold more than is read.
    model_config = ConfigDict(extra="ignore", protected_namespaces=(), allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _is_unicode(cls, body: Any) -> Any:
        """JSON can spell half of a surrogate pair, which nothing could send back."""
        try:
            json.dumps(body, ensure_ascii=False, default=str).encode()
        except UnicodeEncodeError:
            raise ValueError("the text has half of a surrogate pair") from None
        return body


class Body(Request):
    """A whole request. What it asks for is read, or it is refused; see `parameters`."""

    limited: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _asks_for_nothing_else(cls, body: Any) -> Any:
        if isinstance(body, Mapping):
            fields = {field.alias or name for name, field in cls.model_fields.items()}
            check(fields, cls.limited, body)
        return body


class ContentPart(Request):
    type: str
    text: str = ""
    refusal: str = ""


class ChatMessage(Request):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    function_call: dict[str, Any] | None = None
    tool_call_id: str | None = None
    audio: dict[str, Any] | None = None
    name: str | None = None

    def plain(self) -> dict[str, Any]:
        """Role, text and calls, as the template takes them. Raises `ApiError` for a picture."""
        if self.audio:
            raise unsupported("messages.audio", "This model reads text only")
        if self.name and self.role != "function":
            why = "The chat template of this model knows roles, and no names"
            raise unsupported("messages.name", why, "Write the name into the content")
        for part in self.content if isinstance(self.content, list) else ():
            if part.type not in ("text", "input_text", "output_text", "refusal"):
                raise ApiError(
                    400,
                    f"This model reads text only, not {part.type!r} parts.",
                    param="messages",
                    code="unsupported_value",
                )
        said = self.model_dump(include={"role", "content", "refusal"})
        more = self.model_dump(include={"tool_calls", "function_call", "tool_call_id"})
        plain = {"role": role_of(said), "content": text_of(said)}
        # Calls stay apart from the text: each template writes them in its own way.
        return plain | {key: value for key, value in more.items() if value}

    def stored(self) -> dict[str, Any]:
        """The message as it is read back: its text, and its parts if it came in parts."""
        parts = self.content if isinstance(self.content, list) else None
        content = self.content if isinstance(self.content, str) else None
        return {
            "role": self.role,
            "content": "".join(part.text for part in parts) if parts else content,
            "name": self.name,
            "content_parts": [{"type": "text", "text": part.text} for part in parts or ()] or None,
        }


class FunctionCallItem(Request):
    """A call of an earlier answer, as an input item of a response."""

    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    id: str | None = None


class FunctionResultItem(Request):
    type: Literal["function_call_output"]
    call_id: str
    output: str | list[ContentPart]
    id: str | None = None


Metadata = Annotated[
    dict[
        Annotated[str, Field(max_length=64)],
        Annotated[str, Field(max_length=512)],
    ],
    Field(max_length=16),
]


class JsonSchema(Request):
    name: str = "answer"
    schema_: dict[str, Any] = Field(default_factory=dict, alias="schema")


class ResponseFormat(Request):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(Request):
    include_usage: StrictBool = False
    include_obfuscation: Literal[False] | None = None
    """Padding against listeners on the way, of whom there are none on this machine."""


StopText = Annotated[str, Field(min_length=1)]
Stop = StopText | Annotated[list[StopText], Field(max_length=4)] | None
# Token ids as keys, which JSON has as text.
Bias = dict[
    Annotated[str, Field(pattern=r"^[0-9]{1,9}$")],
    Annotated[StrictFloat, Field(ge=-100, le=100)],
]


class SamplingRequest(Body):
    """What chat and completions have in common."""

    model: str
    temperature: Annotated[StrictFloat, Field(ge=0, le=2)] | None = None
    top_p: Annotated[StrictFloat, Field(ge=0, le=1)] | None = None
    n: Annotated[StrictInt, Field(ge=1, le=16)] | None = None
    stop: Stop = None
    seed: StrictInt | None = None
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    presence_penalty: Annotated[StrictFloat, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[StrictFloat, Field(ge=-2, le=2)] | None = None
    logit_bias: Bias | None = None
    max_tokens: Annotated[StrictInt, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _options_are_for_streams(self) -> Self:
        if self.stream_options and not self.stream:
            raise ApiError(
                400,
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
                param="stream_options",
                code="invalid_value",
            )
        return self

    def stops(self) -> tuple[str, ...]:
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)


class ChatRequest(SamplingRequest):
    limited = frozenset(
        {
            "audio", "modalities", "moderation", "prediction", "reasoning_effort", "verbosity",
            "web_search_options",
        }
    )  # fmt: skip

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_completion_tokens: Annotated[StrictInt, Field(ge=1)] | None = None
    logprobs: StrictBool | None = None
    top_logprobs: Annotated[StrictInt, Field(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None
    structured_outputs: Choices | None = None
    tools: ChatTools | None = None
    tool_choice: ChatToolChoice | None = None
    parallel_tool_calls: StrictBool | None = None
    functions: Functions | None = None
    function_call: FunctionCall | None = None
    store: StrictBool | None = None
    metadata: Metadata | None = None

    @model_validator(mode="after")
    def _each_has_what_it_needs(self) -> Self:
        for name, needed in (("top_logprobs", "logprobs"), ("metadata", "store")):
            if getattr(self, name) and not getattr(self, needed):
                raise ApiError(
                    400,
                    f"The '{name}' parameter is only allowed when '{needed}' is enabled.",
                    param=name,
                    code="invalid_value",
                )
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise ApiError(
                400,
                "Give 'max_completion_tokens' or the older 'max_tokens', not both.",
                param="max_tokens",
                code="invalid_value",
            )
        return self

    @property
    def tool_use(self) -> ToolUse | None:
        """What may be done with the tools. Raises `ApiError` for what does not fit together."""
        if self.functions or self.function_call:
            if self.tools or self.tool_choice:
                raise unsupported("functions", "The request has tools too", "Write all as tools")
            return tool_use(
                self.functions or (), self.function_call, parallel=False, param="functions"
            )
        tools = [tool.function for tool in self.tools or ()]
        parallel = self.parallel_tool_calls is not False
        return tool_use(tools, self.tool_choice, parallel=parallel, param="tools")


class CompletionRequest(SamplingRequest):
    limited = frozenset({"suffix"})

    prompt: str | list[str] | list[StrictInt] | list[list[StrictInt]] | None = "<|endoftext|>"
    logprobs: Annotated[StrictInt, Field(ge=0, le=5)] | None = None
    echo: StrictBool | None = None
    max_tokens: Annotated[StrictInt, Field(ge=0)] | None = None
    """None: 16. 0: nothing is written, for which `echo` says how likely the prompt is."""
    best_of: Annotated[StrictInt, Field(ge=1, le=20)] | None = None

    @model_validator(mode="after")
    def _best_is_one_of_n(self) -> Self:
        # OpenAI's default is 1, so a request that repeats `n` asks for nothing more.
        if self.best_of not in (None, self.n or 1):
            why = "This server makes as many answers as it gives back"
            raise unsupported("best_of", why, "Ask for n answers and choose by their logprobs")
        return self


class Expiry(Request):
    """When an upload ends; an hour to thirty days after it was made."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3600, le=2_592_000)]


class UploadRequest(Body):
    """What is announced before the parts come."""

    filename: Annotated[str, Field(min_length=1)]
    purpose: str
    bytes: Annotated[StrictInt, Field(ge=0)]
    mime_type: str
    expires_after: Expiry | None = None


class UploadCompletion(Body):
    part_ids: list[str]
    md5: str | None = None


class MetadataRequest(Body):
    metadata: Metadata | None


class BatchRequest(Body):
    input_file_id: str
    endpoint: Literal["/v1/chat/completions", "/v1/responses", "/v1/completions", "/v1/embeddings"]
    completion_window: Literal["24h"]
    metadata: Metadata | None = None
    output_expires_after: Expiry | None = None


class EmbeddingRequest(Body):
    model: str
    input: str | list[str] | list[StrictInt] | list[list[StrictInt]]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[StrictInt, Field(ge=1)] | None = None


class TextFormat(Request):
    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str | None = None
    strict: StrictBool | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")


class TextOptions(Body):
    limited = frozenset({"verbosity"})

    format: TextFormat | None = None


class ResponseStreamOptions(Body):
    include_obfuscation: Literal[False] | None = None


Included = Literal[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]
"""Only the last can occur here; for the others there is never anything to include."""


class ResponseInput(Body):
    """What a response is made from."""

    limited = frozenset({"conversation", "reasoning", "truncation"})

    model: str
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    previous_response_id: str | None = None
    text: TextOptions | None = None
    tools: ResponseTools | None = None
    tool_choice: ResponseToolChoice | None = None
    parallel_tool_calls: StrictBool | None = None

    @property
    def tool_use(self) -> ToolUse | None:
        """What may be done with the tools. Raises `ApiError` for what does not fit together."""
        parallel = self.parallel_tool_calls is not False
        return tool_use(self.tools or (), self.tool_choice, parallel=parallel, param="tools")


class InputTokensRequest(ResponseInput):
    """Asks only how many tokens that would be."""

    limited = ResponseInput.limited | {"personality"}


class ResponseRequest(ResponseInput):
    limited = ResponseInput.limited | {
        "access_programs", "background", "background_options", "context_management", "image",
        "moderation", "prompt",
    }  # fmt: skip

    temperature: Annotated[StrictFloat, Field(ge=0, le=2)] | None = None
    top_p: Annotated[StrictFloat, Field(ge=0, le=1)] | None = None
    max_output_tokens: Annotated[StrictInt, Field(ge=1)] | None = None
    stream: StrictBool | None = None
    store: StrictBool | None = None
    metadata: Metadata | None = None
    include: list[Included] | None = None
    top_logprobs: Annotated[StrictInt, Field(ge=0, le=20)] | None = None
    stream_options: ResponseStreamOptions | None = None

    @model_validator(mode="after")
    def _logprobs_are_included(self) -> Self:
        if self.top_logprobs and not self.with_logprobs:
            raise ApiError(
                400,
                "The 'top_logprobs' parameter needs include=['message.output_text.logprobs'].",
                param="top_logprobs",
                code="invalid_value",
            )
        return self

    @property
    def with_logprobs(self) -> bool:
        """Whether each token comes with its probability."""
        return "message.output_text.logprobs" in (self.include or ())


class HyperparameterRequest(Body):
    n_epochs: Literal["auto"] | Annotated[StrictInt, Field(ge=1, le=50)] = "auto"
    batch_size: Literal["auto"] | Annotated[StrictInt, Field(ge=1, le=256)] = "auto"
    learning_rate_multiplier: Literal["auto"] | Annotated[StrictFloat, Field(gt=0)] = "auto"
    beta: Literal["auto"] | Annotated[StrictFloat, Field(gt=0, le=2)] = "auto"
    prompt_loss_weight: Literal["auto"] | Annotated[StrictFloat, Field(ge=0, le=1)] = "auto"


class MethodOptions(Body):
    hyperparameters: HyperparameterRequest | None = None


class Method(Body):
    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: MethodOptions | None = None
    dpo: MethodOptions | None = None
    reinforcement: dict[str, Any] | None = None

    @property
    def options(self) -> HyperparameterRequest | None:
        """The hyperparameters of the method that is asked for."""
        own = getattr(self, self.type)
        return own.hyperparameters if isinstance(own, MethodOptions) else None


class JobRequest(Body):
    limited = frozenset({"integrations"})

    @model_validator(mode="after")
    def _settings_are_for_the_method(self) -> Self:
        """What only another method reads, or what is said twice, would be passed over."""
        kind = self.method.type if self.method else "supervised"
        for other in {"supervised", "dpo", "reinforcement"} - {kind}:
            if self.method and getattr(self.method, other):
                raise unsupported(f"method.{other}", f"The method is {kind!r}")
        if self.method and self.method.options and self.hyperparameters:
            raise unsupported("hyperparameters", "The method has hyperparameters too")
        # Each method has one setting that the other does not know.
        name = {"supervised": "beta", "dpo": "prompt_loss_weight"}.get(kind, "beta")
        # Only what the client wrote: defaults are not "asked for".
        if name in self.settings.model_fields_set:
            raise unsupported(f"hyperparameters.{name}", f"The method {kind!r} has none")
        return self

    @property
    def settings(self) -> HyperparameterRequest:
        """What is asked for, wherever it stands."""
        own = self.method.options if self.method else None
        return own or self.hyperparameters or HyperparameterRequest()

    model: str
    training_file: str
    validation_file: str | None = None
    hyperparameters: HyperparameterRequest | None = None
    method: Method | None = None
    seed: Annotated[StrictInt, Field(ge=0, le=2**31 - 1)] | None = None
    suffix: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    metadata: Metadata | None = None


class FineTuneRequest(Body):
    """What `/v1/fine-tunes` was told."""

    training_file: str
    validation_file: str | None = None
    model: str = BASE_MODEL
    n_epochs: Annotated[StrictInt, Field(ge=1, le=50)] | None = None
    batch_size: Annotated[StrictInt, Field(ge=1, le=256)] | None = None
    learning_rate_multiplier: Annotated[StrictFloat, Field(gt=0)] | None = None
    prompt_loss_weight: Annotated[StrictFloat, Field(ge=0, le=1)] | None = None
    compute_classification_metrics: StrictBool = False
    suffix: Annotated[str, Field(min_length=1, max_length=64)] | None = None
