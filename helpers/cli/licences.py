"""The licences of all that the lock names, as their packages state them.

For: `helpers.cli.lock`, which writes the page. Not for: a lawyer's reading of them.

    table(root)        # '## Licences\n| package | ...'

pip reads each release's own description from the index, for the systems that it is for.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from helpers.base.errors import SetupError
from helpers.cli import platforms

# "torch==2.6.0 ; sys_platform == 'linux' \\": the release, and its marker if there is one.
HEAD = re.compile(r"^([\w.-]+==[^\s\\]+)(?: ; ([^\\\n]+))?", re.M)
PYTHONS = ((3, 12), (3, 11))
"""A lock can hold one release for the oldest Python and another for all others."""
LONG = 60
"""Some packages write the whole text into the field that is meant for the name."""


def table(root: Path) -> str:
    """One row for each release, in the order of their names."""
    # Head to marker; what some system has described is taken out, the rest is said at the end.
    left = {
        match[1]: (match[2] or "").strip()
        for file in sorted(root.glob("requirements*.txt"))
        for match in HEAD.finditer(file.read_text(encoding="utf-8"))
    }
    rows: dict[str, str] = {}
    for python, system in itertools.product(PYTHONS, platforms.SYSTEMS):
        here = [head for head, marker in left.items() if platforms.applies(marker, system, python)]
        described = _describe(here, system, python) if here else []
        for metadata in described:
            head = f"{_plain(metadata['name'])}=={metadata['version']}"
            rows[head] = licence_of(metadata)
            left.pop(head, None)
    rows |= {head: f"not read: only {marker}" for head, marker in left.items()}
    lines = [f"| {head.replace('==', ' ')} | {words} |" for head, words in sorted(rows.items())]
    return "\n".join(["## Licences", "| package | licence |", "|---|---|", *lines, ""])


def licence_of(metadata: dict[str, Any]) -> str:
    """The licence of a release in a few words: its expression, its classifiers, or its field."""
    expression = metadata.get("license_expression") or _expression(metadata["name"])
    if expression:
        return str(expression)
    trove = [c for c in metadata.get("classifier", ()) if c.startswith("License ::")]
    # "License :: OSI Approved" alone names no licence.
    names = [c.split(" :: ")[-1] for c in trove if not c.endswith("OSI Approved")]
    field = (metadata.get("license") or "").strip().splitlines()
    if names:
        return ", ".join(names)
    return field[0] if field and len(field[0]) <= LONG else "see the package"


def _expression(name: str) -> str | None:
    """What an installed package says, since older releases of pip leave this field out."""
    try:
        found = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    expression = found.json.get("license_expression")
    return str(expression) if expression else None


def _describe(heads: list[str], system: str, python: tuple[int, int]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as scratch:
        report, listed = Path(scratch) / "report.json", Path(scratch) / "wanted.txt"
        listed.write_text("\n".join(heads), encoding="utf-8")
        tags = platforms.platform_tags(system)
        # --target and --only-binary are what pip asks for where it resolves for another system.
        words = ["--dry-run", "--ignore-installed", "--no-deps", "--only-binary", ":all:"]
        words += [word for tag in tags for word in ("--platform", tag)]
        # The last word: pip holds what a release says of Pythons against the one that runs pip.
        words += ["--python-version", ".".join(map(str, python)), "--ignore-requires-python"]
        words += ["--target", scratch]
        command = [sys.executable, "-m", "pip", "install", "--quiet", *words]
        done = subprocess.run(
            [*command, "--report", str(report), "-r", str(listed)],
            capture_output=True,
            text=True,
            check=False,
        )
        # For other systems a failure is usual, one wheel that is missing; their packages stay in
        # `left`.
        if done.returncode and system == platforms.here():
            last = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise SetupError(f"the licences cannot be read: {last}", fix="run it again")
        found = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    return [one["metadata"] for one in found.get("install", ())]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
