"""`wheels`: fill a folder from which a room without a network is set up.

For: who prepares a class. Not for: installing, see `lab --wheels`.

    python3 -m helpers wheels DIR --for win32-amd64 --for linux-x86_64 --python 3.12
    python3 -m helpers lab --wheels DIR        # on each machine, from a stick or a share

The folder holds every file of the lock for the systems named, uv, the weights and the old
releases of notebook 09; what the lock names is checked by SHA-256 here and again where it is
installed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from helpers.base.errors import CourseError, SetupError
from helpers.cli import packages, platforms
from helpers.cli.lock import HEAD

FILES = (packages.COURSE, packages.MODELS, packages.UV)
OLD = Path(__file__).resolve().parents[1] / "legacy" / "pins"


def run(root: Path, options: argparse.Namespace) -> int:
    """Exit code 0 if the folder has all that the systems named need."""
    systems = options.systems or [platforms.here()]
    pythons = [version_of(word) for word in options.pythons or [_running()]]
    names = [*FILES, *(["requirements-test.txt"] if options.tests else [])]
    for system in systems:
        for python in pythons:
            check(system, python)
            print(f"{system}, Python {python[0]}.{python[1]}", flush=True)
            Download(options.folder, system, python).fill(root, names)
    found = list(options.folder.glob("*.whl"))
    size = sum(wheel.stat().st_size for wheel in found) / 1e9
    print(f"{len(found)} wheels, {size:.1f} GB; use: python3 -m helpers lab --wheels DIR")
    return 0


def check(system: str, python: tuple[int, int]) -> None:
    """Raises `SetupError` where a package has no wheel for that system and Python."""
    missing = platforms.missing(system, python)
    if missing is None:
        known = ", ".join(platforms.SYSTEMS)
        raise SetupError(f"nobody has looked at {system}, {python}", fix=f"one of: {known}")
    if missing:
        said = f"{system} with Python {python[0]}.{python[1]}"
        raise SetupError(f"{said} has no build of {', '.join(missing)}", fix="name another")


def version_of(word: str) -> tuple[int, int]:
    """(3, 12) of "3.12"."""
    major, _, minor = word.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise CourseError(f"{word} is no version of Python", fix="write for example 3.12")
    return int(major), int(minor)


class Download:
    """One system with one Python, and the folder that its wheels go to."""

    def __init__(self, folder: Path, system: str, python: tuple[int, int]) -> None:
        self.folder, self.system, self.python = folder, system, python

    def fill(self, root: Path, names: list[str]) -> None:
        """Fetch all wheels of the lock, PyTorch and the old releases."""
        late = [block for name in names for block in self.needed(root / name)]
        self.download(late, "--require-hashes")
        # The first releases of a Python need some others.
        early = [b for name in names for b in self.needed(root / name, platforms.EARLY)]
        if more := [block for block in early if block not in late]:
            self.download(more, "--require-hashes", micro=platforms.EARLY)
        # These files of pins hold no hashes.
        for pins in sorted(OLD.glob("*.txt")):
            self.download(self.needed(pins))
        self._torch(root / packages.TORCH)

    def needed(self, file: Path, micro: int = platforms.LATE) -> Iterator[str]:
        """The lines of a file of pins that count on this system; pip would ask its own."""
        for block in packages.BLOCK.finditer(file.read_text(encoding="utf-8")):
            head = HEAD.match(block[0])
            # "appnope==0.1.4 ; sys_platform == 'darwin' \\" splits into release and marker.
            marker = (head[0] if head else "").partition(" ;")[2].strip()
            if platforms.applies(marker, self.system, self.python, micro):
                # The marker is answered already, and pip would ask it again of the machine that
                # downloads.
                yield block[0].replace(f" ; {marker}", "") if marker else block[0]

    def download(self, lines: Iterable[str], *words: str, micro: int = platforms.LATE) -> None:
        """Fetch these wheels for the system. Raises `SetupError` with what pip said."""
        with tempfile.TemporaryDirectory() as scratch:
            listed = Path(scratch) / "wanted.txt"
            listed.write_text("\n".join(lines) + "\n", encoding="utf-8")
            done = subprocess.run(
                [*self._pip(micro), *words, "-r", str(listed)],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        if done.returncode:
            last = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise SetupError(f"the wheels cannot be fetched: {last}", fix="run it again")

    def _torch(self, pins: Path) -> None:
        """The CPU build where pip is told of a place that has it; else the default one."""
        wanted = list(self.needed(pins))
        version = next(block for block in wanted if block.startswith("torch==")).split()[0]
        if self.system.startswith("linux"):
            try:
                # Its "+cpu" build has a hash of its own, which the lock does not name.
                self.download([f"{version}+cpu"])
                return
            except SetupError:
                print(
                    "  PyTorch's CPU build is not to be had: its build with CUDA comes", flush=True
                )
                print("  (name its index in PIP_EXTRA_INDEX_URL: README.md)", flush=True)
        self.download(wanted, "--require-hashes")

    def _pip(self, micro: int) -> list[str]:
        words = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
        # The oldest system that is promised, so that a newer one can use the folder too.
        tags = platforms.platform_tags(self.system)
        places = [word for tag in tags for word in ("--platform", tag)]
        version = ["--python-version", f"{self.python[0]}.{self.python[1]}.{micro}"]
        command = [sys.executable, "-m", "pip", "download", *words, *places, *version]
        return [*command, "--dest", str(self.folder)]


def _running() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"
