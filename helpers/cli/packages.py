"""Install what the lock names: with uv where it can be had, else with pip.

For: `helpers.cli.bootstrap`; standard library only. Not for: whether anything is to be
installed at all.

    packages = Packages(root, folder, pip, sources, progress, python=python)
    packages.install(["requirements.txt"])       # exact files, checked by SHA-256
    packages.torch()                             # the build that fits the machine

PyTorch stands apart: its CPU build for Linux is on an index of its own, which uv knows, and
which states other hashes than the lock. Where that index cannot be reached, the default
build comes, with CUDA.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import distributions
from pathlib import Path

from helpers.base.errors import SetupError
from helpers.cli import pip as installing
from helpers.cli import uv
from helpers.cli.pip import FailedInstall, Installer, InstallProgress
from helpers.cli.uv import Sources

COURSE, TORCH = "requirements.txt", "requirements-torch.txt"
MODELS, UV = "requirements-models.txt", "requirements-uv.txt"
CUDA_NEEDED = 5_000_000_000
"""Bytes of PyTorch's default Linux build with its CUDA packages: 4.9 GB measured."""
FINAL = ("disk", "hash")
"""What another program would run into as well, or must not get around."""
LOCKED = ("--no-deps", "--require-hashes", "--only-binary", ":all:")
# A release and its indented lines: "numpy==2.2.1 \" and the "    --hash=sha256:…" below it.
BLOCK = re.compile(r"^([A-Za-z0-9][\w.-]*)==.*(?:\n .*)*", re.M)


class Packages:
    """The environment in `folder`, and where its packages come from."""

    def __init__(
        self,
        root: Path,
        folder: Path,
        pip: list[str],
        sources: Sources,
        progress: InstallProgress,
        *,
        python: Path,
        find_uv: Callable[..., list[str] | None] = uv.find,
    ) -> None:
        self.root, self.folder, self.progress, self.sources = root, folder, progress, sources
        self.log = folder / "install.log"
        # What pip is configured to use it finds by itself; a folder of wheels it must be told.
        words = [*sources.words(), "--no-cache-dir"] if sources.offline else []
        # Python compiles what it imports, once; where it may not keep that, all is done now.
        keeps = not sys.dont_write_bytecode
        compiled = "--no-compile" if keeps else "--compile"
        self.installers = [Installer("pip", (*pip, "install", compiled, *words))]
        if found := find_uv(folder, pip, root / UV, sources, progress):
            # uv first, pip behind it for where uv fails.
            self.installers.insert(0, uv.installer(found, python, sources, keeps=keeps))
        else:
            progress.line("uv cannot be had: pip installs, which takes longer")

    def install(self, names: Sequence[str], *, again: bool = False) -> None:
        """The files of the lock. `again`: from the index, though they are there already."""
        files = [self.root / name for name in names]
        words = [word for file in files for word in ("-r", str(file))]
        self._run([*LOCKED, *words], files, again=again)

    def torch(self) -> None:
        """PyTorch for this machine. Raises `FailedInstall` if no build can be had."""
        wanted = self.root / TORCH
        found = re.search(r"^torch==([\w.]+)", wanted.read_text(encoding="utf-8"), re.M)
        version = found[1] if found else ""
        # "2.6.0+cpu" is the locked 2.6.0 in another build.
        if installed(self.folder).get("torch", "").partition("+")[0] == version:
            return None
        nvidia = shutil.which("nvidia-smi") is not None
        # The default wheels of macOS and Windows are the CPU builds.
        if sys.platform != "linux" and not nvidia:
            return self.install([TORCH])
        if self._own_build(version, wanted, nvidia) or self._from_its_index(version, wanted):
            return None
        if sys.platform == "linux":
            self.progress.line("PyTorch's index cannot be reached: its build with CUDA comes")
            if (free := shutil.disk_usage(self.root).free) < CUDA_NEEDED:
                raise installing.disk_full(self.root, free=free, needed=CUDA_NEEDED)
        return self.install([TORCH])

    def repair(self) -> None:
        """Install anew each locked package of which a file is missing or cut off."""
        damaged = {words.partition("==")[0] for words in installing.damaged_packages(self.folder)}
        known = self._blocks()
        ours = sorted(name for name in map(normalised, damaged) if name in known)
        if "torch" in ours and "+" in installed(self.folder)["torch"]:
            # Of another index, so the lock has no hash of it.
            ours.remove("torch")
            # Without its description uv and pip take it for absent.
            for info in installing.site_packages(self.folder).glob("torch-*.dist-info"):
                shutil.rmtree(info)
            self.torch()
        if ours:
            file = self.folder / "repair.txt"
            file.write_text("\n".join(known[name] for name in ours), encoding="utf-8")
            self._run([*LOCKED, "-r", str(file)], [file], again=True)

    def _own_build(self, version: str, wanted: Path, nvidia: bool) -> bool:
        """The CPU build from a place that the reader has configured, or from their folder."""
        own = self.sources.own and not nvidia
        return own and self._tried(["--no-deps", f"torch=={version}+cpu"], wanted)

    def _from_its_index(self, version: str, wanted: Path) -> bool:
        """What PyTorch's own index has for this machine; only uv knows the address."""
        if self.sources.offline or self.installers[0].name != "uv":
            return False
        held = self.folder / "constraints.txt"
        # What is there already must not be changed by what PyTorch asks for.
        heads = re.findall(r"^[\w.-]+==[^\\\n]+", self._text(COURSE), re.M)
        held.write_text("\n".join(heads), encoding="utf-8")
        words = ["--torch-backend", "auto", f"torch=={version}", "--constraint", str(held)]
        return self._tried(words, wanted, only="uv")

    def _tried(self, words: list[str], wanted: Path, only: str = "") -> bool:
        try:
            self._run(words, [wanted], only=only)
        except FailedInstall as error:
            if error.kind in FINAL:
                raise
            return False
        return True

    def _run(
        self, words: Sequence[str], files: list[Path], *, again: bool = False, only: str = ""
    ) -> None:
        """One installation, by uv, and by pip where uv fails."""
        usable = [one for one in self.installers if only in ("", one.name)]
        for place, installer in enumerate(usable):
            fresh = [installer.reinstall, installer.no_cache] if again else []
            command = [*installer.command, *fresh, *words]
            quiet = installing.PIP_QUIET if installer.name == "pip" else ()
            try:
                return installing.install(
                    command, files, self.folder, self.log, self.progress,
                    quiet=quiet, environment=installer.environment,
                )  # fmt: skip
            except FailedInstall as error:
                if error.kind in FINAL or place == len(usable) - 1:
                    raise
                self.progress.line(f"uv: {error.message}; pip tries the same")
        return None

    def _text(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8")

    def _blocks(self) -> dict[str, str]:
        """Each locked package with its hashes, as it stands in its file.

        One can stand there twice, with markers: another release for another Python.
        """
        text = "\n".join(file.read_text(encoding="utf-8") for file in self._files())
        found: dict[str, str] = {}
        for block in BLOCK.finditer(text):
            name = normalised(block[1])
            found[name] = f"{found[name]}\n{block[0]}" if name in found else block[0]
        return found

    def _files(self) -> list[Path]:
        return sorted(self.root.glob("requirements*.txt"))


def installed(folder: Path) -> dict[str, str]:
    """Every package of an environment with its version."""
    found = distributions(path=[str(installing.site_packages(folder))])
    named = ((installing.name_of(one), one) for one in found)
    return {normalised(name): one.version for name, one in named if name}


def normalised(name: str) -> str:
    """A package's name as the lock spells it: `Jinja2` is `jinja2`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def into_this_python(root: Path) -> None:
    """Install the course into the running Python itself, where that one is the environment."""
    pip = [sys.executable, "-m", "pip"]
    progress = InstallProgress(sys.stderr)
    place, python = Path(sys.prefix), Path(sys.executable)
    packages = Packages(root, place, pip, uv.configured(pip), progress, python=python)
    packages.install([COURSE, MODELS])
    packages.torch()
    packages.repair()


if __name__ == "__main__":
    try:
        into_this_python(Path(__file__).resolve().parents[2])
    except SetupError as error:
        sys.exit(f"error: {error}")
