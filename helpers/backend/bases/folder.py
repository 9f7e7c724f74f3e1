"""Say whether a Hugging Face folder can be a base, or why not, in one line.

For: `registry`. All that would show only later, while a job or an answer is under way, is looked
for here: half a download, another kind of model, a tokenizer that does not fit. Not for: GGUF
files, see `gguf_file`.

    check(Path("Qwen3-0.6B")).family.name      # "Qwen3", or BackendError with the reason
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from helpers.backend.bases.convert import check_names
from helpers.backend.bases.families import ModelShape, read_shape
from helpers.backend.bases.vocabulary import check_vocabulary
from helpers.backend.bases.weights import TYPES, FolderWeights
from helpers.base import template_tokenizer
from helpers.base.errors import BackendError, CourseError, SetupError

CONFIG = "config.json"
AGAIN = "get the folder again, to its end"
POINTER = b"version https://git-lfs"
"""How a file begins that Git has left out."""
SENTENCES = "modules.json"
"""What sentence-transformers writes beside a model that makes embeddings."""
ENCODERS = ("bert", "roberta", "mpnet", "electra", "deberta", "modernbert", "t5encoder", "xlm")


def check(folder: Path) -> ModelShape:
    """The shape of a folder that can be trained and served. Weights are not read, only named.

    Raises `BackendError` with the reason for any other.
    """
    try:
        return _check(folder)
    except CourseError as error:
        said = error.message.removeprefix(f"{folder.name} ")
        raise BackendError(f"{folder.name} {said}", fix=error.fix) from error


def looks_like_model(folder: Path) -> bool:
    """Whether a folder was meant to hold a model, whole or not."""
    names = ("*config.json", "*.safetensors", "*.bin", "tokenizer*", "*.incomplete")
    return folder.is_dir() and any(next(folder.glob(name), None) for name in names)


def fingerprint(folder: Path) -> str:
    """Another one whenever a file was changed that says what the model computes."""
    # By size and time, since reading gigabytes at each start would take minutes.
    files = [p for p in folder.iterdir() if p.suffix in (".json", ".safetensors", ".jinja")]
    try:
        known = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(files)]
    except OSError as error:
        raise BackendError(
            f"{folder.name} names a file that is gone: {error}", fix=AGAIN
        ) from error
    return hashlib.sha256(repr(known).encode()).hexdigest()[:8]


def read_config(folder: Path) -> dict[str, Any]:
    """Its config.json. Raises `BackendError` if there is none, or it is damaged."""
    path = folder / CONFIG
    if not path.is_file():
        if (folder / "adapter_config.json").is_file():
            raise _adapter(folder)
        raise BackendError(f"lacks {CONFIG}", fix=AGAIN)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackendError(f"has a damaged {CONFIG}: {error}", fix=AGAIN) from error
    if not isinstance(found, dict):
        raise BackendError(f"has a damaged {CONFIG}: no object", fix=AGAIN)
    return found


def licence(folder: Path) -> str:
    """What the head of its README.md calls its licence; empty if it says nothing."""
    path = folder / "README.md"
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    # Between two lines of "---": `license: other`, and then `license_name: gemma`.
    head = text.split("---")[1] if text.startswith("---") and text.count("---") > 1 else ""
    said = dict(line.split(":", 1) for line in head.splitlines() if ":" in line)
    name = said.get("license", "").strip()
    return said.get("license_name", name).strip() if name == "other" else name


def _check(folder: Path) -> ModelShape:
    config = read_config(folder)
    _is_for_chats(folder, config)
    shape = read_shape(config)
    _is_whole(folder)
    weights = FolderWeights(folder)
    if other := weights.types - TYPES.keys():
        fix = "take a release in BF16, F16 or F32"
        raise BackendError(f"holds weights stored as {', '.join(sorted(other))}", fix=fix)
    check_names(shape, weights)
    _has_tokenizer(folder, shape)
    return shape


def _is_for_chats(folder: Path, config: dict[str, Any]) -> None:
    made_for = " ".join(map(str, config.get("architectures") or ()))
    kind = str(config.get("model_type", ""))
    if (folder / SENTENCES).is_file() or kind.startswith(ENCODERS):
        raise BackendError(f"makes embeddings ({kind}): it cannot chat", fix="give a chat model")
    if config.get("is_encoder_decoder"):
        raise BackendError(f"has an encoder before its decoder ({kind})", fix="give a chat model")
    if (folder / "adapter_config.json").is_file():
        if not any(folder.glob("model*.safetensors")):
            raise _adapter(folder)
        # transformers would add it to the weights, and llama.cpp would not.
        raise BackendError(
            "holds an adapter beside its own weights", fix="move adapter_config.json out of it"
        )
    if made_for and "ForCausalLM" not in made_for:
        fix = "give the release that continues texts (…ForCausalLM)"
        raise BackendError(f"is made for something else than chats ({made_for})", fix=fix)


def _adapter(folder: Path) -> BackendError:
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        base = config.get("base_model_name_or_path") or "the model that it was trained on"
    except (OSError, ValueError, AttributeError):
        base = "the model that it was trained on"
    return BackendError("is an adapter and no base", fix=f"give {base}")


def _is_whole(folder: Path) -> None:
    """Raises `BackendError` where a download ended early."""
    # A clone without Git LFS has small text files under the weights' names.
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as stream:
            if stream.read(len(POINTER)) == POINTER:
                fix = "run `git lfs pull` in it, or get it with: python3 -m helpers models add"
                raise BackendError(f"has only a pointer of Git in place of {path.name}", fix=fix)
    if part := next((p for p in folder.iterdir() if p.suffix in (".incomplete", ".part")), None):
        raise BackendError(f"is not downloaded to its end: {part.name} is there", fix=AGAIN)


def _has_tokenizer(folder: Path, shape: ModelShape) -> None:
    tokenizer = template_tokenizer.load(folder)
    check_vocabulary(folder)
    # Fewer is usual: embeddings are padded to a round number of rows.
    known = tokenizer.core.get_vocab_size(with_added_tokens=True)
    if known > shape.vocabulary:
        raise SetupError(
            f"has a tokenizer of {known:,} tokens for {shape.vocabulary:,} embeddings",
            fix="take the tokenizer that belongs to the model",
        )
    assert tokenizer.end_mark  # raises for a template that ends no answer
