"""Side environments: made once, continued when interrupted, apart from the course's own."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from helpers.base.errors import SetupError
from helpers.cli.bootstrap import Platform, alone, python_of
from helpers.cli.pip import InstallProgress
from helpers.legacy import environments

FAKE_PIP = """
import pathlib, sys
folder, said = pathlib.Path(sys.argv[1]), sys.argv[2:]
if "--version" in said:
    sys.exit(0)
(folder / "calls.txt").open("a").write(" ".join(said) + "\\n")
mode = (folder / "mode.txt").read_text()
site = folder / "side" / "lib" / "python3.11" / "site-packages"
info = site / "demo-1.0.dist-info"
info.mkdir(parents=True, exist_ok=True)
(info / "METADATA").write_text("Name: demo\\nVersion: 1.0\\n")
(info / "RECORD").write_text("demo.py,sha256=abc,6\\n")
whole = mode != "cut" or "--force-reinstall" in said
(site / "demo.py").write_text("x = 1\\n" if whole else "x")
print("Collecting demo==1.0")
if mode == "killed":
    sys.exit(137)
"""


class Side:
    """A folder with pins, and a pip that installs one tiny package."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder, self.pins = root, root / "side", root / "pins.txt"
        self.said, self.made = io.StringIO(), 0
        (root / "pip.py").write_text(FAKE_PIP)
        self.pins.write_text("demo==1.0\n")
        self.pip_does("good")

    def pip_does(self, mode: str) -> None:
        (self.root / "mode.txt").write_text(mode)

    def make_venv(self, folder: Path) -> None:
        self.made += 1
        python_of(folder).parent.mkdir(parents=True, exist_ok=True)
        python_of(folder).write_text("")

    def ensure(self, free: int = 10**12) -> Path:
        machine = Platform(
            free_bytes=lambda _: free,
            make_venv=self.make_venv,
            pip=lambda _: [sys.executable, str(self.root / "pip.py"), str(self.root)],
        )
        progress = InstallProgress(self.said)
        return environments.ensure(self.folder, self.pins, machine=machine, progress=progress)

    @property
    def calls(self) -> list[str]:
        return (self.root / "calls.txt").read_text().splitlines()


@pytest.fixture
def side(tmp_path):
    return Side(tmp_path)


def test_it_is_made_once_with_progress_and_only_what_is_pinned(side):
    assert side.ensure() == side.ensure() == python_of(side.folder)
    assert side.made == len(side.calls) == 1
    assert side.calls[0].startswith(f"install --no-deps -r {side.pins}")
    assert "making the environment side" in side.said.getvalue()
    assert "[1/1]" in side.said.getvalue()


def test_an_interrupted_installation_is_gone_on_with(side):
    side.pip_does("killed")
    with pytest.raises(SetupError, match="code 137"):
        side.ensure()
    assert not environments.is_ready(side.folder, side.pins)
    side.pip_does("good")
    side.ensure()
    assert (side.made, len(side.calls)) == (1, 2)


def test_a_cut_off_file_is_replaced(side):
    side.pip_does("cut")
    side.ensure()
    assert "--force-reinstall demo==1.0" in side.calls[-1]
    assert environments.is_ready(side.folder, side.pins)


def test_other_pins_or_a_lost_interpreter_need_another_installation(side):
    side.ensure()
    side.pins.write_text("demo==1.1\n")
    assert not environments.is_ready(side.folder, side.pins)
    side.ensure()
    python_of(side.folder).unlink()
    assert not environments.is_ready(side.folder, side.pins)
    side.ensure()
    assert side.made == 2


def test_a_full_disk_and_a_second_command_are_refused_before_anything_is_made(side):
    with pytest.raises(SetupError, match="not enough disk space"):
        side.ensure(free=10**6)
    with alone(side.root / "side.lock"), pytest.raises(SetupError, match="another command"):
        side.ensure()
    assert side.made == 0
