from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from helpers.datasets.reading.number_formats import shown

DAY = datetime(2024, 5, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (0.25, "0%", "25%"),
        (0.12345, "0.0%", "12.3%"),
        (0.25, "0 %", "25 %"),
        (42, "00000", "00042"),
        (9.5, '"€"#,##0.00', "€9.50"),
        (1234.5, "#,##0.00\\ [$€-407]", "1,234.50 €"),
        (-5, "0;(0)", "(5)"),
        (-5, "0.0", "-5.0"),
        (0, '0;-0;"none"', "none"),
        (1234567, "#,##0", "1,234,567"),
        (2500000, "0.0,,", "2.5"),
        (0.1 + 0.2, "General", "0.3"),
        (3.0, "General", "3"),
        (1.005, "0.00", "1.01"),
        (12.5, "# ?/?", "12 1/2"),
        (431234567, "000-00-0000", "431-23-4567"),
        (12345, "0.00E+00", "1.23E+04"),
        (7, '0 "days"', "7 days"),
        (True, "General", "TRUE"),
        (DAY, "dd mmm yyyy", "03 May 2024"),
        (DAY, "d.m.yy", "3.5.24"),
        (DAY, "mm-dd-yy", "2024-05-03"),
        (DAY.replace(hour=16, minute=4), "d/m/yyyy h:mm AM/PM", "3/5/2024 4:04 PM"),
        (DAY, 'dddd, d. mmmm"!"', "Friday, 3. May!"),
        (time(9, 30), "hh:mm", "09:30"),
        (timedelta(hours=36), "[h]:mm", "36:00"),
        (timedelta(minutes=90, seconds=5), "[m]:ss", "90:05"),
        (5, "[>100]0;0", None),
    ],
)
def test_cells_as_the_sheet_shows_them(value: Any, form: str, text: str | None) -> None:
    assert shown(value, form) == text
