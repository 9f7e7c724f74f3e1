"""What would go wrong if a file went to another trainer as it stands.

For: a look before an export; each hazard was seen when the named package read such a file. Not
for: the defects of a file, see `helpers.datasets.validation`.

    found = check_portability("train.jsonl", target="trl")
    print(found)
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from helpers.base import jsonl
from helpers.base.chat_format import text_of
from helpers.base.tokens import local_tokenizer
from helpers.datasets.exporting.export import account, examples_in
from helpers.datasets.exporting.losses import SHOWN, TIMES, Account
from helpers.datasets.exporting.recipes import OURS, unlearnt
from helpers.datasets.exporting.shapes import BLOCK
from helpers.datasets.exporting.targets import Target, target_of

TRL_LENGTH = 1024
"""Tokens that TRL keeps unless `max_length` says otherwise."""


@dataclass(frozen=True)
class Portability:
    """What a target cannot carry, and what it would stumble over."""

    account: Account
    hazards: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the file would be learnt as it says."""
        return not self.hazards and not self.account.stops

    def __str__(self) -> str:
        lines = [*map(str, self.account.losses.values()), *self.hazards]
        return "\n".join(lines) or f"nothing stands against {self.account.target.title}"


def check_portability(
    path: str | Path,
    *,
    target: str,
    count_tokens: Callable[[str], int] | None = None,
) -> Portability:
    """Look through a sound file for a target; `safe` is the form that every reader took.

    `count_tokens` None counts those of the course's model. Raises `DataError` for an unknown
    target.
    """
    path = Path(path)
    to = target_of(target)
    made = account(path, to)
    count = count_tokens or local_tokenizer().count
    found = [*_bytes(path, to.name), *_names(path, to, made.rows_in)]
    if to.name in ("trl", "unsloth", "safe"):
        found += _for_trl(path, count)
    if to.name in ("trl", "unsloth", "axolotl", "oumi", "safe"):
        found += _mixed(path, made)
    if to.trainer or to.name == "safe":
        found += _empty(path)
    found += [TIMES] if made.times else []
    return Portability(made, tuple(found))


def _bytes(path: Path, target: str) -> list[str]:
    with path.open("rb") as stream:
        marked = stream.read(3) == jsonl.BOM
    if marked and target != "azure":
        return ["the file begins with a byte order mark: together refuses line 1"]
    if not marked and target == "azure":
        return ["the file has no byte order mark, which Azure asks for"]
    return []


def _names(path: Path, target: Target, rows: int) -> list[str]:
    found = []
    if path.name == "validation.jsonl" and target.name == "mlx-lm":
        found.append("mlx-lm looks for valid.jsonl and goes on without validation")
    if rest := unlearnt(target, OURS, rows):
        found.append(rest)
    return found


def _empty(path: Path) -> list[str]:
    """Calls beside which nothing is said: OpenAI has them so, and readers fall over them."""
    found = [e.source.line for e in examples_in(path) if any(m.get("content") is None
                                                             for m in e.said)]  # fmt: skip
    if not found:
        return []
    why = "SmolLM2's template fails, torchtune learns the question as their text"
    return [f"calls without a content ({why}): {_lines(found)}"]


def _lines(found: Sequence[int]) -> str:
    return ", ".join(map(str, found[:SHOWN])) + (", …" if len(found) > SHOWN else "")


def _for_trl(path: Path, count: Callable[[str], int]) -> list[str]:
    """Rows that TRL drops, and columns that it reads in another way, without a word."""
    too_long, shadowed = [], False
    for row, example in zip(jsonl.read(path), examples_in(path), strict=True):
        # TRL measures prompts, and a chat has none of its own.
        if example.kind == "chat":
            continue
        # A completion's first message is its prompt.
        asked = example.messages if example.kind == "dpo" else example.messages[:1]
        if sum(count(text_of(message)) for message in asked) >= TRL_LENGTH:
            too_long.append(example.source.line)
        shadowed |= example.kind == "completion" and "text" in row
    found = []
    if too_long:
        said = f"prompts that fill {TRL_LENGTH} tokens are dropped unless max_length is set"
        found.append(f"{said}: {_lines(too_long)}")
    if shadowed:
        found.append("a column named text: TRL then adds no end mark to the completions")
    return found


def _mixed(path: Path, made: Account) -> list[str]:
    """A list of parts of which the first ten megabytes, which decide the types, show nothing."""
    if "parts" not in made.losses:
        return []
    first = made.losses["parts"].lines[0]
    above = itertools.takewhile(lambda line: line.number < first, jsonl.lines(path))
    if sum(len(line.raw) + len(line.ending) for line in above) < BLOCK:
        return []
    why = "datasets then turns the texts near them into JSON"
    return [f"the first list of parts stands below 10 MB of plain texts ({why}): {first}"]
