"""The lock: one resolution, hashes of usable wheels alone, and pages that say what it holds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from helpers.base.errors import SetupError
from helpers.cli import licences, lock, platforms, uv
from tests.places import ROOT

KNOWN = {
    "six": "six==1.17.0", "torch": "torch==2.13.0", "pytest": "pytest==9.2.0", "trl": "trl==1",
    "nvidia-nccl": "nvidia-nccl==3 ; sys_platform == 'linux'", "uv": "uv==1", "tiny": "tiny==1",
    "win": "win==2 ; sys_platform == 'win32'", "lark": "lark==1",
}  # fmt: skip


class Uv:
    """Does what `uv pip compile` does, for the packages in `KNOWN`; remembers its words."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.kept: list[str] = []
        self.fault = ""

    def __call__(self, words, *, cwd, **_):
        out = Path(words[words.index("-o") + 1])
        self.calls.append(words)
        self.kept.append(out.read_text() if out.exists() else "")
        named = [w for w in words if w.endswith((".in", ".txt")) and w != str(out)]
        lines = [x for w in named if "held" not in w for x in (cwd / w).read_text().splitlines()]
        left = [words[i + 1] for i, word in enumerate(words) if word == "--no-emit-package"]
        named = [x for x in dict.fromkeys(lines) if x not in left]
        if out.suffix == ".toml" or "pinned.txt" in " ".join(words[: words.index("-o")]):
            out.write_text("\n".join(self._wheels(named)))
        else:
            out.write_text("\n".join(KNOWN[x] for x in named))
        return subprocess.CompletedProcess(words, bool(self.fault), "", self.fault)

    def _wheels(self, lines):
        for line in lines:
            head, _, marker = line.partition(" ; ")
            name, version = head.split("==")
            yield f"[[packages]]\nname = '{name}'\nversion = '{version}'"
            yield f'marker = "{marker}"' if marker else ""
            tags = "cp311-cp311-win_amd64" if name == "win" else "py3-none-any"
            for tag in (tags, "pp311-pypy311_pp73-win_amd64"):
                file = f"{name.replace('-', '_')}-{version}-{tag}.whl"
                yield "[[packages.wheels]]"
                yield f"name = '{file}'\nhashes = {{sha256 = '{name}-{tag}'}}"


@pytest.fixture
def compile_(monkeypatch):
    fake = Uv()
    monkeypatch.setattr(lock.subprocess, "run", fake)
    return fake


@pytest.fixture
def root(tmp_path, monkeypatch, compile_):
    """A folder with inputs, and a uv that knows nine packages."""
    (tmp_path / ".ci").mkdir()
    inputs = {
        "requirements": "six\ntorch\nnvidia-nccl\nwin\nlark\n",
        "requirements-test": "pytest\nsix\n",
        "requirements-bench": "trl\n",
        "requirements-models": "tiny\n",
        "requirements-uv": "uv\n",
        "requirements-postgres": "six\n",
    }
    for name, text in inputs.items():
        (tmp_path / ".ci" / f"{name}.in").write_text(text)
    monkeypatch.setattr(platforms, "FILE", tmp_path / "platforms.json")
    monkeypatch.setattr(uv, "find", lambda *_: ["uv"])
    monkeypatch.setattr(uv, "configured", lambda _: uv.Sources(links=("/own",), index="https://m"))
    return tmp_path


def made(root: Path, *, upgrade: bool = False) -> dict[str, str]:
    (root / "scratch").mkdir(exist_ok=True)
    return lock.Resolver(root, root / "scratch", upgrade=upgrade).all()


def names(text: str) -> set[str]:
    return set(re.findall(r"^([\w-]+)==", text, re.M))


def test_each_file_holds_what_the_ones_before_it_do_not(root):
    files = made(root)
    assert names(files["requirements.txt"]) == {"six", "win"}
    assert names(files["requirements-torch.txt"]) == {"torch", "nvidia-nccl"}
    assert names(files["requirements-test.txt"]) == {"pytest"}
    assert names(files["requirements-bench.txt"]) == {"trl"}
    assert names(files["requirements-models.txt"]) == {"tiny"}
    assert names(files["requirements-uv.txt"]) == {"uv"}


def test_a_marker_stays_and_only_hashes_of_wheels_that_some_system_takes(root):
    text = made(root)["requirements.txt"]
    assert (
        "win==2 ; sys_platform == 'win32' \\\n    --hash=sha256:win-cp311-cp311-win_amd64" in text
    )
    assert "pypy" not in text


def test_systems_without_a_wheel_are_found(root):
    whole = made(root)
    systems = json.loads(whole["platforms.json"])["systems"]
    assert systems["win32-amd64"]["3.11"] == []
    assert systems["win32-amd64"]["3.12"] == ["win"]
    assert systems["linux-x86_64"]["3.12"] == []


def test_pins_of_before_are_kept_unless_the_newest_are_wanted(root, compile_):
    (root / "requirements.txt").write_text("six==1.16.0 \\\n    --hash=sha256:0\n")
    for upgrade, kept in ((False, "six==1.16.0"), (True, "")):
        compile_.kept.clear()
        made(root, upgrade=upgrade)
        assert compile_.kept[0] == kept


def test_a_readers_own_wheels_are_not_asked_and_a_mirror_is(root, compile_):
    made(root)
    words = compile_.calls[0]
    assert "--find-links" not in words
    assert words[words.index("--index-url") + 1] == "https://m"


def test_what_fits_nothing_is_said_as_uv_says_it(root, compile_):
    compile_.fault = "no version of six fits\n"
    with pytest.raises(SetupError) as caught:
        made(root)
    assert caught.value.fix == "no version of six fits"


def test_a_release_without_a_wheel_is_refused():
    with pytest.raises(SetupError, match=r"six 1\.0 has no wheel"):
        lock.pin("six==1.0", {})


def test_changes_name_what_came_went_and_moved():
    before, after = {"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "3"}
    assert list(lock.changes(before, after)) == ["b: 1 -> 2", "c: 1 -> -", "d: - -> 3"]


def test_the_page_of_packages_says_what_the_lock_holds():
    page = (ROOT / lock.TABLE).read_text(encoding="utf-8")
    assert platforms.table() in page
    listed = set(re.findall(r"^\| ([\w.-]+ [\w.+!-]+) \|", page.partition("## Licences")[2], re.M))
    pins = {f"{name} {one}" for name, v in lock.pins_of(ROOT).items() for one in v.split(", ")}
    assert listed == pins


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"license_expression": "MIT"}, "MIT"),
        ({"classifier": ["License :: OSI Approved :: BSD License"]}, "BSD License"),
        ({"classifier": ["License :: OSI Approved"], "license": "Apache 2.0"}, "Apache 2.0"),
        ({"license": "Permission is hereby granted, free of charge, to any person who " * 2},
         "see the package"),
        ({}, "see the package"),
    ],
)  # fmt: skip
def test_a_licence_in_a_few_words(metadata, expected):
    assert licences.licence_of({"name": "no-such-package-anywhere", **metadata}) == expected


def test_every_release_is_described_for_a_system_that_it_is_for(root, monkeypatch):
    (root / "requirements.txt").write_text(
        "six==1 \\\n    --hash=sha256:0\nwin==2 ; sys_platform == 'win32' \\\n    --hash=sha256:0\n"
    )
    asked = []

    def describe(heads, system, python):
        asked.append((system, heads))
        found = [head.split("==") for head in heads]
        return [{"name": n, "version": v, "license_expression": system} for n, v in found]

    monkeypatch.setattr(licences, "_describe", describe)
    rows = licences.table(root).splitlines()[3:]
    assert rows == ["| six 1 | linux-x86_64 |", "| win 2 | win32-amd64 |"]
    assert [system for system, _ in asked] == ["linux-x86_64", "win32-amd64"]


def test_both_releases_of_a_package_that_has_two_are_described(root, monkeypatch):
    (root / "requirements.txt").write_text(
        "six==1 ; python_full_version < '3.12' \\\n    --hash=sha256:0\n"
        "six==2 ; python_full_version >= '3.12' \\\n    --hash=sha256:0\n"
    )

    def describe(heads, system, python):
        found = [head.split("==") for head in heads]
        return [{"name": n, "version": v, "license_expression": str(python)} for n, v in found]

    monkeypatch.setattr(licences, "_describe", describe)
    assert licences.table(root).splitlines()[3:] == ["| six 1 | (3, 11) |", "| six 2 | (3, 12) |"]


def test_a_release_for_newer_pythons_is_described_from_this_one(tmp_path, monkeypatch):
    newer = (sys.version_info[0], sys.version_info[1] + 1)
    needs = f"Requires-Python: >={newer[0]}.{newer[1]}"
    info = f"Metadata-Version: 2.1\nName: newer\nVersion: 1\n{needs}\n"
    with zipfile.ZipFile(tmp_path / "newer-1-py3-none-any.whl", "w") as file:
        file.writestr("newer-1.dist-info/METADATA", info)
        file.writestr("newer-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr("newer-1.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", tmp_path.as_uri())
    found = licences._describe(["newer==1"], platforms.here(), newer)
    assert [one["name"] for one in found] == ["newer"]
