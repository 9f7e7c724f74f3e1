"""Old releases of the `openai` package, run word for word against the embedded server.

For: the commands and snippets of old tutorials. Each release lives in an environment of its
own in the state folder, made at first use. Not for: the course's own calls, which go
through `helpers.connection`.

    old = package("0.28.1")
    old.run("openai api fine_tunes.list")      # Done: its output, as a terminal shows it
    old.python("import openai; print(openai.Model.list())")
"""

from __future__ import annotations

import codecs
import os
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from helpers.backend import daemon
from helpers.base import settings as settings_module
from helpers.base.errors import BackendError, CourseError
from helpers.base.settings import Settings
from helpers.cli.bootstrap import Platform
from helpers.cli.pip import InstallProgress
from helpers.legacy import environments

PINS = Path(__file__).resolve().parent / "pins"
RELEASES = ("0.28.1", "2.34.0")
"""The last with the interface of old tutorials, and the last with a command line."""
HIDDEN = "[key]"


@dataclass(frozen=True)
class CommandResult:
    """A command that has ended."""

    code: int
    """0 if it succeeded."""
    output: str
    """What a terminal would have shown; a key in it is replaced by `[key]`."""

    def __repr__(self) -> str:
        ending = f"\n(ended with code {self.code})" if self.code else ""
        return f"{self.output.rstrip()}{ending}"


@dataclass(frozen=True)
class Package:
    """One release of `openai`, installed."""

    version: str
    python_path: Path
    settings: Settings

    def run(
        self,
        command: str | Sequence[str],
        *,
        typed: str = "",
        show: Callable[[str], object] | None = None,
        seconds: float = 900,
    ) -> CommandResult:
        """Run `openai …` or `python …` as it would run in a terminal of the present folder.

        `typed` is what the keyboard would send; `show` gets the output piece by piece, for
        instance `sys.stdout.write`. Raises `BackendError` after `seconds`, and `CourseError`
        for another program.
        """
        words = _split(command) if isinstance(command, str) else list(command)
        program = self._program(words[0] if words else "")
        address = daemon.ensure_running(self.settings)
        pieces = []
        with subprocess.Popen(
            [str(program), *words[1:]],
            env=_environment(address),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as child:
            clock = threading.Timer(seconds, child.kill)
            clock.start()
            try:
                _type(child, typed)
                for piece in _without(address.token, _pieces(child)):
                    pieces.append(piece)
                    if show:
                        show(piece)
                code = child.wait()
            # Ctrl-C as well: nothing may go on running behind the notebook.
            except BaseException:
                child.kill()
                raise
            finally:
                # A timer that has fired is no longer alive.
                late = not clock.is_alive()
                clock.cancel()
        if late:
            raise BackendError(f"{words[0]} was still running after {seconds:g} seconds")
        return CommandResult(code, "".join(pieces))

    def python(
        self, code: str, *, show: Callable[[str], object] | None = None, seconds: float = 900
    ) -> CommandResult:
        """Run Python code with this release."""
        return self.run(["python", "-c", code], show=show, seconds=seconds)

    def _program(self, name: str) -> Path:
        if name in ("python", "python3"):
            return self.python_path
        if name == "openai":
            suffix = ".exe" if os.name == "nt" else ""
            return self.python_path.with_name(f"openai{suffix}")
        raise CourseError(
            f"{name!r} is not run here", fix="begin the command with openai or python"
        )


def package(
    version: str = "0.28.1",
    *,
    settings: Settings | None = None,
    machine: Platform | None = None,
    progress: InstallProgress | None = None,
) -> Package:
    """A release, ready to run; its environment is made at first use, with progress.

    Raises `SetupError` where it cannot be installed, for instance without a network.
    """
    config = settings or settings_module.load()
    if version not in RELEASES:
        raise CourseError(f"no openai {version} here", fix=f"choose from {', '.join(RELEASES)}")
    name = f"openai-{version}"
    folder = (config.environments or config.state) / f"legacy-{name}"
    pins = PINS / f"{name}.txt"
    python = environments.ensure(folder, pins, machine=machine, progress=progress)
    return Package(version, python, config)


def _split(command: str) -> list[str]:
    """Words as a shell takes them; a path of Windows keeps its separators."""
    return shlex.split(command.replace("\\", "/") if os.name == "nt" else command)


def _environment(address: daemon.Address) -> dict[str, str]:
    """The variables that old and new releases read, and nothing else that could lead them away."""
    kept = {
        name: value
        for name, value in os.environ.items()
        # PYTHONPATH of the course would let an old release import today's packages.
        if not name.startswith(("OPENAI_", "PYTHON"))
    }
    url = f"{address.url.rstrip('/')}/v1"
    # A proxy of the reader would be asked for this machine's own server.
    here = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
    openai = {"OPENAI_API_KEY": address.token, "OPENAI_API_BASE": url, "OPENAI_BASE_URL": url}
    return kept | here | openai | {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}


def _type(child: subprocess.Popen[bytes], text: str) -> None:
    """Send what the keyboard would; a command that has ended already takes nothing."""
    assert child.stdin
    try:
        with child.stdin as keyboard:
            keyboard.write(text.encode())
    except BrokenPipeError:
        pass


def _pieces(child: subprocess.Popen[bytes]) -> Iterator[str]:
    """Output as it comes, without waiting for whole lines."""
    assert child.stdout
    # A character can lie across two blocks.
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    while block := os.read(child.stdout.fileno(), 65_536):
        yield decode(block).replace("\r\n", "\n")


def _without(secret: str, pieces: Iterator[str]) -> Iterator[str]:
    """The same text with the secret replaced, also where it lies across two pieces."""
    held = ""
    for piece in pieces:
        text = (held + piece).replace(secret, HIDDEN)
        # The longest end of the text that could be the beginning of the secret waits for what
        # follows.
        tails = range(min(len(text), len(secret) - 1), 0, -1)
        keep = next((size for size in tails if secret.startswith(text[-size:])), 0)
        held = text[len(text) - keep :]
        yield text[: len(text) - keep]
    yield held
