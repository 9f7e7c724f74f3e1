"""What lies in the exchange for one job, and who may write where.

For: the server (`ray_jobs`) and the node (`node`), which agree here. Not for: carrying files,
see `exchange`.

- `given/`: by the server, once: the spec and the files that it names
- `attempts/3/`: by the node of the third attempt alone, and read by the server
- `attempts/3/stop`: by the server: save the state and stop

    state = newest_state(exchange, "jobs/ftjob-a", before=3)

Each attempt has a prefix of its own, since a node that was cut off from the cluster may go on
computing and writing for a while: what it writes, nobody reads any more. A saved state has a
new name each time and then becomes what `resume.json` names, with its SHA-256: whoever reads
finds one that is whole, or the one before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.backend.executors.exchange import Exchange
from helpers.backend.training.spec import SPEC
from helpers.base.files import write_text
from helpers.base.template_tokenizer import BASE_FILE, folder_of

STATE = "resume.json"
FILES = ("training_file", "validation_file", "requests")
PARENT = "parent_adapter"
BASE = "base_gguf"
BASE_FOLDER = "base"
MODEL_FILES = (".json", ".safetensors", ".jinja")
"""What of a Hugging Face folder says what its model computes."""


def prefix(job: str) -> str:
    """Where a job's files lie."""
    return f"jobs/{job}"


def attempt_prefix(job: str, number: int) -> str:
    """Where the node of an attempt writes."""
    return f"{prefix(job)}/attempts/{number}"


@dataclass(frozen=True)
class SavedState:
    """A trainer's state in the exchange, and the attempt that wrote it."""

    attempt: int
    name: str
    sha256: str


def newest_state(exchange: Exchange, job: str, *, before: int) -> SavedState | None:
    """The state that an attempt goes on from; None: it begins at the beginning."""
    for number in range(before - 1, -1, -1):
        text = exchange.get(f"{attempt_prefix(job, number)}/{STATE}")
        if text is not None:
            found = json.loads(text)
            return SavedState(number, found["name"], found["sha256"])
    return None


def save_state(exchange: Exchange, job: str, number: int, path: Path, count: int) -> None:
    """Put a state into the exchange, then make it the newest; the one before last goes."""
    place = attempt_prefix(job, number)
    # A name of its own: whoever reads the state before must not find half of this one.
    name = f"resume-{count}.pt"
    exchange.put_file(f"{place}/{name}", path)
    known = {"name": name, "sha256": sha256_of(path)}
    exchange.put(f"{place}/{STATE}", json.dumps(known).encode())
    # The last but one stays: another node may just be reading it.
    if count > 1:
        exchange.remove(f"{place}/resume-{count - 2}.pt")


def give(exchange: Exchange, job: str, folder: Path) -> None:
    """Put the spec of a job's folder, and what it names, where a node finds it.

    Paths become relative; the base becomes its name and SHA-256.
    """
    place = f"{prefix(job)}/given"
    spec = json.loads((folder / SPEC).read_text(encoding="utf-8"))
    for key in FILES:
        if spec.get(key):
            path = Path(spec[key])
            exchange.put_file(f"{place}/{path.name}", path)
            spec[key] = path.name
    if spec.get(PARENT):
        exchange.put_folder(f"{place}/parent", Path(spec[PARENT]))
        spec[PARENT] = "parent"
    spec[BASE] = give_base(exchange, Path(spec[BASE]))
    # Last: a spec says that what it names is there.
    exchange.put(f"{place}/{SPEC}", json.dumps(spec, indent=1).encode())


def give_base(exchange: Exchange, gguf: Path) -> dict[str, Any]:
    """Put a base where nodes find it, once for all jobs; returns what names it in a spec."""
    folder = folder_of(gguf)
    paths = _model_files(folder) if folder else [gguf]
    files = {path.name: sha256_of(path) for path in paths}
    # Of a folder, that of the list of its files.
    sha256 = _sha256_of_list(files) if folder else files[gguf.name]
    there = exchange.names(f"bases/{sha256}")
    for path in paths:
        if path.name not in there:
            exchange.put_file(f"bases/{sha256}/{path.name}", path)
    return {"name": gguf.name, "sha256": sha256, "files": files, "folder": folder is not None}


def take_base(
    exchange: Exchange, known: Mapping[str, Any], folder: Path, *, bases: Mapping[str, Path]
) -> Path:
    """Where this machine has a base, after bringing it into `folder` if it is not in `bases`.

    Raises `ValueError` where the exchange holds something else under its name.
    """
    if known["sha256"] in bases:
        return bases[known["sha256"]]
    place = folder / BASE_FOLDER
    for name, sha256 in known["files"].items():
        exchange.get_file(f"bases/{known['sha256']}/{name}", place / name)
        if sha256_of(place / name) != sha256:
            raise ValueError(f"{name} in the exchange is not what the job names")
    if not known["folder"]:
        return place / str(known["name"])
    # As on the server: the name of a GGUF that nobody has made yet, beside it what it is made of.
    write_text(folder / BASE_FILE, json.dumps({"folder": BASE_FOLDER}))
    return folder / str(known["name"])


def _model_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in MODEL_FILES)


def _sha256_of_list(files: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def is_given(exchange: Exchange, job: str) -> bool:
    """Whether all of a job's files are in the exchange."""
    return exchange.get(f"{prefix(job)}/given/{SPEC}") is not None


def take(exchange: Exchange, job: str, folder: Path, *, bases: Mapping[str, Path]) -> None:
    """Bring a job's files into a folder of this machine, and write a spec with paths of here.

    `bases` are base models that this machine has, by SHA-256; another one is brought too.
    """
    place = f"{prefix(job)}/given"
    given = exchange.names(place)
    for name in given:
        if name != SPEC:
            exchange.get_file(f"{place}/{name}", folder / name)
    spec: dict[str, Any] = json.loads(exchange.get(f"{place}/{SPEC}") or b"{}")
    spec[BASE] = str(take_base(exchange, spec[BASE], folder, bases=bases))
    for key in (*FILES, PARENT):
        if spec.get(key):
            spec[key] = str(folder / spec[key])
    write_text(folder / SPEC, json.dumps(spec, indent=1))


def sha256_of(path: Path) -> str:
    """Of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
