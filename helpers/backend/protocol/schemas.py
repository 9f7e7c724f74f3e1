"""The shapes of OpenAI's API: requests as pydantic models, errors, lists, ids.

For: the routes. A request may hold fields that are not named here; they are ignored,
as a newer client may send them. Not for: deciding anything.

    raise ApiError(404, "The model 'x' does not exist", code="model_not_found", param="model")
"""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    model_validator,
)

from helpers.base.chat_format import role_of, text_of
from helpers.base.settings import BASE_MODEL

ALPHABET = string.ascii_letters + string.digits


class ApiError(Exception):
    """An answer that is an error, in OpenAI's envelope."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        # Half of a surrogate pair, quoted from a request, could not be sent back.
        message = message.encode("utf-8", "backslashreplace").decode()
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body = {"error": {"message": message, "type": type, "param": param, "code": code}}


def not_found(kind: str, name: str, param: str = "id") -> ApiError:
    """404 for a file or job that is not there."""
    return ApiError(404, f"No such {kind} object: {name}", param=param, code="not_found")


def unknown_model(name: str) -> ApiError:
    """404 with the way to find out which models there are."""
    return ApiError(
        404,
        f"The model '{name}' does not exist or you do not have access to it. "
        "List the models with client.models.list().",
        param="model",
        code="model_not_found",
    )


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


class ContentPart(Request):
    type: str
    text: str = ""
    refusal: str = ""


class ChatMessage(Request):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None

    def plain(self) -> dict[str, Any]:
        """Role and text, as the chat template takes them. Raises `ApiError` for a picture."""
        for part in self.content if isinstance(self.content, list) else ():
            if "text" not in part.type and part.type != "refusal":
                raise ApiError(
                    400,
                    f"This model reads text only, not {part.type!r} parts.",
                    param="messages",
                    code="unsupported_value",
                )
        said = self.model_dump(include={"role", "content", "refusal", "tool_calls"})
        return {"role": role_of(said), "content": text_of(said)}


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


Stop = str | list[str] | None
Bias = dict[
    Annotated[str, Field(pattern=r"^[0-9]{1,9}$")],
    Annotated[StrictFloat, Field(ge=-100, le=100)],
]


class SamplingRequest(Request):
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

    def stops(self) -> tuple[str, ...]:
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)


class ChatRequest(SamplingRequest):
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_completion_tokens: Annotated[StrictInt, Field(ge=1)] | None = None
    logprobs: StrictBool | None = None
    top_logprobs: Annotated[StrictInt, Field(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None
    tools: list[dict[str, Any]] | None = None
    store: StrictBool | None = None
    metadata: Metadata | None = None


class CompletionRequest(SamplingRequest):
    prompt: str | list[str] | list[StrictInt] | list[list[StrictInt]] | None = "<|endoftext|>"
    logprobs: Annotated[StrictInt, Field(ge=0, le=5)] | None = None
    echo: StrictBool | None = None
    suffix: str | None = None


class Expiry(Request):
    """When an upload ends; an hour to thirty days after it was made."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3600, le=2_592_000)]


class BatchRequest(Request):
    input_file_id: str
    endpoint: Literal["/v1/chat/completions", "/v1/responses", "/v1/completions", "/v1/embeddings"]
    completion_window: Literal["24h"]
    metadata: Metadata | None = None
    output_expires_after: Expiry | None = None


class EmbeddingRequest(Request):
    model_config = ConfigDict(extra="forbid")

    model: str
    input: str | list[str] | list[StrictInt] | list[list[StrictInt]]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[StrictInt, Field(ge=1)] | None = None
    user: str | None = None


class TextFormat(Request):
    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str | None = None
    strict: StrictBool | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")


class TextOptions(Request):
    format: TextFormat | None = None


class ResponseRequest(Request):
    model: str
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    temperature: Annotated[StrictFloat, Field(ge=0, le=2)] | None = None
    top_p: Annotated[StrictFloat, Field(ge=0, le=1)] | None = None
    max_output_tokens: Annotated[StrictInt, Field(ge=1)] | None = None
    stream: StrictBool | None = None
    store: StrictBool | None = None
    metadata: Metadata | None = None
    previous_response_id: str | None = None
    text: TextOptions | None = None


class HyperparameterRequest(Request):
    n_epochs: Literal["auto"] | Annotated[StrictInt, Field(ge=1, le=50)] = "auto"
    batch_size: Literal["auto"] | Annotated[StrictInt, Field(ge=1, le=256)] = "auto"
    learning_rate_multiplier: Literal["auto"] | Annotated[StrictFloat, Field(gt=0)] = "auto"
    beta: Literal["auto"] | Annotated[StrictFloat, Field(gt=0, le=2)] = "auto"
    prompt_loss_weight: Literal["auto"] | Annotated[StrictFloat, Field(ge=0, le=1)] = "auto"


class MethodOptions(Request):
    hyperparameters: HyperparameterRequest | None = None


class Method(Request):
    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: MethodOptions | None = None
    dpo: MethodOptions | None = None


class JobRequest(Request):
    model: str
    training_file: str
    validation_file: str | None = None
    hyperparameters: HyperparameterRequest | None = None
    method: Method | None = None
    seed: Annotated[StrictInt, Field(ge=0, le=2**31 - 1)] | None = None
    suffix: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    metadata: Metadata | None = None


class FineTuneRequest(Request):
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
