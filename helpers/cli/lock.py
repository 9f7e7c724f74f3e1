"""`lock`: pin what `.ci/*.in` names, with hashes, for every system and Python at once.

For: who changes a requirement. Not for: learners, who install what was locked here.

    python3 -m helpers lock                  # after a change of .ci/*.in
    python3 -m helpers lock --upgrade        # newest releases, the fast tests, what changed

All files come from one resolution, so what tests add never changes what a learner has. A
hash stands in them for each wheel that one of the named systems can take, and for nothing
that would have to be compiled.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from helpers.base.errors import SetupError
from helpers.base.files import write_text
from helpers.cli import bootstrap, licences, platforms, uv
from helpers.cli.pip import InstallProgress

SOURCES = {
    "requirements.txt": ".ci/requirements.in",
    "requirements-test.txt": ".ci/requirements-test.in",
    "requirements-bench.txt": ".ci/requirements-bench.in",
}
ALONE = {
    "requirements-models.txt": ".ci/requirements-models.in",
    "requirements-uv.txt": ".ci/requirements-uv.in",
}
"""Installed without what they name themselves."""
OPTIONAL = {"requirements-postgres.txt": ".ci/requirements-postgres.in"}
"""The same, for whoever wants what they are for."""
LEFT_OUT = ("rfc3987-syntax", "lark", "openvino-telemetry")
"""jsonschema checks one form of address with the first two if they are there, and builds a grammar
of 1.2 s for it in every process that imports it. Nothing here uses that form. The third reports
to OpenVINO's maker how its converters are used; the library does without it."""
# "numpy==2.2.1 ; python_version < '3.12'", up to the backslash before its hashes.
HEAD = re.compile(r"^[\w.-]+==[^\\\n]+", re.M)
TORCH = "requirements-torch.txt"
TABLE = "docs/packages.md"
INTRODUCTION = """# What is installed
Made by `python3 -m helpers lock`; do not edit.

## Systems and Pythons
Which locked packages have no wheel there; a dash means that all have one, and nothing is compiled.
"""
OF_TORCH = re.compile(r"^(torch|triton|nvidia-|cuda-)")
"""PyTorch and what only its default Linux build asks for."""
WHAT = {
    "requirements.txt": "What a learner needs; PyTorch and the weights stand apart.",
    "requirements-test.txt": "What `test` adds by itself.",
    "requirements-bench.txt": "What `bench` adds by itself.",
    "requirements-models.txt": "The weights; their SHA-256 is also in helpers/base/settings.py.",
    "requirements-postgres.txt": "What a server adds that uses PostgreSQL.",
    "requirements-uv.txt": "What installs the rest, where there is no uv on the PATH.",
    TORCH: "PyTorch as the common index has it, on Linux with CUDA.",
}


@dataclass(frozen=True)
class Pin:
    """One locked release, for the systems that its marker names."""

    name: str
    head: str
    """Name, version and marker: `appnope==1.0.0 ; sys_platform == 'darwin'`."""
    hashes: tuple[str, ...]

    def __str__(self) -> str:
        return " \\\n    --hash=".join([self.head, *self.hashes])


def run(root: Path, options: argparse.Namespace) -> int:
    """Write the lock, the table of platforms, and say what changed; with --upgrade, test it."""
    before = pins_of(root)
    with tempfile.TemporaryDirectory() as scratch:
        made = Resolver(root, Path(scratch), upgrade=options.upgrade).all()
    for name, content in made.items():
        write_text(root / name, content)
    write_text(root / TABLE, f"{INTRODUCTION}\n{platforms.table()}\n{licences.table(root)}")
    for line in changes(before, pins_of(root)):
        print(line)
    if not options.upgrade:
        return 0
    command = [sys.executable, "-m", "helpers", "test", "--fast", "-W", "default", "-rfE"]
    return subprocess.call(command, cwd=root)


def heads(root: Path) -> list[str]:
    """Every locked release with its marker, of all files; one may stand in several."""
    files = [root / name for name in (*SOURCES, *ALONE, *OPTIONAL, TORCH)]
    texts = [file.read_text(encoding="utf-8") for file in files if file.exists()]
    return [head.strip() for text in texts for head in HEAD.findall(text)]


def pins_of(root: Path) -> dict[str, str]:
    """Each locked package with its versions, in words."""
    found: dict[str, set[str]] = {}
    for head in heads(root):
        name, version = head.partition(" ;")[0].strip().split("==")
        found.setdefault(name, set()).add(version)
    return {name: ", ".join(sorted(versions)) for name, versions in sorted(found.items())}


def changes(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    """One line for each package that is new, gone or another version."""
    for name in sorted({*before, *after}):
        old, new = before.get(name, "-"), after.get(name, "-")
        if old != new:
            yield f"{name}: {old} -> {new}"


class Resolver:
    """Asks uv for releases that fit each other, and keeps those pinned already."""

    def __init__(self, root: Path, scratch: Path, *, upgrade: bool) -> None:
        self.root, self.scratch, self.upgrade = root, scratch, upgrade
        pip = [sys.executable, "-m", "pip"]
        # Only a mirror of the common index: a reader's own wheels have other hashes.
        self.sources = replace(uv.configured(pip), extra=(), links=())
        progress = InstallProgress(sys.stderr)
        pins = root / "requirements-uv.txt"
        found = uv.find(root / ".venv", pip, pins, self.sources, progress)
        if found is None:
            raise SetupError("the lock needs uv, which cannot be had", fix="install uv")
        self.uv = found

    def all(self) -> dict[str, str]:
        """The text of every file that this verb writes, by its path."""
        # Everything together first; its versions then constrain each part, so that a file with
        # fewer requirements cannot arrive at other releases.
        whole = self.resolve(list(SOURCES.values()))
        held = self.scratch / "held.txt"
        held.write_text("\n".join(pin.head for pin in whole), encoding="utf-8")
        known: set[str] = set()
        made, inputs, learner = {}, list[str](), list[Pin]()
        for name, source in SOURCES.items():
            # Each file adds to those before it, and holds only what they do not.
            inputs.append(source)
            part = self.resolve(inputs, "--constraint", str(held))
            fresh = [pin for pin in part if pin.head not in known]
            known |= {pin.head for pin in fresh}
            # The first file's, which `or` keeps; all later ones are for developers.
            learner = learner or fresh
            made[name] = text(name, source, [p for p in fresh if not OF_TORCH.match(p.name)])
        torch = [pin for pin in learner if OF_TORCH.match(pin.name)]
        made[TORCH] = text(TORCH, SOURCES["requirements.txt"], torch)
        for name, source in (ALONE | OPTIONAL).items():
            pins = self.resolve([source], "--no-deps")
            learner += pins if name in ALONE else []
            made[name] = text(name, source, pins)
        made[str(platforms.FILE.relative_to(self.root))] = self.platforms(learner)
        return made

    def resolve(self, inputs: list[str], *more: str) -> list[Pin]:
        """The releases that fit each other on every system, with the hashes of their wheels."""
        pinned = self.scratch / "pinned.txt"
        pinned.unlink(missing_ok=True)
        if not self.upgrade:
            # uv prefers what stands in the file that it is to write.
            pinned.write_text("\n".join(heads(self.root)), encoding="utf-8")
        self.compile([*inputs, *more, "--no-annotate", "--no-header", "-o", str(pinned)])
        lines = [line for line in pinned.read_text(encoding="utf-8").splitlines() if line.strip()]
        packages = self.wheels(pinned)
        usable = platforms.usable(packages)
        hashes: dict[tuple[str, str], list[str]] = {}
        for package in packages:
            found = {f"sha256:{wheel['hashes']['sha256']}" for wheel in package["wheels"]}
            hashes.setdefault((package["name"], package["version"]), []).extend(found & usable)
        return [pin(line, hashes) for line in lines]

    def wheels(self, pinned: Path) -> list[dict[str, Any]]:
        """What the index has of the releases in a file, wheel by wheel."""
        listed = self.scratch / "pylock.toml"
        self.compile([str(pinned), "--no-deps", "-o", str(listed)])
        found: list[dict[str, Any]] = tomllib.loads(listed.read_text(encoding="utf-8"))["packages"]
        return found

    def platforms(self, pins: list[Pin]) -> str:
        """Which systems and Pythons lack a wheel of what a learner needs."""
        learner = self.scratch / "learner.txt"
        # The CUDA packages are for one system alone, and never for those without a wheel of them.
        own = [p.head for p in pins if p.name == "torch" or not OF_TORCH.match(p.name)]
        learner.write_text("\n".join(own), encoding="utf-8")
        day = datetime.now(UTC).date().isoformat()
        found = {"made": day, "systems": platforms.examine(self.wheels(learner))}
        return json.dumps(found, indent=1) + "\n"

    def compile(self, words: list[str]) -> None:
        """Run `uv pip compile` for every system, from the oldest Python on."""
        oldest = ".".join(map(str, bootstrap.OLDEST))
        # --universal: one resolution with markers for all systems, not one for each.
        command = [*self.uv, "pip", "compile", "-q", "--universal", "--python-version", oldest]
        command += [word for name in LEFT_OUT for word in ("--no-emit-package", name)]
        done = subprocess.run(
            [*command, *words, *self.sources.for_uv()],
            cwd=self.root,
            env=self.sources.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SetupError("nothing fits all requirements", fix=done.stderr.strip())


def text(name: str, source: str, pins: list[Pin]) -> str:
    """A file of the lock."""
    head = f"# Made by `python3 -m helpers lock` from {source}; do not edit.\n# {WHAT[name]}\n"
    return head + "".join(f"{one}\n" for one in pins)


def pin(line: str, hashes: dict[tuple[str, str], list[str]]) -> Pin:
    """A line of uv's, with the hashes of the release that it names."""
    head = line.strip()
    name, version = head.partition(" ;")[0].strip().split("==")
    found = hashes.get((name, version), [])
    if not found:
        raise SetupError(f"{name} {version} has no wheel", fix="name another release of it")
    return Pin(name, head, tuple(sorted(found)))
