"""Answer with llama.cpp: several requests at once, base and fine-tuned models.

For: the server. A model is loaded at its first request; the least recently used one
is unloaded when too many are held. PyTorch is not needed here. The same request gives
the same answer at temperature 0 or with a seed, alone or beside others; see `pool` for why.

    engine = Engine(threads=2, cache=Path(".workbook/cache"))
    for delta in engine.generate(model, [{"role": "user", "content": "Hi"}], Sampling()):
        delta.text
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import xllamacpp

from helpers.backend.inference import embeddings, text_logprobs
from helpers.backend.inference.models import Said, ServedModel
from helpers.backend.inference.pool import BATCH, LOOK_SECONDS, GivenUp, Pool
from helpers.backend.protocol.sampling import Delta, Sampling, TokenLogprob, delta
from helpers.base.chat_format import text_of
from helpers.base.errors import BackendError
from helpers.base.tokens import LocalTokenizer, local_tokenizer

__all__ = ["ContextTooLong", "Delta", "Engine", "Prompt", "Sampling", "TokenLogprob"]

Prompt = Sequence[Mapping[str, Any]] | str | Sequence[int]
Chunks = queue.SimpleQueue[dict[str, Any] | BaseException | None]
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
    return [part for part in prompt if not isinstance(part, int | str)]


def refuse_by_length(model: ServedModel, tokenizer: LocalTokenizer, prompt: Prompt) -> None:
    """Raise `ContextTooLong` for what is too long however it is tokenised.

    Tokenising takes a hundred times the memory of the text: it is not begun for nothing.
    """
    if isinstance(prompt, str):
        letters = len(prompt)
    else:
        letters = sum(len(text_of(part)) for part in _messages(prompt))
    least = letters // tokenizer.longest
    if least > model.context:
        raise ContextTooLong(least, model.context, at_least=True)


def _sound(chunk: dict[str, Any] | BaseException) -> dict[str, Any]:
    if isinstance(chunk, BackendError):
        raise chunk
    if isinstance(chunk, BaseException):
        raise BackendError(f"the model could not answer: {chunk}") from chunk
    return chunk


def _next(chunks: Chunks, left: threading.Event) -> dict[str, Any] | BaseException | None:
    """What comes next, or None once the client has left: nobody would read it."""
    while not left.is_set():
        with contextlib.suppress(queue.Empty):
            return chunks.get(timeout=LOOK_SECONDS)
    return None


class Engine:
    """A pool of loaded models. All methods may be called from several threads."""

    def __init__(self, *, threads: int, cache: Path, max_loaded: int = 3) -> None:
        self._threads, self._cache = threads, cache
        self._pool = Pool(threads=threads, max_loaded=max_loaded)
        self._embedder: xllamacpp.Server | None = None
        self._embedding = threading.Lock()
        self._closed = threading.Event()
        self._sharing: frozenset[str] = frozenset()

    def generate(self, model: ServedModel, prompt: Prompt, sampling: Sampling) -> Iterator[Delta]:
        """Yield the answer as it is made; closing the iterator cancels the request.

        A delta may be empty while a long prompt is read. Raises `ContextTooLong`, or
        `BackendError` when llama.cpp refuses the request or the engine is closed.
        """
        if model.method and (messages := _messages(prompt)):
            prepared = model.method.prepare(messages)
            if isinstance(prepared, Said):
                yield Delta(prepared.text)
                yield Delta("", finish_reason="stop")
                return
            prompt = prepared
        tokens = self._tokens(model, prompt)
        used = len(tokens)
        room = model.context - used
        if room < 1:
            raise ContextTooLong(used, model.context)
        request = {
            "prompt": tokens or "",
            "stream": True,
            "cache_prompt": True,
            "return_progress": used > BATCH,
            **sampling.request(room),
        }
        for chunk in self._chunks(model, request, used + sampling.limit(room)):
            yield delta(chunk, sampling.logprobs)

    def _chunks(
        self, model: ServedModel, request: dict[str, Any], tokens: int
    ) -> Iterator[dict[str, Any]]:
        """llama.cpp calls back until it is done; a thread turns that into an iterator.

        The thread also waits in line and gives its place back, so closing takes no time.
        """
        chunks: Chunks = queue.SimpleQueue()
        cancelled, left = threading.Event(), CLIENT_LEFT.get(threading.Event())

        def stopped() -> bool:
            return cancelled.is_set() or self._closed.is_set() or left.is_set()

        def receive(chunk: dict[str, Any]) -> bool:
            chunks.put(chunk)
            return stopped()

        def work() -> None:
            try:
                with self._pool.get(model).reserved(tokens, stopped) as server:
                    if not stopped():
                        server.handle_completions(request, receive)
            except GivenUp:
                pass
            except BaseException as error:  # noqa: BLE001 - raised again in the reader's thread
                chunks.put(error)
            chunks.put(None)

        threading.Thread(target=work, daemon=True, name="llama.cpp request").start()
        try:
            while (chunk := _next(chunks, left)) is not None:
                yield _sound(chunk)
            if self._closed.is_set():
                raise BackendError("the server is stopping")
            if left.is_set():
                raise BackendError("the client has left")
        finally:
            cancelled.set()

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit-length vectors of the texts, float32, shape (n, 384)."""
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

        def ask(request: Mapping[str, Any]) -> list[dict[str, Any]]:
            tokens = len(request["prompt"]) + request["n_predict"]
            return list(self._chunks(model, dict(request), tokens))

        return text_logprobs.score(ask, local_tokenizer(model.gguf), ids, alternatives=alternatives)

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
        self._pool.threads = 1 if self._sharing else self._threads

    def rest(self, seconds: float) -> None:
        """Free the memory of models that nobody asked for so long; a question loads them again."""
        self._pool.rest(seconds)

    def unload(self, model_id: str) -> None:
        """Free the memory of a model; requests under way end first."""
        self._pool.drop(model_id)

    def close(self) -> None:
        """Cancel what is under way, and unload everything."""
        self._closed.set()
        self._pool.drop()
        with self._embedding:
            self._embedder = None

    def _tokens(self, model: ServedModel, prompt: Prompt) -> list[int]:
        """As tokens, since in one text a message could open another turn from inside."""
        tokenizer = local_tokenizer(model.gguf)
        refuse_by_length(model, tokenizer, prompt)
        if isinstance(prompt, str):
            return tokenizer.encode(prompt)
        first = next(iter(prompt), None)
        if isinstance(first, int):
            return [token for token in prompt if isinstance(token, int)]
        return tokenizer.encode_chat(_messages(prompt))
