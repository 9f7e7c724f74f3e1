"""Which JSON schemas an answer can be forced to keep to, and in which form the engine gets them.

For: requests with a `json_schema`. llama.cpp hands schemas to llguidance, and answers without
any when that refuses one; so the same release of llguidance is asked beforehand, and what it
cannot enforce is an error that names the keyword. Not for: checking an answer afterwards.

    enforceable({"type": "string", "format": "date"}, param="response_format")
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.sampling import COMPACT

MOST = 100_000
"""No answer has more items, properties or characters at least than this."""
# Keywords whose value is one schema, a list of schemas, or schemas by name.
SUBSCHEMAS = (
    "additionalItems", "additionalProperties", "contains", "else", "if", "items", "not",
    "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
MAPS = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")
# A year is never 0000, which no calendar of Python has, and 29 February is in leap years alone.
_YEAR = "(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"
_LEAP = "(?:0[48]|[2468][048]|[13579][26])"
_DAY = (
    f"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]"
    f"|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|(?:[0-9]{{2}}{_LEAP}|{_LEAP}00)-02-29)"
)
# Without leap seconds, whose place in the day no pattern can tell.
_TIME = (
    "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?"
    "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_LABEL = "[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*"
_HEX = "[0-9a-f]"
_VARIANT = f"[89ab]{_HEX}{{3}}-{_HEX}{{12}}$"
FORMATS: dict[str, dict[str, Any]] = {
    "date": {"pattern": f"^{_DAY}$"},
    "time": {"pattern": f"^{_TIME}$"},
    "date-time": {"pattern": f"^{_DAY}T{_TIME}$"},
    # Two hyphens in a row begin an encoded name, which no pattern can check.
    "hostname": {"format": "hostname", "pattern": f"^{_LABEL}(?:\\.{_LABEL})*$", "maxLength": 253},
    **{
        f"uuid{n}": {"pattern": f"^{_HEX}{{8}}-{_HEX}{{4}}-{n}{_HEX}{{3}}-{_VARIANT}"}
        for n in range(1, 9)
    },
}
"""A narrower rule where llguidance's lets through what is none; pydantic's names for UUIDs."""
SHORT = {"d": "0-9", "w": "A-Za-z0-9_", "s": " \\t\\n\\r\\f\\v"}
"""Classes that are ASCII in one dialect and Unicode in another: ASCII fits both."""
ORDERED = [(f"min{what}", f"max{what}") for what in ("imum", "Length", "Items", "Properties")]
OPENING = {"additionalProperties", "patternProperties", "anyOf", "oneOf", "$ref"}
"""Beside these, an object says itself which properties it may have, or others do."""
ANNOTATIONS = {"contentEncoding", "contentMediaType", "contentSchema"}
"""What llguidance passes over, and a reader of the answer would rely on."""
# llguidance refuses in prose; these find the keyword that it is about, the surest first.
_UNIMPLEMENTED = re.compile(r"Unimplemented keys: \[\"([^\"]+)\"")
_NAMED = (
    (re.compile(r"Unknown format: (.*)"), "format"),
    (re.compile(r"Invalid type: (.*)"), "type"),
    (re.compile(r"Pointer '.*' does not exist|Resource '.*'|\$ref|retriev"), "$ref"),
    (re.compile(r"regex parse error|in regex|lookaround|Regex is empty"), "pattern"),
    (re.compile(r"anyOf is empty|All options in anyOf"), "anyOf"),
    (re.compile(r"multiple of"), "multipleOf"),
    (re.compile(r"integer range|number range"), "minimum"),
)
_KEYWORD = re.compile(
    r"(oneOf|min/maxProperties|minProperties|minimum|exclusiveM\w+|minLength|minItems|enum|const"
    r"|multipleOf|properties|required|\$ref|type|maximum|max\w+|schema is false)"
)
WAY_OUT = "Leave it out or say it otherwise, and check the answer yourself"


def refused(param: str, keyword: str, why: str, fix: str = WAY_OUT) -> ApiError:
    """400 for a schema that cannot be enforced."""
    message = f"Invalid schema for {param}: '{keyword}' cannot be enforced: {why.rstrip('.')}. "
    return ApiError(400, f"{message}{fix}.", param=param, code="invalid_json_schema")


def enforceable(schema: Mapping[str, Any], *, param: str) -> dict[str, Any]:
    """The schema as the engine gets it: compact, in words that mean the same everywhere.

    Raises `ApiError` 400 with the keyword that cannot be enforced.
    """
    try:
        # As text: it is a key for the cache, and shows nesting that no parser would get through.
        text = json.dumps(schema)
    except (RecursionError, ValueError):
        raise refused(param, "schema", "it is nested too deeply") from None
    found: dict[str, Any] = json.loads(_prepared(text, param))
    return found


@functools.lru_cache(maxsize=128)
def _prepared(text: str, param: str) -> str:
    try:
        # Closed parts of an "allOf" would forbid each other's properties.
        schema = _rewritten(json.loads(text), param, close='"allOf"' not in text)
        # A client's own options could switch the enforcing off.
        whole = json.dumps(schema | {"x-guidance": COMPACT})
    except RecursionError:
        raise refused(param, "schema", "it is nested too deeply") from None
    _ask_llguidance(whole, param)
    return whole


def _ask_llguidance(text: str, param: str) -> None:
    import llguidance

    grammar = f"%llguidance {{}}\nstart: %json {text}"
    fault = str(llguidance.LLMatcher.validate_grammar(grammar))
    if fault:
        raise _in_words(fault, param)
    # A schema that only leads back to itself is a good grammar of nothing.
    # Byte by byte, so that no model's vocabulary is needed: is there a first byte that fits?
    matcher = llguidance.LLMatcher(_bytes(), grammar)
    if not any(matcher.compute_bitmask()) or matcher.is_error():
        raise refused(param, "$ref", "nothing can fit this schema, or it leads only to itself")


@functools.cache
def _bytes() -> Any:
    import llguidance

    return llguidance.LLTokenizer("byte")


def _in_words(fault: str, param: str) -> ApiError:
    """llguidance's refusal without its copy of the grammar, and the keyword that it is about."""
    # Behind this line it quotes the whole grammar, which is ours and means nothing to a client.
    head = fault.split("\n   1 | ")[0].split("failed to compile JSON schema: ")[-1]
    why = " ".join(head.split())
    if found := _UNIMPLEMENTED.search(why):
        return refused(param, found[1], "the engine does not know it")
    keyword = next((name for pattern, name in _NAMED if pattern.search(why)), None)
    if keyword is None:
        found = _KEYWORD.search(why)
        keyword = found[1] if found else "schema"
    keyword = "minProperties" if keyword == "min/maxProperties" else keyword
    return refused(param, keyword, why)


def _rewritten(schema: Any, param: str, *, close: bool) -> Any:
    """A copy in which each keyword means what it means to every validator."""
    if not isinstance(schema, dict):
        return schema
    _look(schema, param)
    copy = {
        key: _mapped(key, value, lambda inner: _rewritten(inner, param, close=close))
        for key, value in schema.items()
    }
    for most in ("maxItems", "maxProperties"):
        # llguidance holds memory for each, and ends the whole process when there is none.
        if _count(copy.get(most)) > MOST:
            del copy[most]
    if close and _may_be_closed(copy):
        copy["additionalProperties"] = False
    if isinstance(copy.get("pattern"), str):
        copy["pattern"] = _plain_pattern(copy["pattern"], param)
    if rule := FORMATS.get(str(copy.get("format"))):
        del copy["format"]
        # Beside what the schema says already: it may have a pattern of its own.
        copy["allOf"] = [*copy.get("allOf", []), rule]
    return copy


def _may_be_closed(schema: Mapping[str, Any]) -> bool:
    """Whether an object that names its properties can do with those alone.

    With others allowed, a small model makes them up until it is cut off.
    """
    named = schema.get("properties")
    if not isinstance(named, dict) or not named or OPENING & schema.keys():
        return False
    least, required = _count(schema.get("minProperties")), schema.get("required", [])
    return least <= len(named) and isinstance(required, list) and set(required) <= named.keys()


def _mapped(key: str, value: Any, change: Callable[[Any], Any]) -> Any:
    """The value of a keyword, with the schemas in it changed."""
    if key in LISTS and isinstance(value, list):
        return [change(item) for item in value]
    if key in SUBSCHEMAS and isinstance(value, dict):
        return change(value)
    if key in MAPS and isinstance(value, dict):
        return {name: change(inner) for name, inner in value.items()}
    return value


def _look(schema: Mapping[str, Any], param: str) -> None:
    """Raise for what llguidance would take, and not keep to, or choke on."""
    for keyword in ANNOTATIONS & schema.keys():
        raise refused(param, keyword, "it is about what the text holds, not about its form")
    for bound in ("exclusiveMinimum", "exclusiveMaximum"):
        if isinstance(schema.get(bound), bool):
            raise refused(param, bound, "it is a number", "Write the bound itself")
    if isinstance(schema.get("items"), list) and "$schema" not in schema:
        raise refused(param, "items", "a list of schemas is an older form", "Write prefixItems")
    _look_at_bounds(schema, param)
    _look_at_names(schema, param)


def _look_at_bounds(schema: Mapping[str, Any], param: str) -> None:
    for least, most in ORDERED:
        low, high = schema.get(least), schema.get(most)
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            raise refused(param, least, f"{low} is more than {most}, {high}")
        # "minimum" bounds a value and makes no answer long.
        if least != "minimum" and _count(low) > MOST:
            raise refused(param, least, f"no answer is as long as {MOST:,}")


def _look_at_names(schema: Mapping[str, Any], param: str) -> None:
    named, patterns = schema.get("properties"), schema.get("patternProperties")
    if isinstance(named, dict) and isinstance(patterns, dict):
        for pattern in patterns:
            # JSON Schema wants both rules kept to, and llguidance keeps to one.
            if any(_matches(pattern, name) for name in named):
                why = f"{pattern!r} also fits a name under 'properties'"
                raise refused(param, "patternProperties", why)


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:
        # What Python cannot read is taken for a clash: better refused than half enforced.
        return True


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _plain_pattern(pattern: str, param: str) -> str:
    r"""The pattern with ASCII in place of \d, \w and \s. Raises for one without both ends."""
    parts, depth, inside, start, open_ends = [], 0, "", True, False
    # An escaped sign is one sign: "\\)" closes nothing.
    signs = re.findall(r"\\.|.", pattern, re.DOTALL)
    for place, sign in enumerate(signs):
        last = place + 1 == len(signs) or (depth == 0 and signs[place + 1] == "|")
        if not inside and depth == 0:
            # Each branch of the outermost alternative must begin with ^ and end with $: validators
            # search anywhere in a text, the engine writes the whole of it.
            open_ends |= (start and sign != "^") or (last and sign != "$")
            start = sign == "|"
        if sign[0] == "\\" and sign[1:] in SHORT:
            # Within [^...], the wider Unicode class leaves out more, and so fits both too.
            sign = sign if inside == "not" else f"[{SHORT[sign[1:]]}]"
        elif inside:
            inside = "" if sign == "]" else inside
        elif sign == "[":
            negated = signs[place + 1 : place + 2] == ["^"]
            inside = "not" if negated else "one of"
        else:
            depth += (sign == "(") - (sign == ")")
        parts.append(sign)
    if open_ends or not signs:
        raise refused(
            param, "pattern", f"{pattern!r} leaves open what stands around", "Write ^(...)$"
        )
    return "".join(parts)
