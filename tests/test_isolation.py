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
        ("tests/datasets/reading/test_times.py::test_one", "light"),
        ("tests/test_layers.py::test_one", "tests/test_layers.py"),
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


class Node:
    """A process as the scheduler sees it: the tests that it was told to run."""

    shutting_down = False

    def __init__(self, name):
        self.gateway, self.told = SimpleNamespace(id=name), []

    def send_runtest_some(self, indices):
        self.told += indices

    def shutdown(self):
        self.shutting_down = True


def test_beside_the_notebooks_only_light_tests_run():
    tests = [
        *(f"notebooks/00_start.ipynb::Cell {n}" for n in range(3)),
        "tests/base/test_files.py::test_one",
        "tests/costs/test_monthly.py::test_one",
        *(f"tests/rag/test_{name}.py::test_one" for name in "abcdef"),
    ]
    option = SimpleNamespace(loadscopereorder=False, maxschedchunk=None)
    config = SimpleNamespace(getvalue=lambda name: ["popen", "popen"], option=option)
    scheduler = ByFile(config)
    course, other = Node("gw0"), Node("gw1")
    for node in (course, other):
        scheduler.add_node(node)
        scheduler.add_node_collection(node, tests)
    scheduler.schedule()
    assert (course.told[:3], other.told) == ([0, 1, 2], [3, 4])
    for index in (3, 4):
        scheduler.mark_test_complete(other, index)
    assert other.told == [3, 4]
    for index in (0, 1, 2):
        scheduler.mark_test_complete(course, index)
    assert len(other.told) > 2
    while left := [
        (node, index)
        for node in (course, other)
        for index in node.told
        if not scheduler.assigned_work[node][scheduler._split_scope(tests[index])][tests[index]]
    ]:
        scheduler.mark_test_complete(*left[0])
    assert sorted(course.told + other.told) == list(range(len(tests)))
    assert scheduler.tests_finished
