"""Which base models this machine has, and what it takes to serve one.

For: the server's registry. Not for: fine-tuned models, which the store knows.

    base_models(settings.load())["smollm2-135m-instruct"].gguf
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from helpers import settings as settings_module
from helpers.errors import BackendError
from helpers.settings import BASE_MODEL, Settings

CONTEXT = 8192
"""Tokens that prompt and answer may have together."""


@dataclass(frozen=True)
class ServedModel:
    """A model to answer with: base weights, and the adapter of a fine-tuned one."""

    id: str
    gguf: Path
    adapter: Path | None = None
    context: int = CONTEXT


@dataclass(frozen=True)
class BaseModel:
    """A model that can be served and fine-tuned."""

    id: str
    gguf: Path
    created: int
    """Unix seconds."""
    context: int = CONTEXT

    def served(self) -> ServedModel:
        return ServedModel(self.id, self.gguf, None, self.context)


def base_models(settings: Settings) -> dict[str, BaseModel]:
    """The course's model, and every *.gguf in the folder that `WORKBOOK_MODELS` names.

    Raises `BackendError` when the course's model is not installed.
    """
    own = settings_module.base_gguf()
    if own is None:
        raise BackendError("the base model is not installed", fix="run: python3 -m helpers doctor")
    files = {BASE_MODEL: own}
    if settings.extra_models:
        files |= {path.stem.lower(): path for path in sorted(settings.extra_models.glob("*.gguf"))}
    return {name: BaseModel(name, path, int(path.stat().st_mtime)) for name, path in files.items()}
