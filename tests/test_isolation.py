"""How the tests are shared out between processes."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.isolation import ByFile, _too_late


@pytest.mark.parametrize(
    ("test", "group"),
    [
        ("notebooks/00_start_here.ipynb::Cell 0", "course"),
        ("notebooks/07_choosing.ipynb::Cell 12", "course"),
        ("tests/test_claims.py::test_one[a::b]", "course"),
        ("tests/rag/test_index.py::TestX::test_two", "tests/rag/test_index.py"),
    ],
)
def test_notebooks_and_claims_stay_together_and_each_file_too(test, group):
    assert ByFile._split_scope(None, test) == group


@pytest.mark.parametrize(
    ("file", "slow", "until", "late"),
    [
        ("notebooks/04_iteration.ipynb", False, "1", True),
        ("tests/rag/test_index.py", True, "1", True),
        ("tests/rag/test_index.py", False, "1", False),
        ("tests/test_claims.py", True, "1", False),
        ("notebooks/04_iteration.ipynb", False, "9e12", False),
        ("tests/rag/test_index.py", True, None, False),
    ],
)
def test_cells_and_slow_tests_do_not_begin_after_the_time_that_was_given(
    monkeypatch, file, slow, until, late
):
    if until is None:
        monkeypatch.delenv("WORKBOOK_TEST_UNTIL", raising=False)
    else:
        monkeypatch.setenv("WORKBOOK_TEST_UNTIL", until)
    item = SimpleNamespace(path=Path(file), get_closest_marker=lambda name: slow or None)
    assert _too_late(item) == late
