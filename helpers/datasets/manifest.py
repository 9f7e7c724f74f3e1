"""Versions of a dataset, and the way from a model back to the data it learnt.

For: a hash and a version for each dataset, written to `dataset.json` beside its files and
carried in a job's metadata. Not for: keeping old versions, which is git's task.

    version = write_manifest(folder, name="support", version="1.0")
    job = client.fine_tuning.jobs.create(..., metadata=metadata(version))
    of_model("ft:…", client.fine_tuning.jobs.list())      # {"dataset": "support", …}
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from helpers.base import jsonl
from helpers.base.errors import DataError
from helpers.base.files import Readable, atomic

MANIFEST = "dataset.json"
PAIRS, KEY_LENGTH, VALUE_LENGTH = 16, 64, 512
"""OpenAI's limits for metadata."""


@dataclass(frozen=True)
class FileVersion:
    """One file of a dataset."""

    name: str
    examples: int
    sha256: str


@dataclass(frozen=True)
class DatasetVersion:
    """A dataset at one point in its history."""

    name: str
    version: str
    sha256: str
    """Over all files; the same examples in the same files give the same hash."""
    created: str
    files: tuple[FileVersion, ...]
    notes: str = ""


def content_hash(source: Readable | Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 of the examples of a file, or of examples in memory.

    The order of the lines, of keys and the white space between them do not count: shuffled
    or reformatted, it is the same dataset. Each repetition of an example counts.
    """
    return _hash(source)[0]


def _hash(source: Readable | Iterable[Mapping[str, Any]]) -> tuple[str, int]:
    is_file = isinstance(source, str | Path) or hasattr(source, "readline")
    examples: Iterable[Mapping[str, Any]] = jsonl.read(source) if is_file else source  # type: ignore[arg-type, assignment]
    # Sorted: the order of the lines does not count, but each repetition does.
    digests = sorted(hashlib.sha256(_canonical(example)).digest() for example in examples)
    return hashlib.sha256(b"".join(digests)).hexdigest(), len(digests)


def _canonical(example: Mapping[str, Any]) -> bytes:
    text = json.dumps(example, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def describe(
    folder: str | Path,
    *,
    name: str,
    version: str,
    files: Sequence[str] | None = None,
    notes: str = "",
    now: dt.datetime | None = None,
) -> DatasetVersion:
    """The version of the JSONL files in a folder (default: all of them)."""
    folder = Path(folder)
    names = sorted(files or (path.name for path in folder.glob("*.jsonl")))
    if not names:
        raise DataError(f"no JSONL file in {folder.name}", fix="write the splits there first")
    made = []
    for file in names:
        sha256, examples = _hash(folder / file)
        made.append(FileVersion(file, examples, sha256))
    whole = hashlib.sha256("".join(f"{f.name} {f.sha256}\n" for f in made).encode()).hexdigest()
    stamp = (now or dt.datetime.now(dt.UTC)).strftime("%Y-%m-%d")
    return DatasetVersion(name, version, whole, stamp, tuple(made), notes)


def write_manifest(
    folder: str | Path,
    *,
    name: str,
    version: str,
    files: Sequence[str] | None = None,
    notes: str = "",
    now: dt.datetime | None = None,
) -> DatasetVersion:
    """Describe a folder and write it down as `dataset.json`."""
    made = describe(folder, name=name, version=version, files=files, notes=notes, now=now)
    text = json.dumps(asdict(made), indent=2, ensure_ascii=False) + "\n"
    with atomic(Path(folder) / MANIFEST) as stream:
        stream.write(text.encode())
    return made


def metadata(version: DatasetVersion, **more: str) -> dict[str, str]:
    """What to attach to a job. Raises `DataError` beyond OpenAI's limits for metadata."""
    pairs = {
        "dataset": version.name,
        "dataset_version": version.version,
        "dataset_sha256": version.sha256,
        **more,
    }
    if len(pairs) > PAIRS:
        raise DataError(f"{len(pairs)} pairs of metadata", fix=f"keep at most {PAIRS}")
    for key, value in pairs.items():
        if len(key) > KEY_LENGTH or len(value) > VALUE_LENGTH:
            fix = f"keys have at most {KEY_LENGTH} letters, values {VALUE_LENGTH}"
            raise DataError(f"the metadata {key[:20]!r} is too long", fix=fix)
    return pairs


def of_model(model: str, jobs: Iterable[Any]) -> dict[str, str] | None:
    """The metadata of the job that made a model; None if no job did.

    `jobs` is what `client.fine_tuning.jobs.list()` gives. A checkpoint's name leads to
    the job of the whole model.
    """
    base = model.split(":ckpt-step-")[0]
    for job in jobs:
        if job.fine_tuned_model == base:
            return dict(job.metadata or {})
    return None
