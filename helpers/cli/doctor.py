"""`doctor`: what is installed, who answers, and what would fail, with the remedy.

Standard library only, so that it also runs when the environment is broken. It never
prints a key.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from pathlib import Path
from urllib.parse import urlsplit

from helpers.base import settings
from helpers.base.settings import Settings
from helpers.cli import bootstrap, pip

PACKAGES = ("torch", "transformers", "peft", "xllamacpp", "openai", "jupyterlab", "lancedb")
JUPYTER_PORT = 8888
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
    yield _python()
    yield _environment(root)
    yield from _packages(root)
    yield from _weights(root)
    yield _disk(root)
    yield _state(config)
    yield Finding("threads", True, f"{config.threads} of {os.cpu_count()} cores")
    yield _port()
    yield _backend(config)
    yield _browser()


def _python() -> Finding:
    version = sys.version_info[:2]
    fits = bootstrap.OLDEST <= version <= bootstrap.NEWEST
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("python", fits, text, "use Python 3.11, 3.12 or 3.13")


def _environment(root: Path) -> Finding:
    ready = bootstrap.is_ready(root)
    fix = "run: python3 -m helpers lab (it installs what is missing)"
    return Finding("environment", ready, ".venv ready" if ready else ".venv not ready", fix)


def _packages(root: Path) -> Iterator[Finding]:
    place = pip.site_packages(root / ".venv")
    known = {
        found.metadata["Name"].lower(): found.version for found in distributions(path=[str(place)])
    }
    missing = [name for name in PACKAGES if name not in known]
    text = ", ".join(f"{name} {known.get(name, 'missing')}" for name in PACKAGES)
    yield Finding("packages", not missing, text, "run: python3 -m helpers lab")


def _weights(root: Path) -> Iterator[Finding]:
    for weights in pip.WEIGHTS:
        intact = weights.is_intact(root / ".venv")
        text = "SHA-256 as expected" if intact else "missing or altered"
        fix = "run: python3 -m helpers clean --all, then lab"
        yield Finding(f"weights {weights.name}", intact, text, fix)


def _disk(root: Path) -> Finding:
    free = shutil.disk_usage(root).free
    needed = bootstrap.DISK_NEEDED // 4 if bootstrap.is_ready(root) else bootstrap.DISK_NEEDED
    text = f"{free / 1e9:.1f} GB free, {needed / 1e9:.0f} GB needed"
    return Finding("disk", free >= needed, text, "free some space")


def _state(config: Settings) -> Finding:
    folder = config.state if config.state.exists() else config.state.parent
    writable = os.access(folder, os.W_OK)
    fix = "make it writable, or name another folder in WORKBOOK_STATE"
    return Finding("state", writable, str(config.state), fix)


def _port() -> Finding:
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", JUPYTER_PORT)) == 0
    text = f"{JUPYTER_PORT} {'taken: JupyterLab takes the next one' if taken else 'free'}"
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
