"""What an example of a dataset is: its format, its messages, and its texts.

For: everything that looks into an example, and `TrainingExample`, which every reader makes and
every writer takes. Not for: judging one, see `helpers.datasets.validation.schema`.

    kind_of({"messages": []})       # "chat"
    TrainingExample.of({"prompt": "When?", "completion": " At 9."}).kind      # "completion"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from helpers.base.chat_format import text_of
from helpers.base.tool_format import Tool, offered

Kind = Literal["chat", "completion", "dpo"]


def kind_of(example: dict[str, Any]) -> Kind | None:
    """The format that the keys of an example belong to."""
    if "messages" in example:
        return "chat"
    if "preferred_output" in example or "non_preferred_output" in example:
        return "dpo"
    if "chosen" in example or "rejected" in example:
        return None  # a preference as other trainers write it: to be converted, not a broken pair
    if "prompt" in example or "completion" in example:
        return "completion"
    return None


@dataclass(frozen=True)
class Sides:
    """What a model is asked in an example, and what it should say."""

    system: str
    question: str
    answer: str


def sides(kind: Kind, example: dict[str, Any]) -> Sides:
    """The question (all that stands before the last answer) and the answer, as text."""
    if kind == "completion":
        texts = [example.get(key) for key in ("prompt", "completion")]
        prompt, completion = (text if isinstance(text, str) else "" for text in texts)
        return Sides("", prompt, completion)
    preferred = example.get("preferred_output")
    known = {key: value for key, value in example.items() if key != "non_preferred_output"}
    # Without a preferred output the list of messages would end with the question.
    if kind == "dpo" and not isinstance(preferred, list):
        known["preferred_output"] = [{}]
    *before, last = [*messages_of(kind, known)] or [{}]
    spoken = [m for m in before if m.get("role") not in ("system", "developer")]
    system = [text_of(m) for m in before if m not in spoken]
    return Sides("\n".join(system), "\n".join(map(text_of, spoken)), text_of(last))


def messages_of(kind: Kind, example: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All messages of a chat or preference example; what is malformed is left out."""
    if kind == "chat":
        lists = [example.get("messages")]
    else:
        given = example.get("input")
        lists = [given.get("messages") if isinstance(given, dict) else None]
        lists += [example.get("preferred_output"), example.get("non_preferred_output")]
    for messages in lists:
        yield from _messages(messages)


def chats_of(kind: Kind, example: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """The chats that are trained on: one, or both sides of a preference pair.

    Of a pair only the compared answer is learnt: earlier ones get the weight 0. What is
    malformed is left out.
    """
    if kind == "chat":
        return [_messages(example.get("messages"))]
    given = example.get("input")
    asked = _messages(given.get("messages") if isinstance(given, dict) else None)
    context = [{**message, "weight": 0} for message in asked]
    sides = ("preferred_output", "non_preferred_output")
    return [[*context, *_messages(example.get(key))] for key in sides]


def tools_of(kind: Kind, example: Mapping[str, Any]) -> tuple[Tool, ...]:
    """The tools that an example offers, as a chat template takes them."""
    given = example.get("input") if kind == "dpo" else example
    return offered(given) if isinstance(given, Mapping) else ()


def _messages(value: Any) -> list[dict[str, Any]]:
    listed = value if isinstance(value, list) else []
    return [message for message in listed if isinstance(message, dict)]


@dataclass(frozen=True)
class Provenance:
    """Where an example comes from."""

    file: str = ""
    line: int = 0


NOWHERE = Provenance()


@dataclass(frozen=True)
class TrainingExample:
    """One example, whatever its file looked like.

    Messages are OpenAI's, with `tools` and `tool_calls` in today's form: the older `functions`
    become tools, and an answer to a function gets the id of its call.
    """

    kind: Kind
    messages: tuple[Mapping[str, Any], ...]
    """The whole chat; of a preference what is asked; of a completion its two texts."""
    preferred: Mapping[str, Any] | None = None
    rejected: Mapping[str, Any] | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    parallel_tool_calls: bool | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Keys that no trainer learns from."""
    source: Provenance = field(default=NOWHERE, compare=False)

    @classmethod
    def of(cls, example: Mapping[str, Any], source: Provenance = NOWHERE) -> TrainingExample:
        """A sound example of one of OpenAI's three formats. Raises `ValueError` for another."""
        kind = kind_of(dict(example))
        if kind == "completion":
            texts = ("user", example["prompt"]), ("assistant", example["completion"])
            messages = tuple({"role": role, "content": text} for role, text in texts)
            return cls(kind, messages, metadata=_metadata(example), source=source)
        if kind is None:
            raise ValueError("neither chat, nor prompt and completion, nor preference")
        asked = example if kind == "chat" else example["input"]
        calls = _Calls()
        said = tuple(calls.modern(message) for message in asked["messages"])
        outputs: list[Mapping[str, Any] | None] = [None, None]
        if kind == "dpo":
            # Both answers go on from the same chat, so their calls are counted from the same
            # number.
            made = calls.count
            sides = ("preferred_output", "non_preferred_output")
            outputs = [_Calls(made).modern(example[key][0]) for key in sides]
        offered = [{"type": "function", "function": f} for f in asked.get("functions") or ()]
        return cls(
            kind,
            said,
            outputs[0],
            outputs[1],
            tools=(*(asked.get("tools") or ()), *offered),
            parallel_tool_calls=asked.get("parallel_tool_calls"),
            metadata=_metadata(example),
            source=source,
        )

    def as_json(self) -> dict[str, Any]:
        """The example as OpenAI's format has it."""
        if self.kind == "completion":
            texts = [message["content"] for message in self.messages]
            return {**dict(zip(("prompt", "completion"), texts, strict=True)), **self._extra()}
        body: dict[str, Any] = {"messages": [dict(message) for message in self.messages]}
        if self.tools:
            body["tools"] = [dict(tool) for tool in self.tools]
        if self.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = self.parallel_tool_calls
        if self.kind == "chat":
            return {**body, **self._extra()}
        assert self.preferred is not None
        assert self.rejected is not None
        outputs = {"preferred_output": [dict(self.preferred)]}
        outputs["non_preferred_output"] = [dict(self.rejected)]
        return {"input": body, **outputs, **self._extra()}

    def _extra(self) -> dict[str, Any]:
        return {"metadata": dict(self.metadata)} if self.metadata else {}

    @property
    def said(self) -> tuple[Mapping[str, Any], ...]:
        """All messages, both answers of a preference among them."""
        answers = (self.preferred, self.rejected)
        return (*self.messages, *(answer for answer in answers if answer is not None))


_OURS = frozenset(
    {"messages", "tools", "functions", "parallel_tool_calls", "prompt", "completion", "input",
     "preferred_output", "non_preferred_output", "metadata"}
)  # fmt: skip


def _metadata(example: Mapping[str, Any]) -> dict[str, Any]:
    """`metadata` and every key of its own that an example has."""
    held = example.get("metadata")
    own = {key: value for key, value in example.items() if key not in _OURS}
    if isinstance(held, Mapping):
        return {**held, **own}
    return own if held is None else {"metadata": held, **own}


class _Calls:
    """Rewrites the older function calls of one conversation, in their order."""

    def __init__(self, count: int = 0) -> None:
        self.count = count

    def modern(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        made = dict(message)
        if made.get("function_call"):
            self.count += 1
            call = {"id": f"call_{self.count}", "type": "function"}
            made["tool_calls"] = [{**call, "function": made.pop("function_call")}]
        elif made.get("role") == "function":
            # The older form has no ids: an answer belongs to the call before it.
            made["role"], made["tool_call_id"] = "tool", f"call_{self.count}"
        return made
