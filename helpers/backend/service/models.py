"""Which models there are, under which names, and which one answers.

For: every route with a model in it. Not for: loading one, see `helpers.backend.inference.pool`.

    models.resolve("ft:smollm2-135m-instruct:course::AbC123")
"""

from __future__ import annotations

import copy
import re
import time
from pathlib import Path

from helpers.backend.bases.registry import ADDED, MAX_CONTEXT, Base, Bases, UnfitBase, find
from helpers.backend.inference.engine import Engine
from helpers.backend.inference.models import ServedModel
from helpers.backend.protocol.errors import ApiError, unknown_model
from helpers.backend.storage.store import Document, Store, public
from helpers.base.settings import EMBEDDING_MODEL, Settings

OWNER = "workbook"
REST_SECONDS = 1.0
"""Within which an engine has freed what it was told to."""


class KnownBases:
    """The base models, looked for again when `models add` or `remove` has changed the list."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # The time is taken before the list is read: a change in between is then seen at the next
        # look.
        self._changed, self._found = self._time(), find(settings)

    def _time(self) -> int:
        try:
            return (self._settings.state / ADDED).stat().st_mtime_ns
        except OSError:
            return 0

    @property
    def found(self) -> Bases:
        changed = self._time()
        if changed != self._changed:
            self._found, self._changed = find(self._settings), changed
        return self._found


class Models:
    """Base models, fine-tuned ones, and other names for them."""

    def __init__(self, settings: Settings, store: Store, engine: Engine) -> None:
        self._store, self._engine = store, engine
        self._known = KnownBases(settings)
        self._adopted: dict[str, ServedModel] = {}

    @property
    def _bases(self) -> dict[str, Base]:
        return self._known.found.fit

    @property
    def _unfit(self) -> dict[str, UnfitBase]:
        return self._known.found.unfit

    def of(self, store: Store) -> Models:
        """The same base models, and the tuned ones and names of another owner."""
        view = copy.copy(self)
        view._store = store  # noqa: SLF001 - its own class
        return view

    def adopt(self, model: ServedModel) -> None:
        """Serve a model that lies outside the state folder, until the server ends."""
        self._adopted[model.id] = model

    def resolve(self, name: str) -> ServedModel:
        """The model to answer with. Raises `ApiError` 404 for an unknown one."""
        if name in self._adopted:
            return self._adopted[name]
        if name in self._bases:
            return ServedModel.of(self._bases[name])
        if alias := self._store.get("alias", name):
            return self.resolve(alias["model"])
        if name == EMBEDDING_MODEL:
            raise ApiError(
                400,
                f"The model {name!r} makes embeddings; it cannot chat. "
                f"Use one of: {', '.join(self._bases)}.",
                param="model",
                code="unsupported_value",
            )
        model = self._store.get("model", name)
        if model is None:
            raise self._unknown(name)
        gguf = Path(model["_gguf"])
        contexts = (base.context for base in self._bases.values() if base.gguf == gguf)
        context = next(contexts, MAX_CONTEXT)
        adapter = self._store.adapter(model["_adapter"]) / "adapter.gguf"
        return ServedModel(name, gguf, adapter, context)

    def _unknown(self, name: str) -> ApiError:
        """404, with the reason for a base that is there but cannot be used."""
        if unfit := self._unfit.get(name):
            message = f"The model '{name}' cannot be used: {unfit.reason}"
            return ApiError(404, message, param="model", code="model_not_found")
        return unknown_model(name)

    def all(self) -> list[Document]:
        """Base models, the embedding model, and the fine-tuned ones."""
        fixed = [
            {"id": base.id, "object": "model", "created": base.created, "owned_by": OWNER}
            for base in self._bases.values()
        ]
        created = fixed[0]["created"]
        fixed.append(
            {"id": EMBEDDING_MODEL, "object": "model", "created": created, "owned_by": OWNER}
        )
        fixed += [
            {"id": name, "object": "model", "created": created, "owned_by": OWNER}
            for name in self._adopted
        ]
        # Checkpoints answer by their names, and are not in the list.
        tuned, _ = self._store.list(
            "model", newest_first=False, keep=lambda m: not m["_checkpoint"]
        )
        return [*fixed, *map(public, tuned)]

    def find(self, name: str) -> Document:
        for model in self.all():
            if model["id"] == name:
                return model
        if tuned := self._store.get("model", name):
            return public(tuned)
        if alias := self._store.get("alias", name):
            return self.find(alias["model"]) | {"id": name}
        raise self._unknown(name)

    def delete(self, name: str) -> Document:
        """Remove a fine-tuned model; its job and files stay."""
        if name in self._bases or name in self._adopted or name == EMBEDDING_MODEL:
            raise ApiError(403, f"The model {name!r} is built in and cannot be deleted.")
        # Out of the list first, so that no new request loads it again.
        if self._store.delete("model", name):
            self._engine.unload(name)
        elif not self._store.delete("alias", name):
            raise self._unknown(name)
        return {"id": name, "object": "model", "deleted": True}

    def set_alias(self, name: str, model: str) -> Document:
        """Let `name` answer as `model`, so that old code with its own name runs."""
        if name in self._bases or not re.fullmatch(r"[\w.:-]{1,64}", name):
            raise ApiError(400, f"{name!r} cannot be an alias.", param="name")
        # What an alias stands for is settled now: names that point at each other cannot arise.
        model = self.resolve(model).id
        self._store.put("alias", name, {"id": name, "model": model})
        return {"id": name, "object": "model.alias", "model": model}

    def warm(self, model_id: str) -> None:
        """Load a model before the first question comes."""
        self._engine.warm(self.resolve(model_id))

    def rest(self) -> None:
        """Free the memory of models that nobody asks now; they are loaded again when asked."""
        self._engine.rest(0)
        # An engine does it between two passes.
        time.sleep(REST_SECONDS)

    def trainable(self, name: str) -> tuple[Path, Path | None]:
        """Weights, and the adapter to go on from if the base is a fine-tuned model."""
        if alias := self._store.get("alias", name):
            name = alias["model"]
        if name in self._bases:
            return self._bases[name].gguf, None
        model = self._store.get("model", name)
        if model is None:
            raise self._unknown(name)
        return Path(model["_gguf"]), self._store.adapter(model["_adapter"])
