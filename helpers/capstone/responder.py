"""Answer a chat as a capstone's best method did.

For: `python3 -m helpers serve --model FOLDER`. The same code makes the prompts as in the proof.
Not for: writing the folder, see `helpers.capstone.takeaway`.

    answer = Responder(folder, read_method(folder), embed)
    answer([{"role": "user", "content": "What is the late fee?"}])     # a chat, or what is said
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helpers.backend.inference.models import Said, ServedMethod, ServedModel
from helpers.backend.service import Service
from helpers.base import settings
from helpers.base.errors import DataError
from helpers.capstone import baselines
from helpers.capstone.lookup import Found, NoteStore, PastAnswers, embedded, load_store
from helpers.capstone.methods import WITH_NOTES, WITH_TRAINING, Messages, prompt
from helpers.capstone.samples import Message, readable, search_text, spoken
from helpers.capstone.takeaway import INDEX, BestMethod
from helpers.costs.monthly import FEW_SHOT, METHODS
from helpers.finetuning.exporting import ADAPTER
from helpers.finetuning.exporting import BASE as BASE_FILE
from helpers.rag.embedding import Embedder

NEEDS_PAST = (FEW_SHOT, baselines.NEAREST, baselines.NEIGHBOURS)


@dataclass(frozen=True)
class EngineEmbedder:
    """The server's own embedding model, without a request to itself."""

    name: str
    embed: Callable[[Sequence[str]], np.ndarray]

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        return self.embed(list(texts))


class Responder:
    """The method of a folder, ready to answer."""

    def __init__(self, folder: Path, method: BestMethod, embed: Embedder) -> None:
        self._method, self._embed = method, embed
        self._store: NoteStore | None = None
        self._past: PastAnswers | None = None
        self._linear: baselines.Linear | None = None
        index = folder / INDEX
        if method.method in WITH_NOTES:
            self._store = load_store(index, embed)
        elif method.method in NEEDS_PAST:
            self._past = PastAnswers.load(index)
        elif method.method == baselines.LINEAR:
            self._linear = baselines.Linear.load(index)

    def __call__(self, messages: Sequence[Message]) -> Messages | Said:
        """The chat to ask the model, or the answer that takes none."""
        # A request may have null content, with tool calls say, which no search text can be made of.
        talk = readable([{**one, "content": one.get("content") or ""} for one in messages])
        # Nothing was asked, or a system message alone: the method still has to answer something.
        if not spoken(talk):
            talk.append({"role": "user", "content": ""})
        text, method = search_text(talk), self._method
        if method.method == baselines.FREQUENT:
            return Said(method.answer)
        if self._linear:
            return Said(self._linear(self._vectors(text))[0])
        if method.method == baselines.NEIGHBOURS:
            return Said(self._voted(text))
        if method.method == baselines.NEAREST:
            return Said(self._nearest(text, k=1)[0].text)
        form = method.form
        notes = self._store.find([text], self._vectors(text), k=form.k)[0] if self._store else []
        places = [found.place for found in self._nearest(text, k=form.k)] if self._past else []
        examples = [self._past.turns[place] for place in places] if self._past else []
        return prompt(method.method, form, talk, notes=notes, examples=examples)

    def _vectors(self, text: str) -> np.ndarray:
        return embedded([text], self._embed)

    def _nearest(self, text: str, *, k: int) -> list[Found]:
        assert self._past
        return self._past.find([text], self._vectors(text), k=k)[0]

    def _voted(self, text: str) -> str:
        assert self._past
        answers = [turn.answer for turn in self._past.turns]
        return baselines.neighbours(self._past.vectors, answers, self._vectors(text))[0]


def adopt(service: Service, folder: Path, method: BestMethod) -> None:
    """Let a server answer as the folder's method under the method's own model id.

    Raises `DataError` if the folder's index is of another embedding model, or a file is missing.
    """
    # Vectors of two models are not comparable, and of equal width nothing else would notice.
    if method.embedding_model != settings.EMBEDDING_MODEL:
        raise DataError(
            f"the index holds vectors of {method.embedding_model}",
            fix=f"this server embeds with {settings.EMBEDDING_MODEL}: run the capstone with it",
        )
    embed = EngineEmbedder(method.embedding_model, service.engine.embed)
    answer = Responder(folder, method, embed)
    service.models.adopt(_served(service, folder, method, answer))


def _served(service: Service, folder: Path, method: BestMethod, answer: Responder) -> ServedModel:
    needed = [BASE_FILE] if method.method in METHODS else []
    needed += [ADAPTER] if method.method in WITH_TRAINING else []
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        raise DataError(
            f"{folder.name} holds no {' and no '.join(missing)}",
            fix="copy the whole folder; a model of a hosted endpoint stays there",
        )
    # A lookup never loads a model; the base one stands in for the name of a file.
    gguf = folder / BASE_FILE if needed else service.models.trainable(settings.BASE_MODEL)[0]
    adapter = folder / ADAPTER if ADAPTER in needed else None
    served = ServedMethod(answer, method.max_tokens, method.choices)
    return ServedModel(method.model, gguf, adapter, method=served)
