"""Which base models this machine has, and what it takes to serve one.

For: the server's registry. Not for: fine-tuned models, which the store knows.

    base_models(settings.load())["smollm2-135m-instruct"].gguf
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers.base import settings as settings_module
from helpers.base.errors import BackendError
from helpers.base.gguf_header import read_header
from helpers.base.settings import BASE_MODEL, Settings
from helpers.base.tokens import reads

CONTEXT = 8192
"""Tokens that prompt and answer may have together: SmolLM2's, and the most for any model."""


@dataclass(frozen=True)
class Said:
    """An answer that takes no model: one that was looked up."""

    text: str


@dataclass(frozen=True)
class ServedMethod:
    """What is done with a chat before a model sees it: notes looked up, examples put in."""

    prepare: Callable[[Sequence[Mapping[str, Any]]], Sequence[Mapping[str, Any]] | Said]
    """The chat that the model is asked instead, or the answer itself."""
    max_tokens: int
    """Of an answer where the client sets no limit."""


@dataclass(frozen=True)
class ServedModel:
    """A model to answer with: base weights, and the adapter of a fine-tuned one."""

    id: str
    gguf: Path
    adapter: Path | None = None
    """LoRA weights as GGUF."""
    context: int = CONTEXT
    method: ServedMethod | None = field(default=None, compare=False)


@dataclass(frozen=True)
class BaseModel:
    """A model that can be served and fine-tuned."""

    id: str
    gguf: Path
    created: int
    """Unix seconds."""
    context: int = CONTEXT

    def served(self) -> ServedModel:
        """The model as it is, without an adapter."""
        return ServedModel(self.id, self.gguf, None, self.context)


def base_models(settings: Settings) -> dict[str, BaseModel]:
    """The course's model, and every *.gguf in the folder that `WORKBOOK_MODELS` names.

    Raises `BackendError` when the course's model is not installed, or when the folder is
    not there or holds a model that the course cannot train and serve.
    """
    own = settings_module.base_gguf()
    if own is None:
        raise BackendError("the base model is not installed", fix="run: python3 -m helpers doctor")
    files = {BASE_MODEL: own}
    if settings.extra_models:
        if not settings.extra_models.is_dir():
            raise BackendError(
                f"there is no folder {settings.extra_models}", fix="correct WORKBOOK_MODELS"
            )
        files |= {path.stem.lower(): path for path in sorted(settings.extra_models.glob("*.gguf"))}
    return {name: inspect(name, path) for name, path in files.items()}


def inspect(name: str, gguf: Path) -> BaseModel:
    """The base model in a GGUF file; only its header is read."""
    header = read_header(gguf)
    if header.get("general.architecture") != "llama" or not reads(header):
        raise BackendError(
            f"{gguf.name} is not a chat model of the SmolLM2 family",
            fix="take it out of the folder that WORKBOOK_MODELS names",
        )
    context = min(int(header["llama.context_length"]), CONTEXT)
    return BaseModel(name, gguf, int(gguf.stat().st_mtime), context)
