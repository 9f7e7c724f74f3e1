"""Make the environment on first use, and know at once that it is ready on the next.

For: every command that needs more than the standard library; nothing else is imported
here. Not for: running pip itself, see `helpers.cli.pip`.

    python = ensure(root)        # Path('.../.venv/bin/python'); installs when it must

A stamp file, written last, is the only proof of a finished set-up. Without a valid stamp
the environment is continued if its pip works, and built anew otherwise.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from helpers.base.errors import SetupError
from helpers.cli import pip as installing
from helpers.cli.pip import InstallProgress, Weights, site_packages

OLDEST, NEWEST = (3, 11), (3, 13)
DISK_NEEDED = 4_000_000_000
SERVED_AS = "q8_0"
"""In the stamp, so that an environment of before is prepared too."""
REQUIREMENTS = ("requirements.txt", "requirements-models.txt")


def make_venv(folder: Path) -> None:
    """A fresh virtual environment, of the running interpreter."""
    command = [sys.executable, "-m", "venv", "--clear", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        if "No space left" in made.stdout + made.stderr:
            raise installing.disk_full(folder)
        raise SetupError(
            "this Python cannot make a virtual environment",
            fix="install its venv module; on Debian and Ubuntu: apt-get install python3-venv",
        )


def prepare_weights(python: Path) -> None:
    """Write the base model in the form that is served; a few seconds, once."""
    command = [str(python), "-m", "helpers.backend.inference.quantize"]
    root = Path(__file__).resolve().parents[2]
    made = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    if made.returncode:
        said = (made.stderr.strip() or "no reason given").splitlines()[-1]
        if installing.NO_SPACE.search(said):
            raise installing.disk_full(root)
        raise SetupError(
            f"the base model cannot be prepared for serving: {said}",
            fix="run the same command again; it goes on here",
        )


@dataclass(frozen=True)
class Platform:
    """What set-up asks of the machine; tests put their own in place."""

    version: tuple[int, int] = sys.version_info[:2]
    free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free
    make_venv: Callable[[Path], None] = make_venv
    pip: Callable[[Path], list[str]] = lambda python: [str(python), "-m", "pip"]
    weights: tuple[Weights, ...] = installing.WEIGHTS
    prepare: Callable[[Path], None] = prepare_weights


def ensure(
    root: Path, *, machine: Platform | None = None, progress: InstallProgress | None = None
) -> Path:
    """Return the environment's Python, after installing whatever is missing.

    Raises `SetupError`, one line with its remedy, and then leaves no stamp.
    """
    machine = machine or Platform()
    folder = root / ".venv"
    if not is_ready(root, machine.weights):
        _check_version(machine.version)
        with alone(root / ".venv.lock"):
            if not is_ready(root, machine.weights):
                _set_up(root, folder, machine, progress or InstallProgress(sys.stderr))
    return python_of(folder)


def is_ready(root: Path, weights: tuple[Weights, ...] = installing.WEIGHTS) -> bool:
    """Whether the stamp says that this very set-up was finished; reads a few small files."""
    folder = root / ".venv"
    try:
        stamp = json.loads(_stamp_file(folder).read_text(encoding="utf-8"))
        return python_of(folder).exists() and stamp == _state(root, weights)
    except (OSError, ValueError, SetupError):
        return False


def is_current(root: Path) -> bool:
    """Whether the running interpreter is the environment's own."""
    return Path(sys.prefix).resolve() == (root / ".venv").resolve()


def python_of(folder: Path) -> Path:
    """The interpreter of a virtual environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def rerun(python: Path, arguments: list[str]) -> int:
    """Run the same command line with the environment's Python.

    On POSIX this process is replaced, so signals reach the command itself. Windows has no
    such call: there both receive Ctrl-C from the console, and this one waits.
    """
    command = [str(python), "-m", "helpers", *arguments]
    if os.name != "nt":
        sys.stdout.flush()
        os.execv(command[0], command)
    with subprocess.Popen(command) as child:
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                continue


def _set_up(root: Path, folder: Path, machine: Platform, progress: InstallProgress) -> None:
    _stamp_file(folder).unlink(missing_ok=True)
    pip = machine.pip(python_of(folder))
    usable = python_of(folder).exists() and installing.works(pip)
    needed = DISK_NEEDED // 4 if usable else DISK_NEEDED
    free = machine.free_bytes(root)
    if free < needed:
        raise installing.disk_full(root, free=free, needed=needed)
    if not usable:
        progress.line(f"making the environment in {folder.name}")
        machine.make_venv(folder)
    pins, models = (root / name for name in REQUIREMENTS)
    log = folder / "install.log"
    installing.install([*pip, "install", "-r", str(pins)], pins, folder, log, progress)
    without = [*pip, "install", "--no-deps"]
    installing.install([*without, "-r", str(models)], models, folder, log, progress)
    damaged = installing.damaged_packages(folder)
    if damaged:
        repair = [*without, "--force-reinstall", *damaged]
        installing.install(repair, pins, folder, log, progress)
    progress.line("checking the weights")
    if not all(w.is_intact(folder) for w in machine.weights):
        again = [*without, "--force-reinstall", "--no-cache-dir", "-r", str(models)]
        installing.install(again, models, folder, log, progress)
    for weights in machine.weights:
        weights.verify(folder)
    machine.prepare(python_of(folder))
    # Notebooks run in notebooks/ and still find the helpers, in Lab and in any editor.
    (site_packages(folder) / "workbook.pth").write_text(f"{root}\n", encoding="utf-8")
    write_stamp(_stamp_file(folder), _state(root, machine.weights))
    progress.line("the environment is ready")


def _state(root: Path, weights: tuple[Weights, ...]) -> dict[str, object]:
    folder = root / ".venv"
    requirements = hashlib.sha256()
    for name in REQUIREMENTS:
        requirements.update((root / name).read_bytes())
    config = (folder / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    version = [line.split("=")[1].strip() for line in config if line.startswith("version")]
    return {
        "root": str(root),
        "requirements": requirements.hexdigest(),
        "python": ".".join(version[0].split(".")[:2]) if version else "",
        "weights": {w.name: w.trace(folder) for w in weights},
        "served as": SERVED_AS,
    }


def _stamp_file(folder: Path) -> Path:
    return folder / "ready.json"


def write_stamp(stamp: Path, state: dict[str, object]) -> None:
    """Write a stamp in one step, so that it is there whole or not at all."""
    # Only here: an older Python could not import it, and is to be told so in words.
    from helpers.base.files import write_text

    write_text(stamp, json.dumps(state, indent=1))


def _check_version(version: tuple[int, int]) -> None:
    if OLDEST <= version <= NEWEST:
        return
    fits = [f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    found = next((name for name in fits if shutil.which(name)), None)
    raise SetupError(
        f"this is Python {version[0]}.{version[1]}; the course needs 3.11, 3.12 or 3.13",
        fix=f"run it with {found}" if found else "install Python 3.13, then run it with that",
    )


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold a lock that the operating system gives back however this process ends."""
    with lock.open("a+b") as file:
        try:
            if os.name == "nt":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SetupError(
                "another command is setting up this folder", fix="wait for it, then try again"
            ) from error
        yield


if __name__ == "__main__":
    try:
        ensure(Path(__file__).resolve().parents[2])
    except SetupError as error:
        sys.exit(f"error: {error}")
