"""Set-up: what it says, what it trusts, and that it goes on where it stopped."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.__main__ import main
from helpers.base import settings
from helpers.base.errors import SetupError
from helpers.cli import bootstrap, pip, platforms, uv
from helpers.cli.bootstrap import Platform
from helpers.cli.pip import InstallProgress, Weights
from tests.places import ROOT
from tests.timing import seconds_of

WEIGHTS = (Weights("tiny", "tiny/weights.gguf", hashlib.sha256(b"weights").hexdigest()),)

FAKE_PIP = """
import os, pathlib, sys
folder, said = pathlib.Path(sys.argv[1]), sys.argv[3:]
(folder / "calls.txt").open("a").write(" ".join(sys.argv[2:]) + "\\n")
if "--version" in said or "config" in said:
    sys.exit(0)
mode = (folder / "mode.txt").read_text()
if mode == "no network":
    print("WARNING: Retrying after NewConnectionError: Temporary failure in name resolution")
    print("ERROR: No matching distribution found for torch==2.13.0")
    sys.exit(1)
if mode == "no address":
    print("WARNING: Retrying (Retry(total=4)) after connection broken by 'NameResolutionError('")
    print("ERROR: Could not find a version that satisfies the requirement torch==2.13.0")
    sys.exit(1)
if mode == "disk full":
    print("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device")
    sys.exit(1)
if mode == "no build":
    print("ERROR: No matching distribution found for torch==2.13.0")
    sys.exit(1)
if mode == "uv cannot":
    print("error: client error")
    sys.exit(sys.argv[2] == "uv")
if mode == "no index of torch":
    print("error: dns error")
    sys.exit(any("torch==" in word for word in said))
if mode == "other file":
    print("error: Hash mismatch for `six==1.17.0`")
    sys.exit(1)
if mode == "other file, says pip":
    print("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you")
    print("    six==1.17.0 from file:///six-1.17.0-py2.py3-none-any.whl:")
    sys.exit(1)
if mode == "crash":
    print("ERROR: the resolver stumbled")
    sys.exit(2)
if mode == "killed":
    print("Collecting torch==2.13.0")
    os._exit(137)
if any("torch==" in word for word in said):
    (folder / "site" / "torch-2.13.0+cpu.dist-info").mkdir()
place = folder / "site" / "tiny"
place.mkdir(parents=True, exist_ok=True)
if not any("requirements-test" in word for word in said):
    (place / "weights.gguf").write_bytes(b"weights" if mode == "good" else b"altered")
print("Collecting tiny==1.0")
print("Installing collected packages: tiny")
"""


class Sandbox:
    """A clone in a temporary folder, with a pip and a venv that install nothing."""

    def __init__(self, root: Path) -> None:
        self.root, self.made = root, 0
        (root / "pip.py").write_text(FAKE_PIP)
        (root / "requirements.txt").write_text("six==1.17.0\n")
        (root / "requirements-torch.txt").write_text("torch==2.13.0\n")
        (root / "requirements-models.txt").write_text("tiny==1.0\n")
        (root / "requirements-test.txt").write_text("pytest==9.2.0\n")
        (root / "requirements-uv.txt").write_text("uv==0.13.9\n")
        self.pip_does("good")
        self.output = io.StringIO()

    def pip_does(self, mode: str) -> None:
        (self.root / "mode.txt").write_text(mode)

    def make_venv(self, folder: Path) -> None:
        self.made += 1
        python = bootstrap.python_of(folder)
        python.parent.mkdir(parents=True)
        python.write_text("")
        (folder / "pyvenv.cfg").write_text("version = 3.11.7\n")
        packages = folder / "lib" / "python3.11" / "site-packages"
        packages.parent.mkdir(parents=True)
        (self.root / "site").mkdir(exist_ok=True)
        packages.symlink_to(self.root / "site")

    @property
    def machine(self) -> Platform:
        return Platform(
            version=(3, 11),
            free_bytes=lambda folder: 10**12,
            make_venv=self.make_venv,
            pip=lambda python: self.program("pip"),
            weights=WEIGHTS,
            prepare=lambda python: None,
            find_uv=lambda *rest: self.program("uv"),
            system="linux-x86_64",
        )

    def program(self, name: str) -> list[str]:
        # Without site-packages a Python starts in half the time.
        return [sys.executable, "-S", str(self.root / "pip.py"), str(self.root), name]

    def ensure(self, extra: str = "", wheels: Path | None = None, **changes: object) -> Path:
        machine = replace(self.machine, **changes)
        progress = InstallProgress(self.output)
        return bootstrap.ensure(
            self.root, extra=extra, wheels=wheels, machine=machine, progress=progress
        )

    @property
    def calls(self) -> list[str]:
        file = self.root / "calls.txt"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def installs(self) -> list[str]:
        return [call for call in self.calls if "install" in call.split()]

    @property
    def ready(self) -> bool:
        return bootstrap.is_ready(self.root, WEIGHTS)


@pytest.fixture
def clone(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)


def test_first_use_installs_and_the_second_calls_no_package_manager(clone):
    clone.ensure()
    course, torch = clone.installs
    assert "--require-hashes" in course
    assert "--torch-backend auto torch==2.13.0" in torch
    before = clone.calls
    clone.ensure()
    assert clone.calls == before
    assert clone.made == 1


def test_what_tests_add_comes_with_them_alone(clone):
    clone.ensure()
    assert not any("requirements-test.txt" in call for call in clone.calls)
    clone.ensure("test")
    assert "requirements-test.txt" in clone.installs[-1]
    before = clone.calls
    clone.ensure("test")
    assert clone.calls == before
    (clone.root / "requirements-test.txt").write_text("pytest==9.3.0\n")
    clone.ensure("test")
    assert len(clone.installs) == len([c for c in before if "install" in c.split()]) + 1


def test_where_uv_fails_or_is_not_to_be_had_pip_installs_and_a_line_says_so(clone):
    clone.pip_does("uv cannot")
    clone.ensure(weights=())
    assert [call.split()[0] for call in clone.installs[:2]] == ["uv", "pip"]
    assert "pip tries the same" in clone.output.getvalue()


def test_without_uv_pip_takes_the_default_build_of_pytorch(clone):
    clone.ensure(find_uv=lambda *rest: None)
    assert [call.split()[0] for call in clone.installs] == ["pip", "pip"]
    assert "requirements-torch.txt" in clone.installs[-1]
    assert "uv cannot be had" in clone.output.getvalue()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the default build is the small one")
def test_without_pytorchs_index_the_default_build_comes_and_a_line_says_so(clone):
    clone.pip_does("no index of torch")
    clone.ensure(weights=())
    assert "requirements-torch.txt" in clone.installs[-1]
    assert "--require-hashes" in clone.installs[-1]
    assert "its build with CUDA comes" in clone.output.getvalue()


def test_a_readers_own_place_is_asked_first_for_the_small_build(clone):
    own = uv.Sources(links=("/wheels",))
    clone.ensure(sources=lambda pip: own)
    assert "--find-links /wheels" in clone.installs[-1]
    assert "torch==2.13.0+cpu" in clone.installs[-1]


def test_a_folder_of_wheels_replaces_every_index(clone, tmp_path):
    (tmp_path / "wheels").mkdir()
    with pytest.raises(SetupError, match="no wheels"):
        clone.ensure(wheels=tmp_path / "wheels")
    (tmp_path / "wheels" / "six-1.17.0-py3-none-any.whl").touch()
    clone.ensure(wheels=tmp_path / "wheels")
    assert all("--no-index --find-links" in call for call in clone.installs)
    assert not any("--torch-backend" in call for call in clone.installs)


def test_pips_configuration_is_read_as_pip_says_it(tmp_path):
    said = (
        f":env:.find-links={str(tmp_path)!r}\nglobal.index-url='https://mirror.example/simple'\n"
        "global.extra-index-url='file:///gone/simple https://cpu.example/whl'\n"
        "global.find-links='/elsewhere'\nuser.cert='/x'\n"
    )
    speaking = [sys.executable, "-c", f"print({said!r})"]
    sources = uv.configured(speaking)
    assert sources.index == "https://mirror.example/simple"
    assert sources.links == (str(tmp_path),)
    assert sources.extra == ("https://cpu.example/whl",)
    assert uv.configured(["/no/such/program"]) == uv.Sources()


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("no network", "no network"),
        ("no address", "no network"),
        ("disk full", "not enough disk space"),
        ("no build", "no build of torch==2.13.0"),
        ("crash", "the installation ended with code 2: ERROR: the resolver stumbled"),
        ("killed", "the installation ended with code 137"),
        ("other file", "six==1.17.0 is not the file that the lock names"),
        ("other file, says pip", "six==1.17.0 is not the file that the lock names"),
        ("altered", "do not have the expected SHA-256"),
    ],
)
def test_a_failure_is_one_line_and_the_next_run_finishes(clone, mode, says):
    clone.pip_does(mode)
    with pytest.raises(SetupError) as caught:
        clone.ensure()
    assert says in str(caught.value)
    assert caught.value.fix
    assert "\n" not in str(caught.value)
    assert not clone.ready
    clone.pip_does("good")
    clone.ensure()
    assert clone.ready


def test_altered_weights_are_fetched_once_more_before_giving_up(clone):
    clone.pip_does("altered")
    with pytest.raises(SetupError):
        clone.ensure()
    assert any("--reinstall" in call and "--no-cache" in call for call in clone.calls)


def test_too_little_disk_space_is_seen_before_anything_is_made(clone):
    with pytest.raises(SetupError, match=r"1\.0 GB free, 4 GB needed"):
        clone.ensure(free_bytes=lambda folder: 10**9)
    assert clone.made == 0
    assert not clone.calls


@pytest.mark.parametrize("version", [(3, 10), (3, 15)])
def test_a_python_outside_the_range_is_refused_with_the_range(clone, version):
    with pytest.raises(SetupError, match=r"3\.11, 3\.12, 3\.13 or 3\.14"):
        clone.ensure(version=version)
    assert clone.made == 0


def test_a_newer_python_is_told_which_packages_it_waits_for(clone, monkeypatch):
    monkeypatch.setattr(platforms, "missing", lambda *rest: ["numpy", "torch"])
    with pytest.raises(SetupError, match="no build for it yet: numpy, torch"):
        clone.ensure(version=(3, 15))
    with pytest.raises(SetupError, match="linux-x86_64, there is no build of numpy, torch"):
        clone.ensure(version=(3, 14))


def test_a_finished_environment_serves_a_newer_python_too(clone):
    clone.ensure()
    assert clone.ensure(version=(3, 15)) == bootstrap.python_of(clone.root / ".venv")


def test_half_made_environment_without_a_working_pip_is_built_anew(clone):
    clone.ensure()
    (clone.root / ".venv" / "ready.json").unlink()
    broken = lambda python: [sys.executable, "-c", "raise SystemExit(1)"]  # noqa: E731
    rebuilt = []
    with pytest.raises(SetupError):
        clone.ensure(pip=broken, make_venv=rebuilt.append, find_uv=lambda *rest: None)
    assert rebuilt == [clone.root / ".venv"]


@pytest.mark.parametrize("change", ["pins", "weights", "moved", "stamp", "interpreter"])
def test_the_stamp_counts_for_this_very_state_only(clone, change):
    clone.ensure()
    stamp = clone.root / ".venv" / "ready.json"
    if change == "pins":
        (clone.root / "requirements-torch.txt").write_text("torch==2.14.0\n")
    elif change == "weights":
        file = clone.root / "site" / "tiny" / "weights.gguf"
        file.write_bytes(b"half")
    elif change == "moved":
        stamp.write_text(stamp.read_text().replace(clone.root.name, "elsewhere"))
    elif change == "stamp":
        stamp.write_text(stamp.read_text()[:20])
    else:
        bootstrap.python_of(clone.root / ".venv").unlink()
    assert not clone.ready


def test_a_package_with_a_cut_off_file_is_found(tmp_path):
    info = tmp_path / "lib" / "python3.11" / "site-packages" / "demo-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: demo\nVersion: 1.0\n")
    (info.parent / "demo.py").write_text("x = 1\n")
    (info / "RECORD").write_text("demo.py,sha256=abc,6\ndemo-1.0.dist-info/RECORD,,\n")
    assert pip.damaged_packages(tmp_path) == []
    (info.parent / "demo.py").write_text("x")
    assert pip.damaged_packages(tmp_path) == ["demo==1.0"]


def test_a_damaged_package_is_installed_anew_in_the_release_for_this_python(clone, monkeypatch):
    """Where a lock holds two, the installer chooses by their markers."""
    pins = "six==1.16.0 ; python_full_version < '3.12'\nsix==1.17.0 ; python_full_version >= '3.12'"
    (clone.root / "requirements.txt").write_text(f"{pins}\n")
    monkeypatch.setattr(pip, "damaged_packages", lambda folder: ["Six==1.16.0", "own==1"])
    clone.ensure()
    assert (clone.root / ".venv" / "repair.txt").read_text() == pins
    assert "--force-reinstall" in clone.installs[-1] or "--reinstall" in clone.installs[-1]


def test_only_one_command_sets_up_at_a_time(clone):
    with (
        bootstrap.alone(clone.root / ".venv.lock"),
        pytest.raises(SetupError, match="another command"),
    ):
        clone.ensure()


def test_progress_elsewhere_than_on_a_terminal_has_no_control_characters(clone):
    clone.ensure()
    said = clone.output.getvalue()
    assert "the environment is ready" in said
    assert "\r" not in said
    assert "\x1b" not in said


def test_the_checked_weights_are_the_files_that_the_course_loads():
    folder = settings.embedding_folder()
    assert settings.base_gguf() is not None
    assert folder is not None
    loaded = [settings.base_gguf(), folder / "model.safetensors"]
    checked = [Path(*Path(w.path).parts) for w in pip.WEIGHTS]
    assert [
        Path(*p.parts[-len(c.parts) :]) for p, c in zip(loaded, checked, strict=True)
    ] == checked


VERBS = ["lab", "test", "run", "serve", "doctor", "clean", "bench", "quiz"]


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_answers_at_once(verb):
    command = [sys.executable, "-m", "helpers", *filter(None, [verb]), "--help"]
    taken, said = seconds_of(command, ROOT)
    assert "usage: python3 -m helpers" in said
    assert taken < 0.3


def test_help_imports_the_standard_library_alone():
    code = (
        "import sys, helpers.__main__ as m\n"
        "m.parser().format_help()\n"
        "from helpers.cli import bootstrap\n"
        "files = [getattr(m, '__file__', None) or '' for m in sys.modules.values()]\n"
        "print([f for f in files if 'site-packages' in f])"
    )
    # -S: without site-packages nothing else could be imported, so the import itself is the test.
    command = [sys.executable, "-S", "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_option_is_an_error_except_for_test(tmp_path):
    for verb in ("lab", "run", "doctor"):
        command = [sys.executable, "-m", "helpers", verb, "--nonsense"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "--nonsense" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="the old interpreter is imitated with a POSIX path")
def test_a_python_that_is_too_old_gets_one_clear_line():
    code = (
        "import sys, runpy; sys.version_info = (3, 9, 1)\n"
        "runpy.run_module('helpers', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "this is Python 3.9; the course needs 3.11, 3.12, 3.13 or 3.14" in done.stderr


def test_a_failed_preparation_is_one_line_and_leaves_no_stamp(clone: Sandbox) -> None:
    def fails(python: Path) -> None:
        raise SetupError("the base model cannot be prepared for serving: why", fix="again")

    with pytest.raises(SetupError, match="cannot be prepared"):
        clone.ensure(prepare=fails)
    assert not clone.ready
    clone.ensure()
    assert clone.ready


@pytest.mark.parametrize("mode", ["disk full", "crash"])
def test_a_log_that_cannot_be_written_hides_no_error(clone: Sandbox, monkeypatch, mode) -> None:
    wanted = "not enough disk space" if mode == "disk full" else "ended with code 2"
    monkeypatch.setattr(Path, "open", full_disk(Path.open))
    clone.pip_does(mode)
    with pytest.raises(SetupError, match=wanted):
        clone.ensure()


def full_disk(opened):
    def refuse(path, *rest, **named):
        if path.name == "install.log":
            raise OSError(28, "No space left on device")
        return opened(path, *rest, **named)

    return refuse


def test_a_set_up_that_fails_ends_with_an_exit_code_and_one_line(monkeypatch, capsys) -> None:
    def fails(root: Path, **options: object) -> Path:
        raise SetupError("no network", fix="connect")

    monkeypatch.setattr(bootstrap, "ensure", fails)
    assert main(["lab"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: no network")
    assert "connect" in said
    assert said.count("\n") == 1


def test_preparation_says_what_the_program_said_last(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'OSError: [Errno 28] No space left on device' >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(SetupError, match="not enough disk space"):
        bootstrap.prepare_weights(broken)
