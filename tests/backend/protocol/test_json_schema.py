"""A schema is kept to or refused by name; texts are drawn from what the engine's rules allow.

llguidance is the library that llama.cpp asks for each next token. Asked byte by byte, it
shows without any model which texts an answer may be.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import random
import uuid
from collections import deque
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import jsonschema
import llguidance
import pydantic
import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.json_schema import MOST, enforceable

BYTES = llguidance.LLTokenizer("byte")
CHECKER = jsonschema.Draft202012Validator.FORMAT_CHECKER


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Point(NamedTuple):
    x: int
    y: int


class Place(TypedDict):
    town: str
    number: int


class Item(BaseModel):
    name: str
    price: float


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


class Closed(BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    name: str


T = TypeVar("T")


class Box(BaseModel, Generic[T]):
    content: T


TYPES: dict[str, Any] = {
    "str": str, "int": int, "float": float, "bool": bool, "none": None, "bytes": bytes,
    "any": Any, "object": object, "list": list, "dict": dict, "tuple": tuple, "set": set[int],
    "frozenset": frozenset[str], "deque": deque[int], "sequence": Sequence[str],
    "list of ints": list[int], "list of lists": list[list[int]], "pair": tuple[int, str],
    "many": tuple[int, ...], "dict of ints": dict[str, int], "dict of lists": dict[str, list[int]],
    "optional": str | None, "union": int | str, "literal": Literal["a", "b"],
    "mixed literal": Literal[1, "x", None], "enum": Color, "int enum": Level,
    "date": dt.date, "datetime": dt.datetime, "time": dt.time,
    "timedelta": dt.timedelta, "uuid": uuid.UUID, "uuid4": pydantic.UUID4,
    "decimal": decimal.Decimal, "path": Path, "ipv4": IPv4Address, "ipv6": IPv6Address,
    "network": IPv4Network, "network6": IPv6Network, "interface": IPv6Interface,
    "any url": pydantic.AnyUrl, "http url": pydantic.HttpUrl, "dsn": pydantic.PostgresDsn,
    "secret": pydantic.SecretStr, "secret bytes": pydantic.SecretBytes, "json": pydantic.Json,
    "base64": pydantic.Base64Str, "file": pydantic.FilePath, "size": pydantic.ByteSize,
    "past": pydantic.PastDate, "aware": pydantic.AwareDatetime, "strict": pydantic.StrictInt,
    "positive": pydantic.PositiveInt, "between": Annotated[int, Field(ge=-5, lt=17)],
    "fraction": Annotated[float, Field(gt=0, le=1)], "fives": Annotated[int, Field(multiple_of=5)],
    "short": Annotated[str, Field(min_length=2, max_length=6)],
    "digits": Annotated[str, Field(pattern=r"^\d{4}$")],
    "open digits": Annotated[str, Field(pattern=r"\d{4}")],
    "ahead": Annotated[str, Field(json_schema_extra={"pattern": "^(?=a).*$"})],
    "few": Annotated[list[int], Field(min_length=1, max_length=3)],
    "model": Item, "models": list[Item], "tree": Tree, "closed": Closed, "generic": Box[int],
    "typed dict": Place, "named tuple": Point, "cat or dog": Cat | Dog,
    "tagged": Annotated[Cat | Dog, Field(discriminator="kind")],
    "default": Annotated[int, Field(default=3)],
    "email": Annotated[str, Field(json_schema_extra={"format": "email"})],
    "host": Annotated[str, Field(json_schema_extra={"format": "hostname"})],
}  # fmt: skip
REFUSED = {
    "bytes": "format", "set": "uniqueItems", "frozenset": "uniqueItems", "path": "format",
    "size": "pattern", "network": "format", "network6": "format", "interface": "format",
    "any url": "format", "http url": "format", "dsn": "format", "secret": "format",
    "secret bytes": "format", "base64": "format", "file": "format",
    "json": "content", "open digits": "pattern", "ahead": "pattern",
}  # fmt: skip


def schema_of(kind: Any) -> dict[str, Any]:
    """What pydantic asks for when a model has a field of this type."""
    made: dict[str, Any] = pydantic.create_model("Answer", field=(kind, ...)).model_json_schema()
    return made


def drawn(schema: Any, chance: random.Random, most: int = 600) -> str | None:
    """A random text that the engine's rules allow; None for one that gets too long."""
    matcher = llguidance.LLMatcher(BYTES, f"%llguidance {{}}\nstart: %json {json.dumps(schema)}")
    text = bytearray()
    for _ in range(most):
        if matcher.is_accepting() and (matcher.is_stopped() or chance.random() < 0.3):
            return text.decode()
        mask = matcher.compute_bitmask()
        allowed = [i for i in range(128) if mask[i // 8] >> i % 8 & 1]
        if not allowed:
            return text.decode() if matcher.is_accepting() else None
        ends = [i for i in allowed if chr(i) in '"]}']
        token = chance.choice(ends if ends and chance.random() < 0.5 else allowed)
        assert matcher.consume_token(token)
        text.append(token)
    return None


def check(schema: dict[str, Any], times: int = 6) -> None:
    sent, chance = enforceable(schema, param="x"), random.Random(7)
    texts = [text for _ in range(times) if (text := drawn(sent, chance)) is not None]
    assert texts, "every drawn text got too long"
    for text in texts:
        jsonschema.Draft202012Validator(schema, format_checker=CHECKER).validate(json.loads(text))


@pytest.mark.parametrize("name", TYPES)
def test_what_pydantic_asks_for_is_kept_to_or_refused_by_name(name):
    schema = schema_of(TYPES[name])
    if name not in REFUSED:
        check(schema)
        return
    with pytest.raises(ApiError, match=f"'{REFUSED[name]}.*' cannot be enforced") as caught:
        enforceable(schema, param="response_format")
    error = caught.value.body["error"]
    assert (error["code"], error["param"]) == ("invalid_json_schema", "response_format")


SIBLINGS = [
    ("uniqueItems", {"type": "array", "uniqueItems": True}),
    ("contains", {"type": "array", "contains": {"const": 1}}),
    ("not", {"not": {"type": "string"}}),
    ("if", {"if": {"type": "string"}, "then": {"maxLength": 3}}),
    ("propertyNames", {"type": "object", "propertyNames": {"maxLength": 3}}),
    ("dependentRequired", {"type": "object", "dependentRequired": {"a": ["b"]}}),
    ("unevaluatedProperties", {"type": "object", "unevaluatedProperties": False}),
    ("pattern", {"type": "string", "pattern": "^(?!a).*$"}),
    ("pattern", {"type": "string", "pattern": r"^(a)\1$"}),
    ("pattern", {"type": "string", "pattern": r"^\bword\b$"}),
    ("pattern", {"type": "string", "pattern": "^[$"}),
    ("pattern", {"type": "string", "pattern": "a|b"}),
    ("pattern", {"type": "string", "pattern": "^a|b$"}),
    ("type", {"type": "text"}),
    ("$ref", {"$ref": "#/$defs/Nothing"}),
    ("$ref", {"$ref": "https://example.com/person.json"}),
    ("$ref", {"$ref": "#"}),
    ("minimum", {"type": "integer", "minimum": 5, "maximum": 3}),
    ("minimum", {"type": "integer", "minimum": "3"}),
    ("minLength", {"type": "string", "minLength": 5, "maxLength": 3}),
    ("minItems", {"type": "array", "minItems": 5, "maxItems": 3}),
    ("minItems", {"type": "array", "minItems": MOST + 1}),
    ("exclusiveMinimum", {"type": "integer", "minimum": 1, "exclusiveMinimum": True}),
    ("items", {"type": "array", "items": [{"type": "integer"}]}),
    ("required", {"type": "object", "required": "name"}),
    ("properties", {"type": "object", "properties": []}),
    ("oneOf", {"oneOf": [{"minimum": 3}, {"maximum": 5}]}),
    ("minProperties", {"type": "object", "properties": {"a": {}}, "minProperties": 2}),
    ("multipleOf", {"type": "number", "multipleOf": 0}),
    ("contentEncoding", {"type": "string", "contentEncoding": "base64"}),
    ("patternProperties", {"properties": {"ab": {}}, "patternProperties": {"^a": {"minItems": 1}}}),
    *(("format", {"type": "string", "format": name}) for name in ("uri", "iri", "regex", "phone")),
]  # fmt: skip


@pytest.mark.parametrize(("keyword", "schema"), SIBLINGS, ids=str)
def test_a_keyword_that_cannot_be_kept_to_is_named_wherever_it_stands(keyword, schema):
    for nested in (
        schema,
        {"type": "object", "properties": {"a": schema}, "required": ["a"]},
        {"type": "array", "items": {"anyOf": [{"type": "null"}, {"allOf": [schema]}]}},
    ):
        if schema == {"$ref": "#"} and nested is not schema:
            continue
        with pytest.raises(ApiError) as caught:
            enforceable(nested, param="text.format")
        assert caught.value.status == 400
        assert f"'{keyword}' cannot be enforced" in str(caught.value)
        assert "%llguidance" not in str(caught.value)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^a$|^(b|c)$"},
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "hostname", "allOf": [{"maxLength": 20}]},
        {"type": "object", "patternProperties": {"^x": {"type": "integer"}}, "maxProperties": 2},
        {"type": "array", "prefixItems": [{"type": "integer"}], "items": False, "maxItems": 10**9},
        {"$defs": {"day": {"format": "date", "type": "string"}}, "$ref": "#/$defs/day"},
        {"type": "object", "x-guidance": {"lenient": True}, "additionalProperties": False},
        {"enum": ["a", 1, None, {"b": [True]}]},
        {"type": "object", "properties": {"format": {"const": "uri"}, "not": {"type": "null"}}},
    ],
    ids=str,
)
def test_what_can_be_kept_to_is_and_without_white_space(schema):
    check(schema)


@pytest.mark.parametrize(
    ("form", "bad"),
    [
        ("date", "2021-02-29"), ("date", "0000-01-01"), ("date", "1900-02-29"),
        ("time", "23:59:60Z"), ("hostname", "xn--x.example"), ("date-time", "2023-02-29T00:00:00Z"),
    ],
)  # fmt: skip
def test_formats_let_nothing_through_that_is_none(form, bad):
    assert not allows({"type": "string", "format": form}, bad)
    assert allows({"type": "string", "format": "date"}, "2024-02-29")


def test_digits_are_those_of_every_dialect():
    schema = {"type": "string", "pattern": r"^\d+$"}
    assert allows(schema, "12")
    assert not allows(schema, "\u0661\u0662")
    address = {"type": "string", "pattern": r"^[\w.-]+@[^\s@]+\.[a-z]{2,3}$"}
    assert allows(address, "a.b_c-d@example.org")
    assert not allows(address, "a b@example.org")


def allows(schema: dict[str, Any], value: Any) -> bool:
    sent = json.dumps(enforceable(schema, param="x"))
    matcher = llguidance.LLMatcher(BYTES, f"%llguidance {{}}\nstart: %json {sent}")
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return matcher.try_consume_tokens(list(text)) == len(text) and matcher.is_accepting()


def test_forced_json_is_compact():
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    sent = json.dumps(enforceable(schema, param="x"))
    matcher = llguidance.LLMatcher(BYTES, f"%llguidance {{}}\nstart: %json {sent}")
    assert matcher.try_consume_tokens(list(b'{ "a"')) == 1


def test_a_schema_that_is_nested_without_end_is_refused():
    schema: dict[str, Any] = {}
    for _ in range(3000):
        schema = {"anyOf": [schema]}
    with pytest.raises(ApiError, match="nested too deeply"):
        enforceable(schema, param="x")


def test_an_object_has_the_properties_that_are_named_and_no_made_up_ones():
    named = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert allows(named, {"a": 1})
    assert not allows(named, {"a": 1, "b": 2})
    assert allows(named | {"additionalProperties": {"type": "integer"}}, {"a": 1, "b": 2})
    assert allows({"type": "object"}, {"b": 2})
    both = {"allOf": [named, {"properties": {"b": {"type": "null"}}, "required": ["b"]}]}
    assert allows(both, {"a": 1, "b": None})
    assert allows(named | {"required": ["b"]}, {"a": 1, "b": 2})
