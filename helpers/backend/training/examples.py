"""Turn the lines of a training file into token ids with a mask of what is learned.

For: the trainer. Only what the assistant says, and the token that ends its message,
is a target; everything else is context. Not for: keeping what was built, see `prepared`.

    built = []
    report = read_examples("train.jsonl", local_tokenizer(), built.append, max_tokens=2048)
    report.ok, built[0].ids, built[0].targets
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from helpers.base.chat_format import text_of
from helpers.base.files import Readable
from helpers.base.local_tokenizer import LocalTokenizer, TokenTurn
from helpers.base.tool_format import Tool
from helpers.datasets.example import Kind, chats_of, tools_of
from helpers.datasets.token_counts import Part, is_learnt, token_part
from helpers.datasets.validation.codes import Problem, problem
from helpers.datasets.validation.file import look_through
from helpers.datasets.validation.lengths import LengthCheck
from helpers.datasets.validation.report import ValidationReport


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
        """Tokens that are learnt; the first of all is not, since nothing stands before it."""
        return sum(self.targets[1:])

    @property
    def n_prompt(self) -> int:
        """The asker's words that may be learnt."""
        return sum(self.prompt[1:])

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


Item = Example | Pair
"""What a step learns from: an answer, or a preference between two."""


def chat_example(
    line: int,
    messages: Sequence[Mapping[str, Any]],
    tokenizer: LocalTokenizer,
    tools: Sequence[Tool] = (),
) -> Example:
    """An example from chat messages; a `weight` of 0 keeps an answer out of the targets."""
    return _joined(line, tokenizer.training_turns(messages, tools))


def _joined(line: int, turns: Iterable[TokenTurn]) -> Example:
    ids: list[int] = []
    targets: list[bool] = []
    prompt: list[bool] = []
    for turn in turns:
        # Places inside this turn's ids: of the first token of the text, and of the mark behind it.
        start, end = turn.text_at, turn.end_at
        # What a tool answered stands in a turn of the user, who did not write it.
        message = turn.turn.message
        learnt, asked = is_learnt(message), message.get("role") == "user"
        ids += turn.ids
        # The mark that ends an answer is learnt with it: it says when to stop.
        targets += [learnt and start <= place <= end for place in range(len(turn.ids))]
        prompt += [asked and start <= place < end for place in range(len(turn.ids))]
    return Example(line, tuple(ids), tuple(targets), tuple(prompt))


def completion_example(
    line: int, prompt: str, completion: str, tokenizer: LocalTokenizer
) -> Example:
    """An example of the older prompt/completion form: plain text, no chat template."""
    head, body = (
        tokenizer.encode_text(prompt),
        [*tokenizer.encode_text(completion), tokenizer.end_id],
    )
    # The prompt has no chat marks around it: every token before the answer is the asker's.
    asked = (True,) * len(head) + (False,) * len(body)
    return Example(line, tuple(head + body), tuple(not word for word in asked), asked)


def cut(example: Example, max_tokens: int) -> Example:
    """Drop what is over the limit from the end, as OpenAI does."""
    n = max_tokens
    return Example(example.line, example.ids[:n], example.targets[:n], example.prompt[:n])


def untrainable(line: int, kind: Kind, example: Mapping[str, Any]) -> Iterator[Problem]:
    """Why a sound example could only be learnt wrongly here: pictures, empty answers, names."""
    if kind == "completion":
        if not example["completion"].strip():
            yield problem("nothing_to_learn", line, f"Line {line} has an empty completion")
        return
    chats = chats_of(kind, example)
    said = [message for chat in chats for message in chat]
    if any(_has_picture(message) for message in said):
        yield problem("image_unsupported", line, f"Line {line} holds a picture")
    # The first chat: of a pair, the preferred one. The other answer may well be empty.
    if any(is_learnt(message) and not text_of(message).strip() for message in chats[0]):
        yield problem("nothing_to_learn", line, f"Line {line} teaches an empty answer")
    if any(message.get("name") and message["role"] != "function" for message in said):
        yield problem("name_ignored", line, f"Line {line} names a speaker")


def _has_picture(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return any(part["type"] not in ("text", "refusal") for part in parts)


class ExampleBuilder:
    """Builds what the trainer takes while a file is checked, so that it is parsed once.

    A look of `helpers.datasets.validation.file.look_through`. It refuses by line what this
    trainer could only learn wrongly, and warns of what it cuts off; `keep` receives each
    example that is built.
    """

    def __init__(
        self, tokenizer: LocalTokenizer, keep: Callable[[Item], None], *, max_tokens: int
    ) -> None:
        self._tokenizer, self._keep, self._limit = tokenizer, keep, max_tokens
        self.lengths = LengthCheck(None, max_tokens=max_tokens)
        self._with_tools: list[int] = []
        """Lines that offer tools."""

    def look(self, line: int, kind: Kind, example: dict[str, Any]) -> Iterator[Problem]:
        """Build one sound example, or say why not."""
        item, parts = self._build(line, kind, example)
        found = [*untrainable(line, kind, example), *self.lengths.take(line, parts)]
        yield from found
        # A refused line leaves no example, but the file is read on: all its problems are told at
        # once.
        if not any(one.severity == "error" for one in found):
            self._keep(item)

    def _build(
        self, line: int, kind: Kind, example: dict[str, Any]
    ) -> tuple[Item, list[list[Part]]]:
        if kind == "completion":
            prompt, completion = example["prompt"], example["completion"]
            whole = completion_example(line, prompt, completion, self._tokenizer)
            said = sum(whole.targets)
            asked = Part("prompt", prompt, len(whole.ids) - said, 0, learnt=False)
            answer = Part("completion", completion, said, 0, learnt=True)
            return cut(whole, self._limit), [[asked, answer]]
        if tools := tools_of(kind, example):
            # Of a pair both chats have the same tools, so one line is noted once.
            self._with_tools.append(line)
        # Lengths are measured before the cut and the example is built after it, from the same
        # tokens.
        chats = [self._tokenizer.training_turns(chat, tools) for chat in chats_of(kind, example)]
        built = [cut(_joined(line, turns), self._limit) for turns in chats]
        item = built[0] if kind == "chat" else Pair(line, *built)
        return item, [[token_part(turn) for turn in turns] for turns in chats]

    def finish(self) -> Iterator[Problem]:
        """Say once that the file teaches calls, which the base model may not know."""
        if lines := self._with_tools:
            text = f"Line {lines[0]} is the first of {len(lines)} that offer tools"
            yield problem("tools_offered", lines[0], text)


def read_examples(
    source: Readable, tokenizer: LocalTokenizer, keep: Callable[[Item], None], *, max_tokens: int
) -> ValidationReport:
    """Check a file and build its examples in one reading; `keep` receives each in turn."""
    builder = ExampleBuilder(tokenizer, keep, max_tokens=max_tokens)
    # `minimum=0`: whether there are enough examples is decided where the job is made.
    report = look_through(source, (), sound=[builder], minimum=0)
    return replace(report, tokens=builder.lengths.lengths)
