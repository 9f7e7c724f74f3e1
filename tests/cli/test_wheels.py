"""A folder of wheels: what is fetched for which system, and what is said when something lacks.

pip is the real one, and has a folder of small wheels instead of an index.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from helpers.base.errors import CourseError, SetupError
from helpers.cli import packages, platforms, wheels

BUILDS = {
    "six": ["py3-none-any"],
    "colorama": ["py3-none-any"],
    "numpy": ["cp312-cp312-manylinux_2_28_x86_64", "cp312-cp312-win_amd64"],
    "newer": ["py3-none-manylinux_2_35_x86_64"],
    "uv": ["py3-none-any"],
    "weights": ["py3-none-any"],
    "openai": ["py3-none-any"],
    "pytest": ["py3-none-any"],
    "torch": ["cp312-cp312-manylinux_2_28_x86_64", "cp312-cp312-win_amd64"],
}


def wheel(folder: Path, name: str, tag: str, version: str = "1.0") -> str:
    """Write a wheel that holds nothing, and return its SHA-256."""
    path = folder / f"{name}-{version}-{tag}.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        file.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        file.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Place:
    """A project with a lock, and the folder that pip has instead of an index."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.index, self.target = root, folder, root / "room"
        self.index.mkdir()
        self.hashes = {n: [wheel(folder, n, tag) for tag in tags] for n, tags in BUILDS.items()}
        self.pin("requirements.txt", "six", "colorama ; sys_platform == 'win32'", "numpy")
        self.pin("requirements-models.txt", "weights")
        self.pin("requirements-uv.txt", "uv")
        self.pin("requirements-test.txt", "pytest")
        self.pin("requirements-torch.txt", "torch")
        (root / "old").mkdir()
        (root / "old" / "old.txt").write_text("openai==1.0\n")

    def pin(self, file: str, *lines: str) -> None:
        made = ""
        for line in lines:
            name, _, marker = line.partition(" ;")
            hashes = [f"    --hash=sha256:{one}" for one in self.hashes[name]]
            head = f"{name}==1.0" + (f" ;{marker}" if marker else "")
            made += " \\\n".join([head, *hashes]) + "\n"
        (self.root / file).write_text(made)

    def fill(self, system: str, *, tests: bool = False) -> set[str]:
        options = argparse.Namespace(
            folder=self.target, systems=[system], pythons=["3.12"], tests=tests
        )
        assert wheels.run(self.root, options) == 0
        return {path.name for path in self.target.glob("*.whl")}


@pytest.fixture
def place(tmp_path, monkeypatch) -> Place:
    made = Place(tmp_path, tmp_path / "a folder instead of an index")
    monkeypatch.setattr(wheels, "OLD", tmp_path / "old")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", made.index.as_uri())
    return made


def names(files: set[str]) -> set[str]:
    return {file.split("-")[0] for file in files}


def test_a_folder_for_windows_has_its_builds_and_what_only_it_needs(place):
    found = place.fill("win32-amd64")
    assert names(found) == {"six", "colorama", "numpy", "weights", "uv", "openai", "torch"}
    assert all(
        file.split("-", 2)[2] in ("py3-none-any.whl", "cp312-cp312-win_amd64.whl") for file in found
    )


def test_a_folder_for_linux_has_pytorchs_small_build_where_it_is_to_be_had(place, capsys):
    wheel(place.index, "torch", "cp312-cp312-manylinux_2_28_x86_64", version="1.0+cpu")
    found = place.fill("linux-x86_64", tests=True)
    assert names(found) == {"six", "numpy", "weights", "uv", "openai", "torch", "pytest"}
    assert {file for file in found if "torch" in file} == {
        "torch-1.0+cpu-cp312-cp312-manylinux_2_28_x86_64.whl"
    }
    assert "CUDA" not in capsys.readouterr().out


def test_without_the_small_build_the_default_one_comes_and_a_line_says_so(place, capsys):
    found = place.fill("linux-x86_64")
    assert "torch-1.0-cp312-cp312-manylinux_2_28_x86_64.whl" in found
    said = capsys.readouterr().out
    assert "its build with CUDA comes" in said
    assert "PIP_EXTRA_INDEX_URL" in said


def test_a_wheel_for_a_newer_system_than_the_promised_one_is_not_taken(place):
    place.pin("requirements.txt", "six", "newer")
    with pytest.raises(SetupError, match="No matching distribution found for newer"):
        place.fill("linux-x86_64")


def test_another_file_than_the_locked_one_is_not_taken(place):
    wheel(place.index, "six", "py3-none-any", version="1.0")
    with zipfile.ZipFile(place.index / "six-1.0-py3-none-any.whl", "a") as file:
        file.writestr("six.py", "import evil")
    with pytest.raises(SetupError, match="cannot be fetched") as caught:
        place.fill("linux-x86_64")
    assert caught.value.fix
    assert not list(place.target.glob("six*"))


def test_what_only_the_first_releases_of_a_python_need_comes_too(place, monkeypatch):
    place.pin("requirements.txt", "six", "colorama ; python_full_version < '3.12.2'")
    asked: list[int] = []
    whole = wheels.Download._pip
    monkeypatch.setattr(
        wheels.Download, "_pip", lambda self, micro: asked.append(micro) or whole(self, micro)
    )
    assert "colorama" in names(place.fill("win32-amd64"))
    assert asked[:2] == [platforms.LATE, platforms.EARLY]


@pytest.mark.parametrize(
    ("system", "python", "says"),
    [
        ("amiga-m68k", (3, 12), "nobody has looked"),
        ("linux-x86_64", (3, 9), "nobody has looked"),
        ("darwin-x86_64", (3, 12), "no build of .*torch"),
    ],
)
def test_a_system_that_cannot_be_served_is_refused_before_anything_is_fetched(system, python, says):
    with pytest.raises(SetupError, match=says) as caught:
        wheels.check(system, python)
    assert caught.value.fix


@pytest.mark.parametrize("word", ["3", "3.x", "", "three.twelve"])
def test_a_version_is_two_numbers(word):
    with pytest.raises(CourseError, match="no version of Python"):
        wheels.version_of(word)
    assert wheels.version_of("3.12") == (3, 12)


def test_the_lock_of_the_course_is_in_every_folder():
    assert set(wheels.FILES) == {packages.COURSE, packages.MODELS, packages.UV}
    assert list(wheels.OLD.glob("*.txt"))
