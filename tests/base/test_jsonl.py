from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.base import jsonl
from helpers.base.errors import DataError


def lines_of(data: bytes, **options: Any) -> list[jsonl.Line]:
    return list(jsonl.lines(io.BytesIO(data), **options))


def test_lines_carry_number_bytes_and_ending() -> None:
    assert lines_of(b"a\r\n\nb") == [
        jsonl.Line(1, b"a", b"\r\n"),
        jsonl.Line(2, b"", b"\n"),
        jsonl.Line(3, b"b", b""),
    ]


def test_a_byte_order_mark_is_taken_off_the_first_line_alone() -> None:
    first, second = lines_of(jsonl.BOM + b"a\n" + jsonl.BOM + b"b\n")
    assert (first.raw, first.bom) == (b"a", True)
    assert (second.raw, second.bom) == (jsonl.BOM + b"b", False)


def test_an_over_long_line_is_skipped_to_its_end() -> None:
    found = lines_of(b"x" * 50 + b"\nshort\n", limit=20)
    assert [(line.number, line.over_long) for line in found] == [(1, True), (2, False)]
    assert found[1].raw == b"short"


def test_a_line_of_exactly_the_limit_is_not_over_long() -> None:
    assert [line.over_long for line in lines_of(b"x" * 19 + b"\n" + b"y\n", limit=20)] == [
        False,
        False,
    ]


@given(st.binary(max_size=200) | st.text("a\n\r", max_size=60).map(str.encode), st.integers(1, 20))
def test_lines_lose_no_byte_wherever_blocks_end(data: bytes, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonl, "BLOCK", block)
        found = lines_of(data)
    joined = b"".join((jsonl.BOM if line.bom else b"") + line.raw + line.ending for line in found)
    assert joined == data
    assert [line.number for line in found] == list(range(1, len(found) + 1))
    assert all(b"\n" not in line.raw for line in found)


@given(st.lists(st.integers(0, 60), max_size=6), st.integers(1, 30))
def test_over_long_lines_are_cut_wherever_blocks_end(lengths: list[int], block: int) -> None:
    data = b"".join(b"x" * length + b"\n" for length in lengths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonl, "BLOCK", block)
        found = lines_of(data, limit=20)
    assert [line.number for line in found] == list(range(1, len(lengths) + 1))
    assert all(len(line.raw) <= 20 for line in found)
    for line, length in zip(found, lengths, strict=True):
        assert line.over_long == (length + 1 > 20)


json_rows = st.lists(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.text(st.characters(exclude_categories=["Cs"])) | st.integers(-(2**63), 2**63),
    ),
    max_size=5,
)


@given(json_rows)
def test_what_is_written_is_read_back(rows: list[dict[str, Any]]) -> None:
    data = b"".join(map(jsonl.dump, rows))
    assert data.count(b"\n") == len(rows)
    assert list(jsonl.read(io.BytesIO(data))) == rows


def test_reading_passes_over_blank_lines_and_names_the_bad_one() -> None:
    stream = io.BytesIO(b'{"a": 1}\n\n[2]\n')
    rows = jsonl.read(stream)
    assert next(rows) == {"a": 1}
    with pytest.raises(DataError, match="line 3 is not a JSON object"):
        next(rows)


def test_reading_a_missing_file_or_a_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jsonl: No such file"):
        list(jsonl.read(tmp_path / "gone.jsonl"))
    with pytest.raises(DataError, match="is a folder"):
        list(jsonl.read(tmp_path))


def test_writing_replaces_the_file_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.jsonl"
    assert jsonl.write(path, [{"text": "é"}]) == 1
    assert path.read_bytes() == '{"text": "é"}\n'.encode()

    def failing() -> Any:
        yield {"text": "half"}
        raise RuntimeError

    with pytest.raises(RuntimeError):
        jsonl.write(path, failing())
    assert json.loads(path.read_text(encoding="utf-8")) == {"text": "é"}
    assert [file.name for file in path.parent.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize("value", [float("nan"), object(), "\ud800"])
def test_a_row_that_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        jsonl.dump({"value": value})
