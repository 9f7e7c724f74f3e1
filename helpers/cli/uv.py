"""Find uv, or fetch it with pip, and tell it what pip's configuration says.

For: `helpers.cli.bootstrap`, `helpers.cli.lock`; standard library only. Not for: running what
installs, see `helpers.cli.pip`.

    sources = configured([python, "-m", "pip"])      # Sources(links=('/opt/wheels',), ...)
    uv = find(folder, [python, "-m", "pip"], pins, sources, progress)  # ['.../uv'], or None

uv reads its own configuration and variables by itself, and those of pip not at all: a
company's mirror that only pip.conf names would be passed over.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from helpers.base.errors import SetupError
from helpers.cli import pip as installing
from helpers.cli.pip import Installer, InstallProgress

OLDEST_FIT = (0, 8)
"""From here on `--torch-backend` is there for every command used."""
# "global.index-url='https://…'" and ":env:.find-links='/wheels'".
SETTING = re.compile(r"^(?P<level>[\w:-]+?)\.\.?(?P<name>[a-z-]+)=(?P<value>.+)$")
# From weak to strong: a variable beats a file.
LEVELS = ("global", "install", ":env:")


@dataclass(frozen=True)
class Sources:
    """Where packages come from, beside or instead of the registry that all use."""

    index: str = ""
    extra: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    """Folders, or pages with links to wheels."""
    proxy: str = ""
    certificates: str = ""
    trusted: tuple[str, ...] = ()
    """Hosts whose certificate is not checked."""
    offline: bool = False
    """Only `links` counts."""

    @property
    def own(self) -> bool:
        """Whether the reader has named a place of their own, such as PyTorch's CPU index."""
        return bool(self.index or self.extra or self.links)

    def words(self) -> list[str]:
        """As options of pip, which uv understands too."""
        words = [word for folder in self.links for word in ("--find-links", folder)]
        if self.offline:
            return ["--no-index", *words]
        words += ["--index-url", self.index] if self.index else []
        return words + [word for url in self.extra for word in ("--extra-index-url", url)]

    def for_uv(self) -> list[str]:
        """As options of uv."""
        hosts = [word for host in self.trusted for word in ("--allow-insecure-host", host)]
        # Exact versions with hashes: any index may have the one that is named. uv by itself
        # stops at the first index that knows a package in any version.
        many = ["--index-strategy", "unsafe-best-match"] if self.extra else []
        return [*self.words(), *many, *hosts]

    def environment(self) -> dict[str, str]:
        """This process's variables, with what uv reads from them alone."""
        added = {"UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"}
        if self.proxy:
            added |= {"HTTPS_PROXY": self.proxy, "HTTP_PROXY": self.proxy}
        if self.certificates:
            added["SSL_CERT_FILE"] = self.certificates
        # The reader's own variables win.
        return {**added, **os.environ}


def only(folder: Path) -> Sources:
    """A folder of wheels instead of any network. Raises `SetupError` if it has none."""
    place = folder.expanduser().resolve()
    if not any(place.glob("*.whl")):
        raise SetupError(
            f"there are no wheels in {folder}",
            fix=f"fill it on a machine with a network: python3 -m helpers wheels {folder}",
        )
    return Sources(links=(str(place),), offline=True)


def configured(pip: list[str]) -> Sources:
    """What pip's files and variables say, read from pip itself; nothing where pip fails."""
    try:
        done = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=False)
    except OSError:
        return Sources()
    found: dict[tuple[str, str], str] = {}
    for line in done.stdout.splitlines():
        if match := SETTING.match(line.strip()):
            found[match["level"], match["name"]] = str(_value(match["value"]))
    # A later level overwrites an earlier one.
    said = {name: found[level, name] for level in LEVELS for at, name in found if at == level}
    sources = Sources(
        index=said.get("index-url", ""),
        extra=_usable(said.get("extra-index-url", "")),
        links=_usable(said.get("find-links", "")),
        proxy=said.get("proxy", ""),
        certificates=said.get("cert", ""),
        trusted=tuple(said.get("trusted-host", "").split()),
    )
    silent = said.get("no-index", "").lower() in ("1", "true", "yes", "on")
    return replace(sources, offline=True) if silent else sources


def find(
    folder: Path, pip: list[str], pins: Path, sources: Sources, progress: InstallProgress
) -> list[str] | None:
    """uv on the PATH, or in the environment's tool folder; None where it cannot be had.

    Raises `SetupError` if the disk is full, or if what came is not what `pins` names.
    """
    on_path = shutil.which("uv")
    if on_path and fits(on_path):
        return [on_path]
    own = folder / "tools" / "bin" / ("uv.exe" if os.name == "nt" else "uv")
    if not _is_pinned(own, pins):
        progress.line("fetching uv, which installs the rest")
        words = ["--target", str(folder / "tools"), "--upgrade", "--no-deps", "--require-hashes"]
        command = [*pip, "install", *words, *sources.words(), "-r", str(pins)]
        try:
            installing.install(command, pins, folder, folder / "install.log", progress)
        except installing.FailedInstall as error:
            if error.kind in ("disk", "hash"):
                raise
            # Without a network for uv there may still be one for pip's mirror.
            return None
    return [str(own)] if fits(str(own)) else None


def installer(uv: list[str], python: Path, sources: Sources, *, keeps: bool = True) -> Installer:
    """uv as what installs into the environment of `python`.

    `keeps`: whether that Python keeps the modules it compiles; if not, uv compiles all.
    """
    command = [*uv, "pip", "install", "--python", str(python), *sources.for_uv()]
    command += [] if keeps else ["--compile-bytecode"]
    return Installer("uv", tuple(command), "--reinstall", "--no-cache", sources.environment())


def fits(program: str) -> bool:
    """Whether this uv starts and is new enough."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    version = re.match(r"uv (\d+)\.(\d+)", done.stdout)
    return version is not None and (int(version[1]), int(version[2])) >= OLDEST_FIT


def _is_pinned(program: Path, pins: Path) -> bool:
    version = re.search(r"^uv==([\w.]+)", pins.read_text(encoding="utf-8"), re.M)
    info = program.parent.parent / f"uv-{version[1] if version else ''}.dist-info"
    return info.is_dir() and fits(str(program))


def _value(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _usable(text: str) -> tuple[str, ...]:
    """Places in a setting of several; a folder that is not there is left out, as pip does."""
    return tuple(word for word in text.split() if _is_there(word))


def _is_there(place: str) -> bool:
    if "://" not in place:
        return Path(place).exists()
    parts = urlsplit(place)
    return parts.scheme != "file" or Path(url2pathname(parts.path)).exists()
