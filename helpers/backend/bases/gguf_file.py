"""Say whether a GGUF file can be a base, from its head alone, or why not.

For: `registry`. What is named "llama" in a file is not always computed alike: this module knows
which of them the trainer's network gives exactly. Not for: folders, see `folder`.

    check(Path("model.gguf"))      # GGUFShape(context=8192), or BackendError with the reason
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from helpers.base.errors import BackendError
from helpers.base.gguf_header import GGUFIndex, read_index
from helpers.base.tokens import reads

ENCODERS = ("bert", "t5encoder")
"""Endings of the names of architectures that make embeddings."""
KNOWN = re.compile(
    r"token_embd\.weight|output_norm\.weight|output\.weight|rope_freqs\.weight|"
    r"blk\.\d+\.(attn_norm|attn_q|attn_k|attn_v|attn_output|ffn_norm|ffn_gate|ffn_up|ffn_down)"
    r"\.weight"
)
"""The tensors of a Llama whose every part the trainer knows."""


class GGUFShape(NamedTuple):
    """What a server must know of a file."""

    context: int
    """Tokens that the model was made for."""
    licence: str = ""
    """As the file calls it."""


def check(path: Path) -> GGUFShape:
    """The shape of a file that can be trained and served.

    Raises `BackendError` for a model of another kind, `SetupError` for a damaged file.
    """
    index = read_index(path)
    if reason := _unfit(index):
        raise BackendError(f"{path.name} {reason[0]}", fix=reason[1])
    if missing := _missing_bytes(path, index):
        raise BackendError(
            f"{path.name} ends {missing:,} bytes early", fix="get the file again, to its end"
        )
    licence = str(index.header.get("general.license", ""))
    return GGUFShape(int(index.header["llama.context_length"]), licence)


def _unfit(index: GGUFIndex) -> tuple[str, str] | None:
    """Why not, and what to do instead."""
    header = index.header
    architecture = str(header.get("general.architecture", "")) or "none"
    if header.get("general.type") == "adapter":
        return "is an adapter and no base", "give the model that it was trained on"
    if architecture.endswith(ENCODERS):
        return f"makes embeddings ({architecture}): it cannot chat", "give a chat model"
    if architecture != "llama":
        fix = "give the Hugging Face folder of the model: it is trained and served from that"
        return f"is a model of the architecture {architecture!r}", fix
    if int(header.get("llama.expert_count", 0)):
        return "is a mixture of experts", "give a model with one network"
    return _unlike_llama(index) or _unreadable(header)


def _unlike_llama(index: GGUFIndex) -> tuple[str, str] | None:
    """What would be computed wrongly, although the file calls itself a Llama."""
    fix = "give the Hugging Face folder of the model: it is trained as it is"
    other = next((name for name in index.tensors if not KNOWN.fullmatch(name)), None)
    if other:
        return f"holds {other!r}, which a Llama does not have", fix
    scaling = index.header.get("llama.rope.scaling.type", "none")
    if scaling not in ("none", "linear"):
        return f"scales its positions by {scaling!r}", fix
    return None


def _unreadable(header: Mapping[str, Any]) -> tuple[str, str] | None:
    if not header.get("tokenizer.chat_template"):
        return "has no chat template", "give a model that was trained to chat"
    if not reads(header):
        family = header.get("tokenizer.ggml.pre", "none")
        fix = "give the Hugging Face folder of the model: its tokenizer comes with it"
        return f"has a vocabulary of the kind {family!r}, not SmolLM2's", fix
    return None


def _missing_bytes(path: Path, index: GGUFIndex) -> int:
    """How much of the file's tensors is not there."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    end = index.start
    for place in index.tensors.values():
        block, size = GGML_QUANT_SIZES[GGMLQuantizationType(place.kind)]
        values = 1
        for length in place.shape:
            values *= length
        end = max(end, index.start + place.offset + values // block * size)
    return max(0, end - path.stat().st_size)
