"""Turn the lines of a training file into token ids with a mask of what is learned.

For: the trainer. Only what the assistant says, and the token that ends its message,
is a target; everything else is context. Not for: judging a file, see `helpers.datasets`.

    examples = read_examples(path, tokenizer, max_tokens=2048)
    examples[0].ids, examples[0].targets
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.base.chat_format import START, turns
from helpers.base.tokens import LocalTokenizer


@dataclass(frozen=True)
class Example:
    """One sequence. `targets[i]` says that token i is to be predicted by the ones before it."""

    line: int
    ids: tuple[int, ...]
    targets: tuple[bool, ...]
    prompt: tuple[bool, ...] = ()
    """`prompt[i]`: token i is one of the asker's words, which may be learnt with less weight."""

    @property
    def n_targets(self) -> int:
        return sum(self.targets)

    @property
    def n_prompt(self) -> int:
        return sum(self.prompt)

    def learnt(self, *, prompts: bool) -> tuple[bool, ...]:
        """Which tokens are predicted: the targets, and with `prompts` the asker's words too."""
        if not (prompts and self.prompt):
            return self.targets
        return tuple(a or b for a, b in zip(self.targets, self.prompt, strict=True))


@dataclass(frozen=True)
class Pair:
    """A preference: the same prompt with a better and a worse answer."""

    line: int
    preferred: Example
    other: Example


def chat_example(
    line: int, messages: Sequence[Mapping[str, Any]], tokenizer: LocalTokenizer
) -> Example:
    """An example from chat messages; a `weight` of 0 keeps an answer out of the targets."""
    start, end, encode = tokenizer.special_tokens[START], tokenizer.end_id, tokenizer.encode_text
    ids: list[int] = []
    targets: list[bool] = []
    prompt: list[bool] = []

    def add(more: list[int], *, learned: bool = False, asked: bool = False) -> None:
        ids.extend(more)
        targets.extend([learned] * len(more))
        prompt.extend([asked] * len(more))

    framed = turns(messages)
    for place, turn in enumerate(framed):
        head = encode(turn.head)
        if turn.role == "assistant":
            # Cut where generation begins, so that the tokens are those of a real answer.
            add([start, *head])
            add([*encode(turn.text), end], learned=turn.message.get("weight", 1) != 0)
        else:
            both = encode(turn.head + turn.text)
            add([start, *both[: len(head)]])
            add(both[len(head) :], asked=turn.role == "user")
            add([end])
        # The line break after the last message teaches nothing and costs a token.
        if place < len(framed) - 1:
            add(encode(turn.tail))
    return Example(line, tuple(ids), tuple(targets), tuple(prompt))


def completion_example(
    line: int, prompt: str, completion: str, tokenizer: LocalTokenizer
) -> Example:
    """An example of the older prompt/completion form: plain text, no chat template."""
    head, body = (
        tokenizer.encode_text(prompt),
        [*tokenizer.encode_text(completion), tokenizer.end_id],
    )
    asked = (True,) * len(head) + (False,) * len(body)
    return Example(line, tuple(head + body), tuple(not word for word in asked), asked)


def cut(example: Example, max_tokens: int) -> Example:
    """Drop what is over the limit from the end, as OpenAI does."""
    n = max_tokens
    return Example(example.line, example.ids[:n], example.targets[:n], example.prompt[:n])


def rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of each line that is not blank."""
    with path.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield number, json.loads(line)


def read_examples(path: Path, tokenizer: LocalTokenizer, *, max_tokens: int) -> list[Example]:
    """All examples of a chat or prompt/completion file that has been validated."""
    made = (
        chat_example(number, row["messages"], tokenizer)
        if "messages" in row
        else completion_example(number, row["prompt"], row["completion"], tokenizer)
        for number, row in rows(path)
    )
    return with_targets(cut(example, max_tokens) for example in made)


def with_targets(examples: Iterable[Example]) -> list[Example]:
    """Leave out examples that teach nothing: all weights 0, or cut before the answer."""
    return [example for example in examples if example.n_targets]


def read_pairs(path: Path, tokenizer: LocalTokenizer, *, max_tokens: int) -> list[Pair]:
    """All preference pairs of a DPO file that has been validated."""

    def one(number: int, row: Mapping[str, Any], key: str) -> Example:
        messages = [*row["input"]["messages"], *row[key]]
        # Earlier assistant turns are context here: only the compared answer counts.
        marked = [{**m, "weight": 0} for m in messages[:-1]] + [messages[-1]]
        return cut(chat_example(number, marked, tokenizer), max_tokens)

    return [
        Pair(number, one(number, row, "preferred_output"), one(number, row, "non_preferred_output"))
        for number, row in rows(path)
    ]
