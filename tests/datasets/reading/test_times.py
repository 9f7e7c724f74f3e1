from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from helpers.base.errors import ChoiceNeeded
from helpers.datasets.reading.times import read_times


def moments(*values: Any, **told: Any) -> list[str | None]:
    stamps = read_times(values, **told).stamps
    return [
        None if stamp is None else datetime.fromtimestamp(stamp, UTC).strftime("%Y-%m-%d %H:%M")
        for stamp in stamps
    ]


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-12T16:40:00Z",
        "2024-03-12 17:40:00+01:00",
        "2024-03-12 16:40:00 UTC",
        "1710261600",
        "1710261600000",
        "1710261600.25",
        "12.03.2024 16:40",
        "12.03.24, 16:40:05",
        "12. März 2024, 16:40",
        "12 mars 2024 16h40",
        "12 de marzo de 2024, 4:40 p. m.",
        "12 марта 2024 г., 16:40",
        "Mar 12, 2024 4:40 PM",
        "Tue, 12 Mar 2024 17:40:00 +0100",
        "Tue Mar 12 16:40:00 +0000 2024",
        "12/Mar/24 4:40 PM",
        "2024年3月12日 16:40",
        "2024. 3. 12. 오후 4:40",
        "2024/3/12, 4:40\u202fpm",
        "2024-03-12 17:40 CET",
        "Tue Mar 12 2024 17:40:00 GMT+0100 (Central European Standard Time)",
        "12-MAR-24 04.40.00.000000 PM",
        "2024年3月12日 16時40分",
        "20240312T164000Z",
        "1,710,261,600",
        "/Date(1710261600000)/",
        "12 मार्च 2024 16:40",
        "mar. 12/03/2024 16:40",
        "mar. 12.03.24 16:40",
        "mar. 2024-03-12 16:40",
        "mar. 12 mars 2024 16:40",
        "mar, 12 mar 2024 16:40",
        "12-MAR-24 04.40.00 PM",
        "12-MAR-24 11.40.00 AM -05:00",
        "2024-03-12 08:40 (PST)",
        "12 Mar 2024 11:40 (EST)",
        "Wed, 13 Mar 2024 00:40:00 +0800 (CST)",
        "2024-03-13 00:40:00+08:00 (CST)",
        "2024-03-12 16:40 (Western Time)",
    ],
)
def test_one_moment_in_many_hands(text: str) -> None:
    assert moments(text) == ["2024-03-12 16:40"]


def test_a_tuesday_among_other_days_is_read_as_they_are() -> None:
    column = ["lun. 11/03/2024 10:15", "mar. 12/03/2024 10:15", "mer. 13/03/2024 10:15"]
    assert moments(*column) == ["2024-03-11 10:15", "2024-03-12 10:15", "2024-03-13 10:15"]


def test_zones_in_brackets_order_what_was_written_in_them() -> None:
    assert moments("03/15/2024 09:30 (PST)", "03/15/2024 10:30 (EST)") == [
        "2024-03-15 17:30",
        "2024-03-15 15:30",
    ]


def test_the_whole_column_tells_where_the_day_stands() -> None:
    column = read_times(["03/04/2024", "13/04/2024"])
    assert (column.form, column.ground) == (
        "day first",
        "read month first, 1 times would be no date",
    )
    assert moments("03/04/2024", "04/13/2024") == ["2024-03-04 00:00", "2024-04-13 00:00"]


def test_conversations_that_run_one_way_tell_it_too() -> None:
    values = ["10/03/2024 10:00", "01/04/2024 09:00", "05/04/2024 09:00"]
    column = read_times(values, ["a", "a", "a"])
    assert column.form == "day first"
    assert "oldest first" in column.ground


def test_what_can_be_read_in_two_ways_is_asked() -> None:
    values = ["04/05/2024 09:00", "05/04/2024 16:40", "06/03/2024 10:00"]
    with pytest.raises(ChoiceNeeded) as raised:
        read_times(values)
    assert raised.value.argument == "date_format"
    assert [one.value for one in raised.value.candidates] == ["day first", "month first"]
    for one in raised.value.candidates:
        assert None not in read_times(values, date_format=one.value).stamps


def test_a_month_with_two_meanings_is_asked() -> None:
    with pytest.raises(ChoiceNeeded, match="listopad"):
        read_times(["12. listopad 2024"])
    assert moments("12. listopad 2024", date_format="month names: hr") == ["2024-10-12 00:00"]


def test_other_forms_and_gaps_are_not_read_as_times() -> None:
    assert moments("2024-03-12", "", None, "soon", "12.03.2024")[1:] == [None] * 4
    assert moments("12-2024-03 1", date_format="%d-%Y-%m %H") == ["2024-03-12 01:00"]
