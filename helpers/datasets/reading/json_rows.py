"""Read rows out of JSON and JSONL, as far as they are there.

For: a list of objects, an object that holds one list, objects one after another, one object
a line; nested objects become columns such as "customer.text". Not for: training files, see
`validation`.

    rows_of_json("a.json", '{"tickets": [{"question": "Where?"}]}')     # [(1, {"question": …})]
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from helpers.base.errors import DataError
from helpers.datasets.reading.exports import threaded
from helpers.datasets.reading.message_trees import linear
from helpers.datasets.reading.source import Reject, Row, is_unicode

DEEPEST = 100
"""Levels of lists and objects inside each other; real data has fewer than ten."""
LONGEST_NUMBER = 4000
# White space between two values; some programs write commas there too, or a byte order mark.
_BETWEEN = re.compile(r"[\s,\ufeff]*")
_ENVELOPES = ("_embedded", "data", "response", "result", "chats", "payload")
"""Keys that some programs put around their list of rows."""
_EXAMPLE_KEYS = ("messages", "prompt", "completion")

Numbered = list[tuple[int, Row]]


def rows_of_json(name: str, text: str) -> tuple[Numbered, list[Reject]]:
    """Numbered rows of a JSON text, and its elements that are no objects.

    Raises `DataError` where the text is no JSON or holds no rows.
    """
    try:
        values = list(_values(text))
    except RecursionError:
        raise _too_deep(name) from None
    except ValueError as error:
        fix = "export it again, or cut it off where it breaks"
        raise DataError(f"{name} is not JSON: {error}", fix=fix) from error
    if any(_is_deep(value) for value in values):
        raise _too_deep(name)
    rows: Numbered = []
    rejects = []
    for number, value in enumerate(threaded(_listed(name, values)), 1):
        if reason := _fault(value):
            rejects.append(Reject(number, reason, {"row": json.dumps(value)}))
        else:
            rows.append((number, flat(linear(value))))
    return rows, rejects


def rows_of_lines(text: str) -> tuple[Numbered, list[Reject]]:
    """Rows by the number of their line; a line that is no object is kept as it stands."""
    rows: Numbered = []
    rejects = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, object_pairs_hook=_object, parse_int=_integer)
            reason = "nested too deeply" if _is_deep(value) else _fault(value)
        except RecursionError:
            reason = "nested too deeply"
        except ValueError as error:
            reason = f"not a JSON object: {error}"
        if reason:
            rejects.append(Reject(number, reason, {"row": line.rstrip("\r")}))
        else:
            rows.append((number, flat(linear(value))))
    return rows, rejects


def _fault(value: Any) -> str:
    """Why a JSON value cannot be a row, or ""."""
    if not isinstance(value, dict):
        return "not a JSON object"
    row = flat(value)
    texts = [*row, *(held for held in row.values() if isinstance(held, str))]
    return "" if all(map(is_unicode, texts)) else "holds half a letter (a lone surrogate)"


def _too_deep(name: str) -> DataError:
    return DataError(
        f"{name} is nested more than {DEEPEST} levels deep",
        fix="give each row one flat object of texts",
    )


def _values(text: str) -> Iterator[Any]:
    """Each JSON value of a text that holds several, one after another."""
    decoder = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer)
    place = _gap(text, 0)
    if place == len(text):
        raise ValueError("there is nothing in it")
    while place < len(text):
        value, end = decoder.raw_decode(text, place)
        yield value
        place = _gap(text, end)


def _gap(text: str, place: int) -> int:
    """Where the white space after a place ends; some programs write commas there too."""
    found = _BETWEEN.match(text, place)
    return found.end() if found else place


def _integer(digits: str) -> int | str:
    """A number; with more digits than Python takes it stays a text."""
    return int(digits) if len(digits) < LONGEST_NUMBER else digits


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of a key that comes again each value is kept, under a numbered name."""
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    made = {}
    for place, (key, value) in enumerate(pairs, 1):
        made[f"{key} ({place})" if key in made else key] = value
    return made


def _listed(name: str, values: list[Any]) -> list[Any]:
    """The list of rows that the values are, hold or make up."""
    if len(values) > 1:
        return [row for value in values for row in (value if isinstance(value, list) else [value])]
    (value,) = values
    if isinstance(value, dict):
        lists = {key: inner for key, inner in value.items() if isinstance(inner, list)}
        if not lists and (held := _wrapped(value)) is not None:
            return held
        # A training file of one example has `messages` and perhaps `tools`: it is a row, no
        # envelope.
        if not lists or any(key in value for key in _EXAMPLE_KEYS):
            return [value]
        if len(lists) > 1:
            names = ", ".join(map(repr, lists))
            raise DataError(f"{name} holds several lists: {names}", fix="save one by itself")
        (value,) = lists.values()
    if not isinstance(value, list):
        raise DataError(f"{name} holds no list of rows", fix="write [{...}, {...}]")
    return value


def _wrapped(value: Row) -> list[Any] | None:
    """The one list inside an envelope, such as `_embedded` of Help Scout."""
    for key in _ENVELOPES:
        inner = value.get(key)
        lists = (
            [v for v in inner.values() if isinstance(v, list)] if isinstance(inner, dict) else []
        )
        if len(lists) == 1:
            return list(lists[0])
    return None


def _is_deep(value: Any) -> bool:
    """Whether lists and objects stand inside each other beyond the limit."""
    # Level by level and not by recursion, which a deep file would bring down.
    level = [value]
    for _ in range(DEEPEST + 1):
        held = [v for v in level if isinstance(v, dict | list)]
        if not held:
            return False
        level = [inner for v in held for inner in (v.values() if isinstance(v, dict) else v)]
    return True


def flat(row: Row) -> Row:
    """Objects inside a row become columns with dotted names; lists stay."""
    made: Row = {}
    for key, value in row.items():
        inner = flat(value) if isinstance(value, dict) and value else None
        if inner is None:
            made[key] = value
            continue
        named = {f"{key}.{name}": held for name, held in inner.items()}
        # {"a": {"b": 1}, "a.b": 2} would lose a value: then the object stays as it is.
        taken = named.keys() & (row.keys() | made.keys())
        made.update({key: value} if taken else named)
    return made
