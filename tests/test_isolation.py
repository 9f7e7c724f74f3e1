"""How the tests are shared out between processes."""

import pytest

from tests.isolation import ByFile


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
