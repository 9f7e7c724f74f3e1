"""What it takes to answer with a model: its weights, and what is done with a chat before.

For: the engine and whoever asks it. Not for: which models there are, see
`helpers.backend.bases.registry` for bases, and the store for fine-tuned ones.

    ServedModel.of(base)
    ServedModel("ft:support", base.gguf, folder / "adapter.gguf")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers.backend.bases.registry import MAX_CONTEXT, Base


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
    choices: tuple[str, ...] = ()
    """The only answers that there are, where the method names labels."""


@dataclass(frozen=True)
class ServedModel:
    """A model to answer with: base weights, and the adapter of a fine-tuned one."""

    id: str
    gguf: Path
    adapter: Path | None = None
    """LoRA weights as GGUF."""
    context: int = MAX_CONTEXT
    # Not compared: the same weights are loaded once, whatever is done with a chat before.
    method: ServedMethod | None = field(default=None, compare=False)

    @classmethod
    def of(cls, base: Base) -> ServedModel:
        """A base as it is, without an adapter."""
        return cls(base.id, base.gguf, None, base.context)
