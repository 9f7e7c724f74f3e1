"""Answer with llama.cpp: several requests at once, base and fine-tuned models.

For: the server. A model is loaded at its first request; the least recently used one
is unloaded when too many are held. PyTorch is not needed here.

    engine = Engine(threads=2, cache=Path(".workbook/cache"))
    for delta in engine.generate(model, [{"role": "user", "content": "Hi"}], Sampling()):
        delta.text
"""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xllamacpp

from helpers.backend import embeddings
from helpers.backend.models import ServedModel
from helpers.errors import BackendError
from helpers.tokens import local_tokenizer

Prompt = Sequence[Mapping[str, Any]] | str
SLOTS = 8
"""Requests that one model works on at the same time; more wait in llama.cpp's queue."""


class ContextTooLong(BackendError):
    """The prompt does not fit into the model's context window."""

    def __init__(self, prompt_tokens: int, context: int) -> None:
        super().__init__(
            f"This model's maximum context length is {context} tokens. "
            f"However, your messages resulted in {prompt_tokens} tokens.",
            fix="Please reduce the length of the messages.",
        )
        self.prompt_tokens, self.context = prompt_tokens, context


@dataclass(frozen=True)
class Sampling:
    """How to choose the next token; the defaults are OpenAI's."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    logprobs: int | None = None
    """None: off. 0 to 20: how many alternatives to report for each token."""
    json_schema: Mapping[str, Any] | None = None
    json_object: bool = False
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] | None = None

    def request(self) -> dict[str, Any]:
        """The same in llama.cpp's words. Its other samplers are switched off."""
        asked: dict[str, Any] = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": 0,
            "min_p": 0.0,
            "repeat_penalty": 1.0,
            "presence_penalty": self.presence_penalty,
            "frequency_penalty": self.frequency_penalty,
            "stop": list(self.stop),
            "n_predict": -1 if self.max_tokens is None else self.max_tokens,
            "seed": -1 if self.seed is None else self.seed % 2**31,
            "logit_bias": [[token, bias] for token, bias in (self.logit_bias or {}).items()],
        }
        if self.logprobs is not None:
            # llama.cpp reports nothing for 0, so one alternative is asked for and dropped.
            asked["n_probs"] = max(self.logprobs, 1)
        schema = {"type": "object"} if self.json_object else self.json_schema
        return asked | ({"json_schema": dict(schema)} if schema is not None else {})


@dataclass(frozen=True)
class TokenLogprob:
    """A token with its log-probability in nats, and the likeliest alternatives."""

    token: str
    logprob: float
    bytes: tuple[int, ...]
    top: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class Delta:
    """A piece of an answer. The last one has `finish_reason` and the counts."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: Literal["stop", "length"] | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


class Engine:
    """A pool of loaded models. All methods may be called from several threads."""

    def __init__(self, *, threads: int, cache: Path, max_loaded: int = 3) -> None:
        self._threads, self._cache, self._max_loaded = threads, cache, max_loaded
        self._loaded: OrderedDict[str, xllamacpp.Server] = OrderedDict()
        self._embedder: xllamacpp.Server | None = None
        self._lock = threading.Lock()

    def generate(self, model: ServedModel, prompt: Prompt, sampling: Sampling) -> Iterator[Delta]:
        """Yield the answer as it is made; closing the iterator cancels the request.

        Raises `ContextTooLong`, or `BackendError` when llama.cpp refuses the request.
        """
        text = self._text(model, prompt)
        used = self.count(model, text)
        if used >= model.context:
            raise ContextTooLong(used, model.context)
        request = {"prompt": text, "stream": True, "cache_prompt": True, **sampling.request()}
        yield from self._stream(self._server(model), request, sampling)

    def _stream(
        self, server: xllamacpp.Server, request: dict[str, Any], sampling: Sampling
    ) -> Iterator[Delta]:
        chunks: queue.SimpleQueue[dict[str, Any] | BaseException | None] = queue.SimpleQueue()
        cancelled = threading.Event()

        def receive(chunk: dict[str, Any]) -> bool:
            chunks.put(chunk)
            return cancelled.is_set()

        def work() -> None:
            try:
                server.handle_completions(request, receive)
            except BaseException as error:  # noqa: BLE001 - raised again in the reader's thread
                chunks.put(error)
            chunks.put(None)

        threading.Thread(target=work, daemon=True).start()
        try:
            while (chunk := chunks.get()) is not None:
                if isinstance(chunk, BaseException):
                    raise BackendError(f"the model could not answer: {chunk}") from chunk
                yield _delta(chunk, sampling.logprobs)
        finally:
            cancelled.set()

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit-length vectors of the texts, float32, shape (n, 384)."""
        with self._lock:
            if self._embedder is None:
                self._embedder = embeddings.load(self._cache, threads=self._threads)
        return embeddings.embed(self._embedder, texts)

    def count(self, model: ServedModel, prompt: Prompt) -> int:
        """Tokens of the prompt, chat template included."""
        return local_tokenizer(model.gguf).count(self._text(model, prompt))

    def warm(self, model: ServedModel) -> None:
        """Load the model and let it say one token, so that the first answer is quick."""
        for _ in self.generate(model, "Hi", Sampling(max_tokens=1)):
            pass

    def unload(self, model_id: str) -> None:
        """Free the memory of a model; requests under way end first."""
        with self._lock:
            self._loaded.pop(model_id, None)

    def close(self) -> None:
        """Unload everything."""
        with self._lock:
            self._loaded.clear()
            self._embedder = None

    def _text(self, model: ServedModel, prompt: Prompt) -> str:
        if isinstance(prompt, str):
            return prompt
        return local_tokenizer(model.gguf).chat(prompt, add_generation_prompt=True)

    def _server(self, model: ServedModel) -> xllamacpp.Server:
        with self._lock:
            server = self._loaded.pop(model.id, None) or load(model, threads=self._threads)
            self._loaded[model.id] = server
            while len(self._loaded) > self._max_loaded:
                # Whoever still generates with it holds a reference, so nothing is cut off.
                self._loaded.popitem(last=False)
            return server


def load(model: ServedModel, *, threads: int) -> xllamacpp.Server:
    """A llama.cpp instance of the model, in this process. Takes about half a second."""
    params = common_params(model.gguf, threads=threads)
    params.n_ctx = model.context
    params.n_parallel = SLOTS
    params.kv_unified = True
    if model.adapter:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(model.adapter), 1.0)]
    try:
        return xllamacpp.Server(params)
    except (RuntimeError, ValueError) as error:
        raise BackendError(f"the model {model.id} cannot be loaded: {error}") from error


def common_params(gguf: Path, *, threads: int) -> xllamacpp.CommonParams:
    """What all instances share: quiet, on the CPU, with flash attention."""
    params = xllamacpp.CommonParams()
    params.model.path = str(gguf)
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.verbosity = -1
    params.warmup = False
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
    return params


def _delta(chunk: Mapping[str, Any], logprobs: int | None) -> Delta:
    if error := chunk.get("error"):
        raise BackendError(str(error.get("message", error)))
    choice = chunk["choices"][0]
    usage = chunk.get("usage") or {}
    content = (choice.get("logprobs") or {}).get("content") or []
    return Delta(
        choice["text"],
        tuple(_logprob(item, logprobs) for item in content) if logprobs is not None else (),
        choice["finish_reason"],
        usage.get("prompt_tokens", 0),
        usage.get("completion_tokens", 0),
        (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0),
    )


def _logprob(item: Mapping[str, Any], alternatives: int) -> TokenLogprob:
    return TokenLogprob(
        item["token"],
        item["logprob"],
        tuple(item["bytes"]),
        tuple(_logprob(other, 0) for other in item.get("top_logprobs", [])[:alternatives]),
    )
