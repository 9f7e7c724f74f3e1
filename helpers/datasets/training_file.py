"""A training file on its way to a service: its bytes are read once, and parsed once.

For: checking, fingerprinting and sending the very same bytes, whatever happens to the file
meanwhile. Not for: what the server makes of them, see `helpers.backend.training.prepared`.

    file = TrainingFile.read("train.jsonl")
    file.sha256, file.check().report.ok
    client.files.create(file=(file.name, file.data), purpose="fine-tune")
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from helpers.base.files import opened
from helpers.datasets.token_counts import TokenCounter
from helpers.datasets.validation.cross_checks import CrossChecker, FileQuestions, QuestionCollector
from helpers.datasets.validation.file import MINIMUM, Look, look_through
from helpers.datasets.validation.lengths import LengthCheck
from helpers.datasets.validation.report import ValidationReport


@dataclass(frozen=True)
class CheckedFile:
    """What one reading of a training file has shown."""

    report: ValidationReport
    questions: FileQuestions
    """For `helpers.datasets.validation.cross_checks.leaks`."""


@dataclass(frozen=True)
class TrainingFile:
    """The name and the bytes of a file, as they stood when it was read."""

    name: str
    data: bytes

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> TrainingFile:
        """Read a file whole. Raises `DataError` if it cannot be opened."""
        with opened(path) as stream:
            return cls(Path(path).name, stream.read())

    @functools.cached_property
    def sha256(self) -> str:
        """SHA-256 of the bytes, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    def check(
        self,
        *,
        minimum: int = MINIMUM,
        count_tokens: Callable[[str], int] | None = None,
        max_tokens: int | None = None,
        keep: Collection[str] = (),
    ) -> CheckedFile:
        """Check the file as `validate_file` does with `deep`, and collect its questions."""
        questions = QuestionCollector()
        counter = TokenCounter(count_tokens) if count_tokens else None
        lengths = LengthCheck(counter, max_tokens=max_tokens)
        looks: list[Look] = [CrossChecker(keep=keep), questions]
        if counter:
            looks.append(lengths)
        # The bytes in memory, not the file: it may have been changed since they were read.
        report = look_through(io.BytesIO(self.data), looks, minimum=minimum)
        if counter:
            report = replace(report, tokens=lengths.lengths)
        return CheckedFile(report, questions.all())
