"""When the engine should make do with one thread."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from helpers.backend.inference.cpu_load import Neighbours, cores_of_others


def crowds(levels, *, threads=2, cores=2):
    seen = iter(levels)
    neighbours = Neighbours(threads, cores=cores, others=lambda: next(seen))
    return [neighbours.crowd() for _ in levels]


def test_a_busy_core_is_a_crowd_and_a_quiet_while_ends_it():
    assert crowds([0.0, 1.0, 1.0, 1.0]) == [False, False, True, True]
    assert crowds([2.0] * 3 + [0.0] * 6)[-1] is False


def test_a_short_burst_and_light_work_are_no_crowd():
    assert not any(crowds([0.0, 0.9, 0.0, 0.0]))
    assert not any(crowds([0.3] * 9))


def test_a_level_between_the_two_bounds_changes_nothing():
    assert crowds([0.4] * 5) == [False] * 5
    assert crowds([2.0] * 2 + [0.4] * 9)[-1] is True


@pytest.mark.parametrize(("threads", "cores"), [(1, 1), (1, 2), (8, 16)])
def test_cores_that_are_free_anyway_and_a_single_thread_need_no_care(threads, cores):
    assert not any(crowds([1.0] * 9, threads=threads, cores=cores))


def test_the_work_of_others_is_counted_and_ones_own_is_not():
    look = cores_of_others()
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.6)
        assert look() > 0.1
    finally:
        busy.kill()
        busy.wait()
    assert 0 <= look() <= (psutil.cpu_count() or 1)
