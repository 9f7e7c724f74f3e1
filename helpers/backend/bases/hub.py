"""Look up and fetch a model of the Hugging Face hub, one revision of it.

For: `python3 -m helpers models add OWNER/NAME`. Only what is needed comes: configuration,
tokenizer, safetensors. Size and licence are known before anything is fetched. Not for: anything
without a network; `HF_ENDPOINT`, `HF_HOME` and `HF_TOKEN` are huggingface_hub's own.

    found = look_up("Qwen/Qwen3-0.6B")
    found.bytes, found.licence       # 1,520,000,000, "apache-2.0"
    folder = fetch(found)
"""

from __future__ import annotations

import contextlib
import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.base.errors import BackendError

NAME = re.compile(r"[\w.-]+/[\w.-]+")
WANTED = ("*.json", "*.safetensors", "*.jinja", "README.md", "LICENSE*")
"""Files of a model's own folder; those of folders in it are other forms of the same weights."""
OTHER_FORM = "consolidated*"
"""Mistral's own form of the weights, beside those that transformers reads."""


@dataclass(frozen=True)
class HubModel:
    """One revision of a model on the hub."""

    name: str
    """`owner/name`."""
    revision: str
    """The commit, so that the same name means the same files tomorrow."""
    licence: str
    """As its card names it; empty if it does not."""
    files: tuple[str, ...]
    bytes: int
    """Of all these files."""

    @property
    def source(self) -> str:
        return f"{self.name}@{self.revision}"


def is_hub_name(text: str) -> bool:
    """Whether it has the form `owner/name`."""
    return NAME.fullmatch(text) is not None


def look_up(name: str, *, revision: str | None = None) -> HubModel:
    """What is there, without fetching it.

    Raises `BackendError` without a network, for a name that is not there, and for a model that
    wants its licence to be accepted first.
    """
    from huggingface_hub import HfApi

    with _said(name):
        info = HfApi().model_info(name, revision=revision, files_metadata=True)
    sizes = {
        file.rfilename: int(file.size or 0)
        for file in info.siblings or ()
        if any(fnmatch.fnmatch(file.rfilename, form) for form in WANTED)
        and "/" not in file.rfilename
        and not fnmatch.fnmatch(file.rfilename, OTHER_FORM)
    }
    if not any(file.endswith(".safetensors") for file in sizes):
        fix = "take a release with .safetensors"
        raise BackendError(f"{name} holds no .safetensors", fix=fix)
    card: Any = info.card_data or {}
    named = card.get("license_name") if card.get("license") == "other" else card.get("license")
    total = sum(sizes.values())
    return HubModel(name, str(info.sha), str(named or ""), tuple(sorted(sizes)), total)


def fetch(model: HubModel) -> Path:
    """The folder in huggingface_hub's cache, whole; what is there already is not fetched again.

    Raises `BackendError` as `look_up` does. Interrupted, it goes on at the next call.
    """
    from huggingface_hub import snapshot_download

    with _said(model.name):
        return Path(
            snapshot_download(model.name, revision=model.revision, allow_patterns=list(model.files))
        )


@contextlib.contextmanager
def _said(name: str) -> Iterator[None]:
    """Turn the library's errors into one line with a remedy."""
    from huggingface_hub import errors

    # Of the HTTP library that this release uses; which one that is has changed before.
    no_answer: Any = vars(errors)["HTTPError"]

    offline = "give the path of a folder that you have, or come back with a network"
    try:
        yield
    except errors.HFValidationError as error:
        fix = "correct the path, or give OWNER/NAME of the Hugging Face hub"
        raise BackendError(f"there is no {name}, neither here nor on the hub", fix=fix) from error
    except errors.GatedRepoError as error:
        fix = "accept them on its page, then run: hf auth login"
        raise BackendError(f"{name} asks for its terms to be accepted", fix=fix) from error
    except errors.RevisionNotFoundError as error:
        fix = "correct --revision, or leave it out"
        raise BackendError(f"{name} has no such revision", fix=fix) from error
    except errors.RepositoryNotFoundError as error:
        fix = "correct the name; for a private one run: hf auth login"
        raise BackendError(f"the hub has no model {name}", fix=fix) from error
    except errors.OfflineModeIsEnabled as error:
        raise BackendError(
            f"{name} cannot be fetched: HF_HUB_OFFLINE is set", fix=offline
        ) from error
    except (errors.LocalEntryNotFoundError, no_answer, OSError) as error:
        why = str(error).strip().splitlines()[0][:200] if str(error).strip() else "no answer"
        raise BackendError(f"{name} cannot be fetched: {why}", fix=offline) from error
