"""`doctor`: what is installed, who answers, and what would fail, with the remedy.

Standard library only, so that it also runs when the environment is broken. It never
prints a key.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from helpers.base import settings
from helpers.base.errors import CourseError, SetupError
from helpers.base.settings import Settings
from helpers.cli import bootstrap, packages, pip, platforms

PACKAGES = ("torch", "transformers", "peft", "xllamacpp", "openai", "jupyterlab", "lancedb")
JUPYTER_PORT = 8888
HERE = "127.0.0.1"
MEMORY_NEEDED = 2_000_000_000
"""What a trainer, the server with two models and a kernel take together."""
# Run by the environment's Python; this one may have no psutil.
ASK = """
import json, psutil
servers = []
for one in psutil.process_iter(["cmdline", "cwd"]):
    if "helpers.backend.daemon" in (one.info["cmdline"] or []):
        servers.append(one.info["cwd"] or "a folder of another user")
print(json.dumps({"memory": psutil.virtual_memory().available, "servers": servers}))
"""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    what: str
    ok: bool
    text: str
    fix: str = ""


def run(root: Path, options: argparse.Namespace) -> int:
    """Print the findings; exit code 1 if one of them would make a command fail."""
    found = list(findings(root, settings.load()))
    if options.json:
        print(json.dumps([asdict(one) for one in found], indent=1))
    else:
        for one in found:
            print(f"{'ok ' if one.ok else 'BAD'} {one.what}: {one.text}")
            if not one.ok:
                print(f"    {one.fix}")
    return int(not all(one.ok for one in found))


def findings(root: Path, config: Settings) -> Iterator[Finding]:
    """Everything that is checked, in the order of the report."""
    yield _python(sys.version_info[:2])
    yield _wheels(platforms.here(), sys.version_info[:2])
    yield _clock(datetime.now(UTC).date())
    yield _environment(root)
    yield from _packages(root)
    yield from _weights(root)
    yield _disk(shutil.disk_usage(root).free, ready=bootstrap.is_ready(root))
    yield _state(config)
    memory, others = _machine(root)
    yield _memory(memory)
    yield _others(root, others)
    yield Finding("threads", True, f"{config.threads} of {os.cpu_count()} cores")
    yield _engine(root, config)
    yield _port()
    yield _proxy(getproxies(), bool(proxy_bypass(HERE)))
    yield _backend(config)
    yield _cluster(config)
    yield _shared(config)
    yield _browser()


def _python(version: tuple[int, int]) -> Finding:
    fits = bootstrap.OLDEST <= version <= bootstrap.NEWEST
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("python", fits, text, f"use Python {bootstrap.RANGE}")


def _wheels(system: str, python: tuple[int, int]) -> Finding:
    """Whether every package has a build for this system and this Python."""
    missing = platforms.missing(system, python)
    said = f"{system}, Python {python[0]}.{python[1]}"
    if missing is None:
        return Finding("wheels", True, f"{said}: not looked at; the set-up will say")
    text = f"{said}: {', '.join(missing) if missing else 'a build of every package'}"
    fix = "these have no build there; README.md, section Limits, names what has"
    return Finding("wheels", not missing, text, fix)


def _clock(today: date) -> Finding:
    """A clock that is behind makes every certificate one of the future."""
    text = f"{today}; the lock was made on {platforms.made()}"
    # A day apart: the other side of the date line.
    right = today >= platforms.made() - timedelta(days=1)
    return Finding("clock", right, text, "set the clock: secure connections fail before that day")


def _machine(root: Path) -> tuple[int | None, list[str]]:
    """Free memory in bytes, and the folders of other servers of the course that run.

    Asked in the environment, which has psutil; without one, Linux's own figure.
    """
    python = bootstrap.python_of(root / ".venv")
    done = None
    with contextlib.suppress(OSError):
        done = subprocess.run([str(python), "-c", ASK], capture_output=True, text=True, check=False)
    if done and not done.returncode:
        found = json.loads(done.stdout)
        return int(found["memory"]), list(found["servers"])
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        return int(text.split("MemAvailable:")[1].split()[0]) * 1024, []
    return None, []


def _memory(free: int | None) -> Finding:
    if free is None:
        return Finding("memory", True, "not known before the set-up")
    text = f"{free / 1e9:.1f} GB free, {MEMORY_NEEDED / 1e9:.0f} GB needed for training"
    return Finding("memory", free >= MEMORY_NEEDED, text, "close other programs before training")


def _others(root: Path, servers: list[str]) -> Finding:
    """A second copy of the course computes on the same cores, in the same memory."""
    # The lock is free or another set-up holds it; held for no longer than the question.
    try:
        with bootstrap.alone(root / ".venv.lock"):
            busy = ""
    except SetupError as error:
        busy = error.message
    # The folder cannot be written to: that has a line of its own.
    except OSError:
        busy = ""
    other = sorted({place for place in servers if Path(place) != root})
    text = busy or (f"another one runs in {', '.join(other)}" if other else "no other runs")
    # Another copy takes memory and cores, which have lines of their own; it stops nothing.
    return Finding("second copy", not busy, text, "wait until it is done")


def _proxy(proxies: dict[str, str], passed_by: bool) -> Finding:
    """The course's own server is on this machine: a proxy would look for it on its own."""
    named = [scheme for scheme in ("http", "https", "all") if scheme in proxies]
    if not named:
        return Finding("proxy", True, "none is set")
    text = f"set for {', '.join(named)}, {'not ' if passed_by else ''}for this machine too"
    return Finding("proxy", passed_by, text, f"add {HERE},localhost to NO_PROXY")


def _environment(root: Path) -> Finding:
    ready = bootstrap.is_ready(root)
    fix = "run: python3 -m helpers lab (it installs what is missing)"
    return Finding("environment", ready, ".venv ready" if ready else ".venv not ready", fix)


def _packages(root: Path) -> Iterator[Finding]:
    # Read from the folder, not imported: the running Python need not be the environment's.
    known = packages.installed(root / ".venv")
    missing = [name for name in PACKAGES if name not in known]
    text = ", ".join(f"{name} {known.get(name, 'missing')}" for name in PACKAGES)
    yield Finding("packages", not missing, text, "run: python3 -m helpers lab")


def _weights(root: Path) -> Iterator[Finding]:
    for weights in pip.WEIGHTS:
        intact = weights.is_intact(root / ".venv")
        text = "SHA-256 as expected" if intact else "missing or altered"
        fix = "run: python3 -m helpers clean --all, then lab"
        yield Finding(f"weights {weights.name}", intact, text, fix)


def _disk(free: int, *, ready: bool) -> Finding:
    needed = bootstrap.DISK_NEEDED // 4 if ready else bootstrap.DISK_NEEDED
    text = f"{free / 1e9:.1f} GB free, {needed / 1e9:.0f} GB needed"
    return Finding("disk", free >= needed, text, "free some space")


def _state(config: Settings) -> Finding:
    folder = config.state if config.state.exists() else config.state.parent
    writable = os.access(folder, os.W_OK)
    fix = "make it writable, or name another folder in WORKBOOK_STATE"
    return Finding("state", writable, str(config.state), fix)


def _engine(root: Path, config: Settings) -> Finding:
    """Which engine answers, and what a measurement said, if there was one."""
    place = pip.site_packages(root / ".venv")
    there = any(place.glob("openvino-*.dist-info"))
    wanted = config.engine
    measured = ""
    with contextlib.suppress(OSError, ValueError, AttributeError, KeyError):
        kept = json.loads((config.state / "engine.json").read_text(encoding="utf-8"))
        times = ", ".join(f"{name} {taken:.1f} s" for name, taken in kept["seconds"].items())
        measured = f" (measured: {times})" if times else ""
        wanted = kept["name"] if wanted == "auto" else wanted
    if not there:
        text = "llama.cpp; OpenVINO has no build for this machine, or is not installed"
        fix = "set WORKBOOK_ENGINE to llama.cpp, or leave it out"
        return Finding("engine", wanted != "openvino", text, fix)
    known = wanted in ("auto", "llama.cpp", "openvino")
    said = "measured at the next start" if wanted == "auto" else wanted
    return Finding("engine", known, said + measured, "WORKBOOK_ENGINE: auto, llama.cpp or openvino")


def _port() -> Finding:
    with socket.socket() as probe:
        taken = probe.connect_ex((HERE, JUPYTER_PORT)) == 0
    text = f"{JUPYTER_PORT} {'taken: JupyterLab takes the next one' if taken else 'free'}"
    try:
        socket.create_server((HERE, 0)).close()
    except OSError as error:
        fix = "let Python listen on this machine: look at the firewall or the sandbox"
        return Finding("port", False, f"no port can be opened: {error.strerror}", fix)
    return Finding("port", True, text)


def _backend(config: Settings) -> Finding:
    key = "a key is set" if config.api_key else "no key is set"
    if config.base_url:
        parts = urlsplit(config.base_url)
        # A URL may carry a user name and password before the host; those stay unsaid.
        text = f"{parts.scheme}://{parts.hostname} by OPENAI_BASE_URL, {key}"
        fix = "check OPENAI_BASE_URL, or unset it to use the embedded server"
        return Finding("backend", _answers(parts.hostname, parts.port, parts.scheme), text, fix)
    if config.api_key:
        return Finding("backend", True, f"{key}; OpenAI only where a notebook says paid=True")
    try:
        known = json.loads((config.state / "server.json").read_text(encoding="utf-8"))
        parts = urlsplit(known["url"])
        up = _answers(parts.hostname, parts.port, parts.scheme)
    except (OSError, ValueError, KeyError):
        up = False
    return Finding("backend", True, "embedded server, " + ("running" if up else "not started yet"))


def _cluster(config: Settings) -> Finding:
    """Where jobs train, and what a cluster that is named for it has."""
    if config.executor is None:
        return Finding("jobs", True, "train on this machine")
    try:
        from helpers.backend.executors.choice import offers

        return Finding("jobs", True, offers(config))
    except ImportError:
        return Finding("jobs", True, "train on a cluster; not looked at before the set-up")
    except CourseError as error:
        return Finding("jobs", False, error.message, error.fix or "")


def _shared(config: Settings) -> Finding:
    """Where documents and files lie, if other servers share them."""
    if config.database is None and config.files is None:
        return Finding("documents and files", True, "in the state folder")
    try:
        from helpers.backend.executors.exchange import Exchange
        from helpers.backend.storage import postgres

        text = "documents in the state folder"
        if config.database:
            text = f"documents in PostgreSQL {postgres.release(config.database)}"
        if config.files:
            place = Exchange.at(config.files, "WORKBOOK_FILES")
            place.put("doctor", b"x")
            place.remove("doctor")
            text += ", files in the place of WORKBOOK_FILES, which is writable"
        return Finding("documents and files", True, text)
    except ImportError:
        text = "shared with other servers; not looked at before the set-up"
        return Finding("documents and files", True, text)
    except OSError as error:
        fix = "look at WORKBOOK_FILES, and at AWS_ACCESS_KEY_ID for S3"
        return Finding("documents and files", False, f"files cannot be written: {error}", fix)
    except CourseError as error:
        return Finding("documents and files", False, error.message, error.fix or "")


def _answers(host: str | None, port: int | None, scheme: str) -> bool:
    try:
        place = (host or "", port or (443 if scheme == "https" else 80))
        socket.create_connection(place, timeout=3).close()
    except OSError:
        return False
    return True


def _browser() -> Finding:
    found = next((name for name in BROWSERS if shutil.which(name)), None)
    return Finding("browser for tests", True, found or "none found: browser tests are skipped")
