"""Files are there whole or not at all, and a lock ends with its holder."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.base import files
from helpers.base.errors import DataError, NoSpaceError
from tests.places import ROOT

HELD = DataError("held")


def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    target = tmp_path / "kept.txt"
    target.write_text("old")
    with pytest.raises(TypeError), files.atomic(target) as stream:
        stream.writelines([b"half", None])
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]
    assert target.read_text() == "old"


def test_the_bytes_reach_the_disk_before_the_name(tmp_path, monkeypatch):
    happened = []
    replace = Path.replace
    monkeypatch.setattr(files.os, "fsync", lambda _: happened.append("fsync"))
    monkeypatch.setattr(
        Path, "replace", lambda *given: (happened.append("replace"), replace(*given))[1]
    )
    files.write_text(tmp_path / "one", "1")
    with files.atomic_folder(tmp_path / "folder") as partial:
        (partial / "two").write_text("2")
    assert happened == ["fsync", "replace"] * 2


def test_a_full_disk_is_said_in_words_and_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(NoSpaceError, match="make room"):
        files.write_bytes(tmp_path / "one", b"1")
    with pytest.raises(NoSpaceError), files.atomic_folder(tmp_path / "two") as partial:
        (partial / "inner").write_text("2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("seconds", "moved"), [(5.0, True), (0.0, False)])
def test_a_file_that_another_program_holds_is_replaced_once_it_is_free(
    tmp_path, monkeypatch, seconds, moved
):
    """Windows refuses, while an antivirus reads what was just written."""
    tried = []

    def held(source, target):
        tried.append(target)
        if len(tried) < 3:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return source.rename(target)

    monkeypatch.setattr(files, "HELD_SECONDS", seconds)
    monkeypatch.setattr(Path, "replace", held)
    if moved:
        files.write_text(tmp_path / "one", "1")
    else:
        with pytest.raises(DataError, match="cannot be written"):
            files.write_text(tmp_path / "one", "1")
    assert [path.name for path in tmp_path.iterdir()] == ["one"] * moved
    assert len(tried) == (3 if moved else 1)


def test_a_folder_replaces_the_one_before_it(tmp_path):
    for name in ("first", "second"):
        with files.atomic_folder(tmp_path / "made") as partial:
            (partial / name).touch()
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["second"]
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_what_a_killed_writer_left_is_swept_and_nothing_else(tmp_path):
    code = (
        "import os, sys; from helpers.base import files\n"
        f"with files.atomic({str(tmp_path / 'file')!r}) as s: s.write(b'1'); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 9
    (tmp_path / ".made.x.partial").mkdir()
    (tmp_path / "own.partial").touch()
    assert len(list(tmp_path.iterdir())) == 3
    files.sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["own.partial"]


def test_a_lock_keeps_others_out_until_its_holder_is_gone(tmp_path):
    lock = tmp_path / "lock"
    code = (
        "import sys, time; from helpers.base import files\n"
        f"with files.locked({str(lock)!r}, held=RuntimeError): print(1, flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdout.readline()
    with pytest.raises(DataError, match="held"), files.locked(lock, held=lambda: HELD):
        pass
    holder.kill()
    with files.locked(lock, held=lambda: HELD, seconds=5):
        pass
    holder.communicate()


def test_nothing_else_in_the_library_swaps_a_file_in_by_hand():
    by_hand = re.compile(
        r"os\.(replace|rename)\(|mkstemp|NamedTemporaryFile|\.(replace|rename)\(\w+\)"
    )
    # A damaged file, a log that is too long or a learner's notebook is put aside.
    aside = {"base/files.py", "course/progress.py", "course/copies.py", "backend/daemon.py"}
    found = {
        path.relative_to(ROOT / "helpers").as_posix()
        for path in (ROOT / "helpers").rglob("*.py")
        if by_hand.search(path.read_text(encoding="utf-8"))
    }
    assert found <= aside, found - aside
