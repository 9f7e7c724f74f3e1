"""Which base models this machine has: the course's own, and those that a learner added.

For: the server's list of models, and `python3 -m helpers models`. One that cannot be used never
hides the others: it stands in the list with the reason. Not for: fine-tuned models, which the
store knows; nor models on a hub, see `hub`.

    every = find(settings.load())
    every.fit["smollm2-135m-instruct"].gguf
    [f"{one.name}: {one.reason}" for one in every.unfit.values()]
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.backend.bases import gguf_file
from helpers.base import settings as settings_module
from helpers.base.errors import BackendError, CourseError
from helpers.base.files import write_text
from helpers.base.settings import BASE_MODEL, Settings
from helpers.base.template_tokenizer import BASE_FILE

MAX_CONTEXT = 8192
"""Tokens that prompt and answer may have together at most: what a slot has memory for."""
ADDED = "models.json"
"""In the state folder: what was added by name."""
OWN_LICENCE = "apache-2.0"
"""Of the course's model."""


@dataclass(frozen=True)
class Base:
    """A model that can be served and fine-tuned."""

    id: str
    gguf: Path
    """What is served, and by which it is known everywhere; of a folder, it is made when needed."""
    created: int
    """Unix seconds."""
    context: int = MAX_CONTEXT
    folder: Path | None = None
    """The Hugging Face folder that it came as."""
    family: str = ""
    licence: str = ""
    """As its own files call it; empty if they do not."""
    source: str = ""
    """Where a hub has it, as `owner/name@revision`."""

    @property
    def place(self) -> Path:
        """What a learner gave: a folder or a file."""
        return self.folder or self.gguf


@dataclass(frozen=True)
class UnfitBase:
    """A file or folder that cannot be a base."""

    name: str
    path: Path
    reason: str
    """In one line, with the remedy."""


@dataclass(frozen=True)
class Bases:
    """All that was found, by name."""

    fit: dict[str, Base]
    unfit: dict[str, UnfitBase]


@dataclass(frozen=True)
class AddedBase:
    """What `models add` was told."""

    path: str
    source: str = ""
    licence: str = ""


def find(settings: Settings) -> Bases:
    """The course's model, what was added, and what `WORKBOOK_MODELS` names.

    Raises `BackendError` when the course's model is not installed or nothing is at that place.
    """
    own = settings_module.base_gguf()
    if own is None:
        raise BackendError("the base model is not installed", fix="run: python3 -m helpers doctor")
    # First, so that nothing added can take its name.
    found = Bases({BASE_MODEL: look_at(BASE_MODEL, own, settings)}, {})
    for name, one in added(settings).items():
        _take(found, name, Path(one.path), settings, one)
    for path in _named(settings.extra_models):
        _take(found, name_of(path), path, settings, AddedBase(str(path)))
    return found


def added(settings: Settings) -> dict[str, AddedBase]:
    """What was added by name. Raises `BackendError` for a damaged list."""
    path = settings.state / ADDED
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return {name: AddedBase(**one) for name, one in known.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        raise BackendError(f"{path} is damaged: {error}", fix="remove it, and add anew") from error


def keep_added(settings: Settings, every: dict[str, AddedBase]) -> None:
    """Write the list anew; a running server reads it at its next question for models."""
    text = json.dumps({name: vars(one) for name, one in every.items()}, indent=1)
    write_text(settings.state / ADDED, text)


def name_of(path: Path) -> str:
    """What a file or folder is called in requests: no colon, which parts a tuned model's name."""
    stem = path.stem if path.suffix == ".gguf" else path.name
    return re.sub(r"[^\w.-]+", "-", stem.lower()).strip("-.") or "base"


def _named(place: Path | None) -> Iterator[Path]:
    """A GGUF file, a model's folder, or all that stand in a folder."""
    if place is None:
        return
    from helpers.backend.bases.folder import CONFIG, looks_like_model

    if not place.exists():
        raise BackendError(f"there is no folder {place}", fix="correct WORKBOOK_MODELS")
    if place.is_file() or (place / CONFIG).is_file():
        yield place
        return
    for path in sorted(place.iterdir()):
        if path.suffix == ".gguf" or looks_like_model(path):
            yield path


def _take(found: Bases, name: str, path: Path, settings: Settings, told: AddedBase) -> None:
    """Put one where it belongs. A name is given once: the first keeps it."""
    if name in found.fit:
        reason = f"the name {name!r} is taken by {found.fit[name].place.name} (rename one of them)"
        found.unfit[f"{name} ({path.name})"] = UnfitBase(name, path, reason)
        return
    try:
        found.fit[name] = look_at(name, path, settings, told)
    except CourseError as error:
        found.unfit[name] = UnfitBase(name, path, str(error))


def look_at(name: str, path: Path, settings: Settings, told: AddedBase | None = None) -> Base:
    """The base in a GGUF file, of which only the head is read, or in a folder.

    Raises `BackendError` or `SetupError` with the reason for one that cannot be a base.
    """
    told = told or AddedBase(str(path))
    if path.is_dir():
        return _of_folder(name, path.resolve(), settings, told)
    if not path.is_file():
        raise BackendError(
            f"there is no {path}", fix="correct the path, or remove it from the list"
        )
    head = gguf_file.check(path)
    licence = OWN_LICENCE if name == BASE_MODEL else told.licence or head.licence
    return Base(
        name,
        path,
        int(path.stat().st_mtime),
        min(head.context, MAX_CONTEXT),
        family="Llama",
        licence=licence,
        source=told.source,
    )


def _of_folder(name: str, folder: Path, settings: Settings, told: AddedBase) -> Base:
    """What is known of a folder is kept beside the file that is made of it; a folder in which
    something was changed since is another base, and looked at anew."""
    from helpers.backend.bases import folder as model_folder
    from helpers.backend.bases.families import read_shape

    kept = settings.state / "bases" / f"{name}-{model_folder.fingerprint(folder)}"
    if not (kept / BASE_FILE).is_file():
        model_folder.check(folder)
        licence = told.licence or model_folder.licence(folder)
        known: dict[str, Any] = {"folder": str(folder), "licence": licence, "source": told.source}
        write_text(kept / BASE_FILE, json.dumps(known, indent=1))
    # Read back instead of kept from above, so that both ways give the same.
    known = json.loads((kept / BASE_FILE).read_text(encoding="utf-8"))
    shape = read_shape(model_folder.read_config(folder))
    return Base(
        name,
        kept / "model.gguf",
        int((folder / model_folder.CONFIG).stat().st_mtime),
        min(shape.context, MAX_CONTEXT),
        folder,
        shape.family.name,
        known["licence"],
        known["source"],
    )
