"""Answer with one of two engines: several requests at once, base and fine-tuned models.

For: the server. A model is loaded at its first request; the least recently used one
is unloaded when too many are held. PyTorch is not needed here. The same request gives
the same answer at temperature 0 or with a seed, alone or beside others; `pool` and
`openvino_engine` say why.

    engine = Engine(threads=2, cache=Path(".workbook/cache"))
    for delta in engine.generate(model, [{"role": "user", "content": "Hi"}], Sampling()):
        delta.text
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xllamacpp

from helpers.backend.inference import embeddings
from helpers.backend.inference.llama_cpp import LlamaCppEngine
from helpers.backend.inference.models import Said, ServedModel
from helpers.backend.protocol.sampling import Delta, Sampling, TokenLogprob
from helpers.base.chat_format import ChatPrompt, text_of
from helpers.base.errors import BackendError
from helpers.base.local_tokenizer import LocalTokenizer
from helpers.base.tokens import local_tokenizer
from helpers.base.tool_format import Tool, tools_text

__all__ = ["ContextTooLong", "Delta", "Engine", "Prompt", "Sampling", "TokenLogprob"]

Prompt = ChatPrompt | Sequence[Mapping[str, Any]] | str | Sequence[int]
LLAMA_CPP, OPENVINO = "llama.cpp", "openvino"
"""Names of the engines."""
MAX_LOADED = 4
"""Models in memory at the same time."""
CLIENT_LEFT: ContextVar[threading.Event] = ContextVar("CLIENT_LEFT")
"""Set while a request is answered whose client does not wait any more. A variable of the context,
and no argument: every way from a route to the engine would have to hand it on."""


class ContextTooLong(BackendError):
    """The prompt does not fit into the model's context window."""

    def __init__(self, prompt_tokens: int, context: int, *, at_least: bool = False) -> None:
        super().__init__(
            f"This model's maximum context length is {context} tokens. "
            f"However, your messages resulted in {'at least ' * at_least}{prompt_tokens} tokens.",
            fix="Please reduce the length of the messages.",
        )
        self.prompt_tokens, self.context = prompt_tokens, context


def _messages(prompt: Prompt) -> list[Mapping[str, Any]]:
    """The messages of a chat; none if the prompt is a text or its tokens."""
    parts = prompt.messages if isinstance(prompt, ChatPrompt) else prompt
    return [part for part in parts if not isinstance(part, int | str)]


def _tools(prompt: Prompt) -> Sequence[Tool]:
    return prompt.tools if isinstance(prompt, ChatPrompt) else ()


def refuse_by_length(model: ServedModel, tokenizer: LocalTokenizer, prompt: Prompt) -> None:
    """Raise `ContextTooLong` for what is too long however it is tokenised.

    Tokenising takes a hundred times the memory of the text: it is not begun for nothing.
    """
    if isinstance(prompt, str):
        letters = len(prompt)
    else:
        letters = sum(len(text_of(part)) for part in _messages(prompt))
        letters += len(tools_text(_tools(prompt)))
    # `longest`: letters of the vocabulary's longest token.
    least = letters // tokenizer.longest
    if least > model.context:
        raise ContextTooLong(least, model.context, at_least=True)


class TokenEngine(Protocol):
    """What continues a prompt. There are two; all methods may be called from several threads."""

    name: str
    at_once: int
    """Answers of a model that are continued at the same time."""

    def fits(self, model: ServedModel) -> bool:
        """Whether it can answer for the model."""

    def answer(
        self,
        model: ServedModel,
        tokens: Sequence[int],
        sampling: Sampling,
        *,
        stopped: Callable[[], bool],
    ) -> Iterator[Delta | None]:
        """The answer as it is made, None where there is nothing new; ends early if `stopped`."""

    def score(
        self,
        model: ServedModel,
        ids: Sequence[int],
        *,
        alternatives: int,
        stopped: Callable[[], bool],
    ) -> list[TokenLogprob]:
        """One entry for each token but the first."""

    @property
    def models(self) -> list[ServedModel]:
        """The models in memory, the one that was asked last at the end."""

    def share_cores(self, threads: int) -> None:
        """Leave cores to other processes."""

    def rest(self, seconds: float) -> None:
        """Free the memory of models that nobody asked for so long."""

    def unload(self, model_id: str) -> None:
        """Free the memory of a model; requests under way end first."""

    def close(self) -> None:
        """Unload everything."""


class Engine:
    """Answers, probabilities and vectors. All methods may be called from several threads.

    `chosen` names the engine that answers for the models that it fits.
    """

    def __init__(
        self, *, threads: int, cache: Path, max_loaded: int = MAX_LOADED, chosen: str = LLAMA_CPP
    ) -> None:
        self._threads, self._cache = threads, cache
        self._llama = LlamaCppEngine(threads=threads, max_loaded=max_loaded)
        self._engines: list[TokenEngine] = [self._llama]
        if chosen == OPENVINO:
            from helpers.backend.inference.openvino_engine import OpenVinoEngine

            # Before llama.cpp, which fits every model: the first that fits answers.
            self._engines.insert(
                0, OpenVinoEngine(threads=threads, cache=cache, max_loaded=max_loaded)
            )
        self._embedder: xllamacpp.Server | None = None
        self._embedding = threading.Lock()
        self._closed = threading.Event()
        self._sharing: frozenset[str] = frozenset()

    @property
    def at_once(self) -> int:
        """How many requests for the base model are answered at the same time."""
        return self._engines[0].at_once

    def engine_of(self, model: ServedModel) -> TokenEngine:
        """The one that answers for a model: always the same, or its answers would vary."""
        return next(engine for engine in self._engines if engine.fits(model))

    def generate(self, model: ServedModel, prompt: Prompt, sampling: Sampling) -> Iterator[Delta]:
        """Yield the answer as it is made; closing the iterator cancels the request.

        A delta may be empty while a long prompt is read. Raises `ContextTooLong`, or
        `BackendError` when the engine refuses the request or is closed.
        """
        if model.method and (messages := _messages(prompt)):
            prepared = model.method.prepare(messages)
            if isinstance(prepared, Said):
                yield Delta(prepared.text)
                yield Delta("", finish_reason="stop")
                return
            prompt = prepared
        tokens = self._tokens(model, prompt)
        if len(tokens) >= model.context:
            raise ContextTooLong(len(tokens), model.context)
        with self._asking() as stopped:
            answer = self.engine_of(model).answer(model, tokens, sampling, stopped=stopped)
            yield from (delta for delta in answer if delta is not None)

    @contextlib.contextmanager
    def _asking(self) -> Iterator[Callable[[], bool]]:
        """Whether nobody waits for the answer any more; raises if it ended for that."""
        # Set by `finally` too, when a reader drops the iterator: the engine's thread then stops.
        cancelled, left = threading.Event(), CLIENT_LEFT.get(threading.Event())
        try:
            yield lambda: cancelled.is_set() or self._closed.is_set() or left.is_set()
            # Raised only now, at the end: what was stopped for these reasons must not pass for an
            # answer that ended by itself.
            if self._closed.is_set():
                raise BackendError("the server is stopping")
            if left.is_set():
                raise BackendError("the client has left")
        finally:
            cancelled.set()

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit-length vectors of the texts, float32, shape (n, 384)."""
        # Held while it loads: a second text waits for the model instead of loading another.
        with self._embedding:
            if self._embedder is None:
                self._embedder = embeddings.load(self._cache, threads=self._threads)
            server = self._embedder
        return embeddings.embed(server, texts)

    def score(
        self, model: ServedModel, ids: Sequence[int], *, alternatives: int
    ) -> list[TokenLogprob]:
        """How likely each token of a text is after those before it; the first has no entry.

        Raises as `generate` does.
        """
        if len(ids) > model.context:
            raise ContextTooLong(len(ids), model.context)

        with self._asking() as stopped:
            return self.engine_of(model).score(
                model, ids, alternatives=alternatives, stopped=stopped
            )

    def count(self, model: ServedModel, prompt: Prompt) -> int:
        """Tokens of the prompt, chat template included."""
        return len(self._tokens(model, prompt))

    def warm(self, model: ServedModel) -> None:
        """Load the model and let it say one token, so that the first answer is quick."""
        hello = [{"role": "user", "content": "Hi"}]
        for _ in self.generate(model, hello, Sampling(max_tokens=1)):
            pass

    def share_cores(self, sharing: bool, *, why: str = "trainer") -> None:
        """While another process computes, answer with one thread, see `cpu_load`.

        Each reason is switched on and off for itself.
        """
        self._sharing = self._sharing | {why} if sharing else self._sharing - {why}
        for engine in self._engines:
            engine.share_cores(1 if self._sharing else self._threads)

    def rest(self, seconds: float) -> None:
        """Free the memory of models that nobody asked for so long; a question loads them again."""
        for engine in self._engines:
            engine.rest(seconds)

    def unload(self, model_id: str) -> None:
        """Free the memory of a model; requests under way end first."""
        for engine in self._engines:
            engine.unload(model_id)

    def close(self) -> None:
        """Cancel what is under way, and unload everything."""
        # First, so that requests under way end early and the engines need not wait for them.
        self._closed.set()
        for engine in self._engines:
            engine.close()
        with self._embedding:
            self._embedder = None

    def _tokens(self, model: ServedModel, prompt: Prompt) -> list[int]:
        """As tokens, since in one text a message could open another turn from inside."""
        tokenizer = local_tokenizer(model.gguf)
        refuse_by_length(model, tokenizer, prompt)
        if isinstance(prompt, str):
            return tokenizer.encode(prompt)
        messages = _messages(prompt)
        if messages or isinstance(prompt, ChatPrompt):
            return tokenizer.encode_chat(messages, _tools(prompt))
        return [token for token in prompt if isinstance(token, int)]
