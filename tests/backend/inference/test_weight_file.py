"""Weights in a file: the numbers stay, the memory goes."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from helpers.backend.inference import weight_file
from helpers.backend.inference.weight_file import WeightFile

SIZE = 64 << 20


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is not given back")
def test_what_is_set_aside_takes_no_memory_and_is_still_there(tmp_path):
    values = np.random.default_rng(0).integers(0, 255, SIZE, np.uint8).reshape(64, -1)
    file = WeightFile(tmp_path, WeightFile.room([values.nbytes, 5]))
    # The file has no name: it is gone with the process, however that ends.
    assert list(tmp_path.iterdir()) == []
    kept, small = file.take(values), file.take(np.arange(5, dtype=np.uint8))
    assert not np.shares_memory(kept, values)
    before = resident()
    file.set_aside()
    assert before - resident() > 0.9 * SIZE
    assert np.array_equal(kept, values)
    assert list(small) == [0, 1, 2, 3, 4]


def test_where_the_disk_has_no_room_all_stays_in_memory(tmp_path, monkeypatch):
    full = SimpleNamespace(f_bavail=10, f_frsize=4096)
    monkeypatch.setattr(weight_file.os, "fstatvfs", lambda _: full, raising=False)
    file, values = WeightFile(tmp_path, 8192), np.arange(4)
    assert file.take(values) is values
    file.set_aside()


def test_what_does_not_fit_stays_in_memory(tmp_path):
    file, values = WeightFile(tmp_path, WeightFile.room([8])), np.arange(4096)
    assert file.take(values) is values


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").touch()
    values = np.arange(4)
    assert WeightFile(tmp_path / "file" / os.curdir / "below", 8192).take(values) is values
