"""Keep graded answers on disk, with what is needed to know where they came from.

For: results that a later notebook reads. Not for: grading, see
`helpers.evaluation.grading`.

    save_result(folder, "03-v1", report, model=model, dataset="test.jsonl")
    load_result(folder, "03-v1").report
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from helpers.base.errors import DataError
from helpers.base.files import write_text
from helpers.evaluation.grading import EvaluationReport


@dataclass(frozen=True)
class Result:
    """A graded run with everything needed to know where it came from."""

    name: str
    model: str
    dataset_sha256: str
    seed: int | None
    created: str
    rows: tuple[dict[str, Any], ...]
    scorers: tuple[str, ...]
    details: dict[str, Any]

    @property
    def report(self) -> EvaluationReport:
        return EvaluationReport(self.rows, self.scorers)


def file_sha256(path: str | Path) -> str:
    """Hash of a file's bytes, hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def save_result(
    folder: Path,
    name: str,
    report: EvaluationReport,
    *,
    model: str,
    dataset: str | Path,
    seed: int | None = None,
    **details: Any,
) -> Result:
    """Write a result to `folder`/`name`.json, atomically, and return it."""
    result = Result(
        name,
        model,
        file_sha256(dataset),
        seed,
        datetime.now(UTC).isoformat(timespec="seconds"),
        report.rows,
        report.scorers,
        details,
    )
    write_text(folder / f"{name}.json", json.dumps(asdict(result), indent=1))
    return result


def load_result(folder: Path, name: str) -> Result:
    """A result that an earlier notebook wrote. Raises `DataError` that names what is missing."""
    path = folder / f"{name}.json"
    if not path.is_file():
        number = name[:2]
        first = f"run notebook {number} first" if number.isdigit() else "make it first"
        raise DataError(f"no stored result {name!r}", fix=f"{first}, it is stored there")
    data = json.loads(path.read_text(encoding="utf-8"))
    data["rows"], data["scorers"] = tuple(data["rows"]), tuple(data["scorers"])
    return Result(**data)
