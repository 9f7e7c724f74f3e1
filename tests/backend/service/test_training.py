"""What a job is told of its files before it trains."""

from __future__ import annotations

from pathlib import Path

from helpers.backend.service.training import JobData
from helpers.backend.training.prepared import PreparedFile
from helpers.datasets.validation.codes import problem
from helpers.datasets.validation.report import ValidationReport


def test_a_warning_counts_all_lines_though_the_report_holds_the_first_alone():
    held = tuple(problem("example_too_long", n, f"Line {n} is long") for n in range(1, 6))
    report = ValidationReport("chat", 2_000, held, {"example_too_long": 2_000})
    (text,) = JobData(PreparedFile("", report, Path("x")), None).warnings()
    assert "Line 3 is long; and 1,997 more" in text
