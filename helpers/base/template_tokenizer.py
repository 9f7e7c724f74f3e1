"""The tokenizer of a Hugging Face folder, with the model's own chat template.

For: bases of any family: the same questions that `LocalTokenizer` answers for the course's own
model. What is learnt of a chat is found by the template: where an answer begins is where the
model would be asked for it, and it ends with the mark that ends a turn.

    tokenizer = load(folder)
    tokenizer.encode_chat([{"role": "user", "content": "Hi"}])
    tokenizer.training_turns(messages)[-1].text_at
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.base.chat_format import Message, Turn, role_of, text_of
from helpers.base.chat_template import PROBE, THOUGHT, ChatTemplate
from helpers.base.errors import DataError, SetupError
from helpers.base.local_tokenizer import LocalTokenizer, TokenTurn

if TYPE_CHECKING:
    from tokenizers import Tokenizer

GUARD = "\ufdd0"
"""A code point that is no character: put into what reads like a mark inside a message, so that
the template cannot tell them apart and we can."""
BYTE = re.compile(r"<0x([0-9A-F]{2})>")
SPACE = "\u2581"
"""How vocabularies of pieces write a space."""


class WrittenPart(NamedTuple):
    """A part of a written chat: a mark, or the text between two."""

    start: int
    text: str
    mark: bool

    @property
    def end(self) -> int:
        return self.start + len(self.text)


class Span(NamedTuple):
    """Where a message stands in the written chat, by letters."""

    text_at: int
    text_end: int
    end: int
    """Where the next one begins."""
    answer: bool = False


@dataclass(frozen=True)
class TemplateTokenizer(LocalTokenizer):
    """A tokenizer and the template that its model was trained with."""

    template: ChatTemplate = field(default_factory=lambda: ChatTemplate(""))
    text_start: tuple[int, ...] = ()
    """Tokens that the model expects before a plain text."""

    @functools.cached_property
    def vocabulary_id(self) -> str:
        """The same for tokenizers that make the same tokens of the same chats."""
        known = [self.core.to_str(), self.template.source, sorted(self.template.marks.items())]
        return hashlib.sha256(repr(known).encode()).hexdigest()

    @functools.cached_property
    def special_tokens(self) -> Mapping[str, int]:
        """The ids of the marks that only the template may set; not those of words such as
        `<think>`, which a message may hold."""
        added = self.core.get_added_tokens_decoder()
        return {str(token.content): i for i, token in added.items() if token.special}

    @functools.cached_property
    def end_mark(self) -> str:
        """What ends an answer. Raises `DataError` for a template that puts no mark there."""
        pieces = self.split_at_marks(self.template.render(PROBE, add_generation_prompt=False))
        last = max((n for n, p in enumerate(pieces) if not p.mark and "b" in p.text), default=-1)
        if last < 0 or last + 1 >= len(pieces):
            raise DataError(
                "the chat template ends an answer with no mark, so none could be learnt",
                fix="take a model that was trained to chat",
            )
        return pieces[last + 1].text

    @property
    def end_id(self) -> int:
        return self.special_tokens[self.end_mark]

    @property
    def end_ids(self) -> tuple[int, ...]:
        # Some templates end a turn with one mark and a text with another.
        names = (self.end_mark, self.template.marks.get("eos_token", self.end_mark))
        return tuple(dict.fromkeys(self.special_tokens[n] for n in names))

    def bytes_of(self, token: int) -> bytes:
        if self.from_bytes:
            return super().bytes_of(token)
        text = str(self.core.id_to_token(token))
        byte = BYTE.fullmatch(text)
        return bytes([int(byte[1], 16)]) if byte else text.replace(SPACE, " ").encode()

    @functools.cached_property
    def _space_at_start(self) -> bool:
        """Whether a text alone is read with a space before it that a mark before it prevents."""
        mark = next(iter(self.special_tokens), "")
        if not mark:
            return False
        behind = self._reading_marks.encode(f"{mark}a", add_special_tokens=False).ids
        return self.encode_text("a") != list(behind[1:])

    @functools.cached_property
    def _reading_marks(self) -> Tokenizer:
        """The same tokenizer, for which marks in a text are marks. A second one: another thread
        may be using the first."""
        return type(self.core).from_str(self.core.to_str())

    def encode(self, text: str) -> list[int]:
        """Token ids of a plain text with its beginning; marks written in it become marks."""
        ids = super().encode(text)
        start = list(self.text_start)
        return ids if ids[: len(start)] == start else start + ids

    def chat(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] = (),
        *,
        add_generation_prompt: bool = True,
    ) -> str:
        """The one text that a model sees for these messages."""
        return self.template.render(messages, tools, add_generation_prompt=add_generation_prompt)

    def encode_chat(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] = (),
        *,
        add_generation_prompt: bool = True,
    ) -> list[int]:
        """Token ids of `chat(messages, tools)`; no message can open another turn from inside."""
        pieces = self.write(messages, tools, add_generation_prompt=add_generation_prompt)
        return [token for piece in pieces for token, _ in self.tokens_of(piece)]

    def training_turns(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()
    ) -> list[TokenTurn]:
        """A chat as it is trained on: its tokens are those of a prompt and a real answer."""
        written = _Written(self, messages, tools)
        spans = list(written.spans())
        tokens = written.tokens({span.text_at for span in spans if span.answer})
        made, start = [], 0
        for message, span in zip(messages, spans, strict=True):
            # By the place of its first letter, each token belongs to one message.
            own = [(token, at) for token, at in tokens if start <= at < span.end]
            turn = Turn(
                message,
                role_of(message),
                written.text[start : span.text_at],
                text_of(message),
                written.text[span.text_end : span.end],
            )
            text_at = sum(at < span.text_at for _, at in own)
            end_at = sum(at < span.text_end for _, at in own)
            made.append(TokenTurn(turn, [token for token, _ in own], text_at, end_at))
            start = span.end
        return made

    def write(self, messages: Sequence[Message], tools: Any, **options: Any) -> list[WrittenPart]:
        """The chat as the template writes it; nothing that is said becomes a mark."""
        safe = [self._guarded(message) for message in messages]
        return self.split_at_marks(self.template.render(safe, self._guard(tools), **options))

    def _guarded(self, message: Message) -> Message:
        text = text_of({**message, "tool_calls": None, "function_call": None})
        inside: dict[str, Any] = self._guard({**message, "refusal": None, "content": text})
        return inside

    def _guard(self, value: Any) -> Any:
        """The same with a guard in all that reads like a mark, arguments of calls among it."""
        if isinstance(value, str):
            # Behind the first letter, so that it is no mark; `split_at_marks` takes it out.
            return self._marks.sub(lambda found: f"{found[0][0]}{GUARD}{found[0][1:]}", value)
        if isinstance(value, Mapping):
            return {key: self._guard(inner) for key, inner in value.items()}
        return [self._guard(inner) for inner in value] if isinstance(value, list | tuple) else value

    def split_at_marks(self, written: str) -> list[WrittenPart]:
        """Marks and texts in turn; empty texts are left out."""
        pieces, start = [], 0
        for place, part in enumerate(self._marks.split(written)):
            text = part.replace(GUARD, "")
            if text:
                pieces.append(WrittenPart(start, text, bool(place % 2)))
            start += len(text)
        return pieces

    def tokens_of(self, piece: WrittenPart) -> list[tuple[int, int]]:
        """Each token with the place of its first letter in the written chat."""
        if piece.mark:
            return [(self.special_tokens[piece.text], piece.start)]
        lead, core = "", self.core
        # Read behind a mark that is dropped again: alone, the text would get a space that it has
        # not.
        if self._space_at_start and not self._marks.search(piece.text):
            lead, core = next(iter(self.special_tokens)), self._reading_marks
        found = core.encode(lead + piece.text, add_special_tokens=False)
        skipped = 1 if lead else 0
        places = (max(0, first - len(lead)) for first, _ in found.offsets)
        pairs = zip(found.ids, places, strict=True)
        return [(token, piece.start + at) for token, at in pairs][skipped:]


class _Written:
    """One chat as the template writes it, and where each message stands in it."""

    def __init__(
        self, tokenizer: TemplateTokenizer, messages: Sequence[Message], tools: Any
    ) -> None:
        self._tokenizer, self._messages, self._tools = tokenizer, messages, tools
        # A model that reasons aloud is taught to where the data does.
        self._think = any(THOUGHT in text_of(m) or m.get("reasoning_content") for m in messages)
        self._all = self._pieces(messages, add_generation_prompt=False)
        self.text = _joined(self._all)

    def _pieces(self, messages: Sequence[Message], **options: Any) -> list[WrittenPart]:
        return self._tokenizer.write(messages, self._tools, **{"think": self._think} | options)

    def tokens(self, cuts: Iterable[int]) -> list[tuple[int, int]]:
        """All tokens with their places. At a cut, where generation begins, none goes across: an
        answer's first token never joins the prompt's."""
        found: list[tuple[int, int]] = []
        for piece in self._all:
            inside = sorted(cut for cut in cuts if piece.start < cut < piece.end)
            for first, last in itertools.pairwise([piece.start, *inside, piece.end]):
                part = piece.text[first - piece.start : last - piece.start]
                found += self._tokenizer.tokens_of(WrittenPart(first, part, piece.mark))
        return found

    def spans(self) -> Iterator[Span]:
        """One for each message, in their order, from the first letter on."""
        begun, since = 0, 0
        for place, message in enumerate(self._messages):
            if message.get("role") != "assistant":
                continue
            start = self._answer_start(place)
            yield from self._context(since, place, begun, start)
            mark = self._mark_after(self._said_until(message, start))
            yield Span(start, mark.start, mark.end, answer=True)
            begun, since = mark.end, place + 1
        yield from self._context(since, len(self._messages), begun, len(self.text))

    def _answer_start(self, place: int) -> int:
        """Where the model would be asked for this answer: up to there, both texts are the same."""
        start = self._asked_until(self._messages[:place])
        said = _visible(text_of(self._messages[place]))
        found = self.text.find(said, start) if said else start
        # Thoughts that the data does not hold are the template's, not the answer's.
        if found > start and not self._think and THOUGHT in self.text[start:found]:
            return found
        return start

    def _asked_until(self, messages: Sequence[Message]) -> int:
        # A template may ask for an answer behind thoughts that are left out, and write one that
        # others follow without them: then the form in which it asks for thoughts fits.
        for think in (self._think, True):
            asked = _joined(self._pieces(messages, add_generation_prompt=True, think=think))
            if self.text.startswith(asked):
                return len(asked)
        return _same(asked, self.text)

    def _said_until(self, message: Message, start: int) -> int:
        # Calls are left out: templates write them in ways of their own, behind the text.
        said = text_of({**message, "tool_calls": None, "function_call": None}).strip()
        found = self.text.find(said, start)
        return found + len(said) if found >= 0 else start

    def _mark_after(self, place: int) -> WrittenPart:
        end = self._tokenizer.end_mark
        for piece in self._all:
            if piece.mark and piece.start >= place and piece.text == end:
                return piece
        raise DataError(
            "the chat template does not write this chat's answers one after the other",
            fix="give one answer an example",
        )

    def _context(self, first: int, last: int, start: int, end: int) -> Iterator[Span]:
        """What others said between two answers: messages `first` to `last`, which is not one of
        them. Each is found from behind: a role's name before a text may read like the text."""
        places: list[tuple[int, int]] = []
        limit = end
        for place in reversed(range(first, last)):
            said = text_of(self._messages[place]).strip()
            limit = min(limit, self._written_until(place, limit))
            at = self._found_before(said, start, limit) if said else -1
            places.append((at, at + len(said)) if at >= 0 else (limit, limit))
            limit = places[-1][0]
        places.reverse()
        for number, (text_at, text_end) in enumerate(places):
            # What stands between two belongs to the head of the second.
            yield Span(text_at, text_end, text_end if number < len(places) - 1 else end)

    def _written_until(self, place: int, otherwise: int) -> int:
        """Up to where the chat is the same that ends with this message."""
        try:
            upto = self._pieces(self._messages[: place + 1], add_generation_prompt=False)
        except DataError:  # a template that wants a question behind a system message
            return otherwise
        return _same(_joined(upto), self.text)

    def _found_before(self, said: str, start: int, limit: int) -> int:
        at = self.text.rfind(said, start, limit)
        while at >= 0 and any(
            p.mark and p.start < at + len(said) and at < p.end for p in self._all
        ):
            # Found inside a mark, as "user" in a role: look further to the front.
            at = self.text.rfind(said, start, at + len(said) - 1)
        return at


def _joined(pieces: Sequence[WrittenPart]) -> str:
    return "".join(piece.text for piece in pieces)


def _same(one: str, other: str) -> int:
    """Letters that both begin with."""
    length = min(len(one), len(other))
    return next((n for n in range(length) if one[n] != other[n]), length)


def _visible(text: str) -> str:
    """What is said behind the thoughts."""
    return text.rpartition(THOUGHT)[2].strip()


def load(folder: Path) -> TemplateTokenizer:
    """The tokenizer of a folder, cached by its path and time.

    Raises `SetupError` if it has none, or no chat template.
    """
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise SetupError(
            f"{folder.name} lacks tokenizer.json",
            fix="load and save its tokenizer once with transformers",
        )
    return _cached(folder, file.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _cached(folder: Path, _: int) -> TemplateTokenizer:
    from tokenizers import Tokenizer

    try:
        core = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # tokenizers raises this class alone
        raise SetupError(
            f"{folder.name} has a damaged tokenizer.json: {error}", fix="get it again"
        ) from error
    source, marks = read_template(folder)
    # What the tokenizer puts before nothing: its beginning of a text.
    start = tuple(core.encode("", add_special_tokens=True).ids)
    return TemplateTokenizer(core, ChatTemplate(source, marks), start)


BASE_FILE = "base.json"
"""Beside the GGUF of a base that came as a folder: it names that folder, or in an export the one
with its tokenizer."""


def folder_of(gguf: Path) -> Path | None:
    """The Hugging Face folder from which a GGUF was made here; None for one that came as such."""
    try:
        known = json.loads(gguf.with_name(BASE_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    # Relative in a folder that was exported: it is carried about with its tokenizer.
    return gguf.parent / known["folder"]


def read_template(folder: Path) -> tuple[str, dict[str, str]]:
    """The chat template of a folder, and the marks that it may name.

    Raises `SetupError` without one: such a model was not trained to chat.
    """
    config = _json(folder / "tokenizer_config.json")
    file = folder / "chat_template.jinja"
    source = file.read_text(encoding="utf-8") if file.is_file() else config.get("chat_template")
    # Several templates by name, say one for tools: the default takes both.
    if isinstance(source, list):
        source = next((one["template"] for one in source if one["name"] == "default"), None)
    source = source or _json(folder / "chat_template.json").get("chat_template")
    if not source:
        raise SetupError(
            f"{folder.name} has no chat template", fix="take a model that was trained to chat"
        )
    named = {name: value for name, value in config.items() if name.endswith("_token")}
    texts = {n: v["content"] if isinstance(v, dict) else v for n, v in named.items()}
    return str(source), {n: v for n, v in texts.items() if isinstance(v, str)}


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise SetupError(f"{path.name} is damaged: {error}", fix="get it again") from error
    return found if isinstance(found, dict) else {}
