"""Which systems and Pythons have a wheel of every locked package.

For: set-up and `doctor`, which read it; `lock`, which writes it. Not for: installing.

    missing("linux-x86_64", (3, 15))        # ['contourpy', 'numpy', 'pyyaml', 'torch']
    here()                                  # 'linux-x86_64'

Standard library only, but for what `lock` calls.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("platforms.json")
PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14), (3, 15))
"""Those looked at; which of them set-up takes is decided by what is missing."""
OLD_GLIBC = ("manylinux2014", "manylinux2010", "manylinux1", "linux")
GLIBC, MACOS = 28, 14
"""The oldest systems that are promised: glibc 2.28, macOS 14."""
EARLY, LATE = 0, 99
"""The first and a last release of a Python: some requirements hang on that."""
ANY_GLIBC, ANY_MACOS = 99, 99
SYSTEMS = {
    "linux-x86_64": "Linux x86-64, glibc 2.28",
    "linux-aarch64": "Linux ARM, glibc 2.28",
    "darwin-arm64": "macOS 14, Apple silicon",
    "darwin-x86_64": "macOS 14, Intel",
    "win32-amd64": "Windows x86-64",
    "win32-arm64": "Windows ARM",
}


def here() -> str:
    """This machine's key in `SYSTEMS`, or what it would be if it stood there."""
    return f"{sys.platform}-{platform.machine().lower()}"


def missing(system: str, python: tuple[int, int]) -> list[str] | None:
    """The locked packages without a wheel there; None where nobody has looked."""
    known = _read()["systems"]
    found: list[str] | None = known.get(system, {}).get(f"{python[0]}.{python[1]}")
    return found


def made() -> date:
    """The day on which the lock was made."""
    return date.fromisoformat(_read()["made"])


def table() -> str:
    """What `FILE` says, as a table for a page."""
    known = _read()["systems"]
    pythons = [f"{major}.{minor}" for major, minor in PYTHONS]
    rows = ["| no wheel of | " + " | ".join(pythons) + " |", "|---" * (len(pythons) + 1) + "|"]
    for system, words in SYSTEMS.items():
        cells = [", ".join(known[system][python]) or "–" for python in pythons]
        rows.append(f"| {words} | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def examine(packages: Sequence[dict[str, Any]]) -> dict[str, dict[str, list[str]]]:
    """For each system and Python the packages of a pylock file that have no wheel for it."""
    return {
        system: {
            f"{python[0]}.{python[1]}": sorted(_without_wheel(packages, system, python))
            for python in PYTHONS
        }
        for system in SYSTEMS
    }


def usable(packages: Sequence[dict[str, Any]]) -> set[str]:
    """The hashes of all wheels that some system and Python of the table can take.

    Of newer systems too: there an installer prefers a wheel that the oldest cannot take.
    """
    tags = frozenset[str]().union(
        *(
            _tags(system, python, glibc=ANY_GLIBC, macos=ANY_MACOS)
            for system in SYSTEMS
            for python in PYTHONS
        )
    )
    return {
        f"sha256:{wheel['hashes']['sha256']}"
        for package in packages
        for wheel in package.get("wheels", ())
        if _wheel_tags(wheel) & tags
    }


def applies(marker: str, system: str, python: tuple[int, int], micro: int = LATE) -> bool:
    """Whether a requirement with this marker is one there; an empty marker always is."""
    from packaging.markers import Marker

    return not marker or Marker(marker).evaluate(_environment(system, python, micro))


def platform_tags(system: str, *, glibc: int = GLIBC, macos: int = MACOS) -> list[str]:
    """The platform tags of wheels that a system can take, best first."""
    name, machine = system.split("-")
    if name == "linux":
        # Best first, as an installer tries them.
        known = [*(f"manylinux_2_{minor}" for minor in range(glibc, 4, -1)), *OLD_GLIBC]
        return [f"{one}_{machine}" for one in known]
    if name == "win32":
        return [f"win_{machine}"]
    from packaging.tags import mac_platforms

    return list(mac_platforms((macos, 0), machine))


def _read() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def _without_wheel(
    packages: Sequence[dict[str, Any]], system: str, python: tuple[int, int]
) -> Iterator[str]:
    tags = _tags(system, python)
    for package in packages:
        if applies(package.get("marker", ""), system, python) and not any(
            _wheel_tags(wheel) & tags for wheel in package.get("wheels", ())
        ):
            yield package["name"]


@cache
def _tags(
    system: str, python: tuple[int, int], *, glibc: int = GLIBC, macos: int = MACOS
) -> frozenset[str]:
    """The tags of all wheels that can be taken; thousands, and asked for at each resolution."""
    from packaging.tags import compatible_tags, cpython_tags

    places = platform_tags(system, glibc=glibc, macos=macos)
    found = (
        *cpython_tags(python, platforms=places),
        *compatible_tags(python, f"cp{python[0]}{python[1]}", places),
    )
    return frozenset(map(str, found))


def _wheel_tags(wheel: dict[str, Any]) -> set[str]:
    from packaging.utils import parse_wheel_filename

    name = wheel.get("name") or wheel["url"].rsplit("/", 1)[-1]
    # A local version, "torch-2.6.0+cpu", has its plus escaped in an address.
    return {str(tag) for tag in parse_wheel_filename(name.replace("%2B", "+"))[3]}


def _environment(system: str, python: tuple[int, int], micro: int) -> dict[str, str]:
    name, machine = system.split("-")
    windows, mac = name == "win32", name == "darwin"
    version = f"{python[0]}.{python[1]}"
    return {
        "sys_platform": name,
        "platform_system": "Windows" if windows else "Darwin" if mac else "Linux",
        "os_name": "nt" if windows else "posix",
        # Windows says "AMD64", Linux "x86_64".
        "platform_machine": machine.upper() if windows else machine,
        "python_version": version,
        "python_full_version": f"{version}.{micro}",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
