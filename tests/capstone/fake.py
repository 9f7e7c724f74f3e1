"""An endpoint whose model copies what its prompt holds: no weights, no network."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from types import SimpleNamespace as Bag
from typing import Any

import numpy as np

from helpers.base import jsonl
from helpers.connection import Connection


class FakeClient:
    """Embeds by words; answers with its first note, else its last example, else nothing known."""

    def __init__(self) -> None:
        self.uploads: list[list[dict[str, Any]]] = []
        self.asked: list[dict[str, Any]] = []
        self.checkpoints: list[Any] = []
        self.embeddings = Bag(create=self._embed)
        self.chat = Bag(completions=Bag(create=self._answer))
        self.files = Bag(create=lambda file, purpose: self._keep(file))
        self.models = Bag(delete=lambda name: None)
        jobs = Bag(
            list=lambda **_: [],
            create=self._train,
            retrieve=lambda _: self.job,
            checkpoints=Bag(list=lambda _: self.checkpoints),
        )
        self.fine_tuning = Bag(jobs=jobs)

    def _embed(self, model: str, input: list[str]) -> Any:
        return Bag(data=[Bag(embedding=by_words(text)) for text in input])

    def _keep(self, file: Any) -> Any:
        self.uploads.append(list(jsonl.read(io.BytesIO(file[1]))))
        return Bag(id="file-1")

    def _train(self, **given: Any) -> Any:
        model = f"ft:{given.get('suffix', '')}"
        self.job = Bag(id="ftjob-1", status="succeeded", fine_tuned_model=model, trained_tokens=9)
        return self.job

    def _answer(self, model: str, messages: list[dict[str, str]], **given: Any) -> Any:
        self.asked.append({"model": model, "messages": messages, **given})
        said = re.search(r"\[1\] [^:]*: (.*)", messages[-1]["content"])
        shown = [m["content"] for m in messages if m["role"] == "assistant"]
        text = said[1] if said else (shown[-1] if shown else "I do not know.")
        most = given["max_completion_tokens"]
        words = text.split()
        usage = Bag(prompt_tokens=len(str(messages).split()), completion_tokens=len(words))
        reason = "length" if len(words) > most else "stop"
        choice = Bag(message=Bag(content=" ".join(words[:most])), finish_reason=reason)
        return Bag(choices=[choice], usage=usage)


def by_words(text: str) -> list[float]:
    vector = np.zeros(256)
    for word in re.findall(r"[a-z]{3,}", text.lower()):
        vector[sum(word[:5].encode()) % 256] += 1
    return [float(value) for value in vector + 1e-6]


class WordEmbedder:
    """The fake's embeddings at unit length."""

    name = "words"

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        vectors = np.array([by_words(text) for text in texts], dtype=np.float32).reshape(-1, 256)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


embed = WordEmbedder()


def connection() -> Connection:
    """A connection to a fresh fake; not the embedded server, so that nothing is timed by a job."""
    return Connection(FakeClient(), "other", "http://localhost/v1", "base", "words")  # type: ignore[arg-type]
