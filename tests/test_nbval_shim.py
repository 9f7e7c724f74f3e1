"""The mended nbval: what it passed silently now fails, and nothing else does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tests.places import ROOT

pytestmark = pytest.mark.slow


def code(source: str, *tags: str, prints: str = "") -> Any:
    """A cell that was run, with what it printed."""
    outputs = [new_output("stream", name="stdout", text=prints)] if prints else []
    metadata = {"tags": list(tags)} if tags else {}
    return new_code_cell(source, outputs=outputs, execution_count=1, metadata=metadata)


def figure(source: str) -> Any:
    """A cell that was run, with the figure that it showed."""
    cell = code(source)
    data = {"image/png": "", "text/plain": ["<Figure size 200x100 with 1 Axes>"]}
    cell.outputs = [new_output("display_data", data=data)]
    return cell


AFTER = code("print('still here')", prints="still here\n")
IGNORE = "nbval-ignore-output"
PLOT = "import matplotlib.pyplot as plt; plt.subplots(figsize=(2, 1)); plt.show()"
STATE = "import os; print(os.environ['WORKBOOK_STATE'].endswith('notebooks'))"
SHOW_MANY = """
from IPython.display import display

for number in range(20_000):
    display({"text/plain": "x" * 300}, raw=True)
"""

# name: (cells, what becomes of each: "." passed, "F" failed)
CASES: dict[str, tuple[list[Any], str]] = {
    "good": ([code("x = 2"), code("print(x + 1)", prints="3\n")], ".."),
    "history": ([code("40 + 2;"), code("print(Out)", prints="{}\n")], ".."),
    "magic": ([code("%nonsense\nraise SystemError('no')", IGNORE), AFTER], "F."),
    "shell": ([code("!exit 3", IGNORE), AFTER], "F."),
    "pip": ([code("%pip install --no-index not-a-package-at-all", IGNORE), AFTER], "F."),
    "echo": ([code("!echo fine", prints="fine\r\n"), AFTER], ".."),
    "expected": ([code("raise ValueError('x')", IGNORE, "raises-exception"), AFTER], ".."),
    "changed": ([code("print(2)", prints="1\n"), AFTER], "F."),
    "vanished": ([code("x = 1", prints="1\n"), AFTER], "F."),
    "made_up_ids": (
        [
            code(
                "print('file-Zy9876543210 at 0x7fffaaaa1234 on 127.0.0.1:5001')",
                prints="file-Ab0123456789 at 0x7f00bbbb0000 on 127.0.0.1:40123\n",
            )
        ],
        ".",
    ),
    "figure": ([figure(PLOT)], "."),
    "figure_unseen": ([figure("import matplotlib; matplotlib.use('agg')\n" + PLOT)], "F"),
    "state": ([code(STATE, prints="True\n")], "."),
    # Longer than the limit that pytest-timeout gets below.
    "slow": ([code("import time; time.sleep(4)"), AFTER], ".."),
    # More messages than ZeroMQ keeps for a reader that comes late.
    "talkative": ([code(SHOW_MANY, IGNORE), AFTER], ".."),
    "dead": ([code("import os; os._exit(1)"), AFTER], "FF"),
}


def pytest_run(folder: Path, *words: str) -> str:
    """What a pytest of its own says; it loads only the plugins that count here."""
    plugins = ("pytest_timeout", "nbval.plugin", "tests.isolation", "tests.nbval_shim")
    command = [sys.executable, "-m", "pytest", "-v", "--tb=short", "--color=no"]
    command += [word for name in plugins for word in ("-p", name)]
    command += ["--nbval", "--nbval-current-env", "--nbval-sanitize-with"]
    command += ["tests/nbval_sanitize.cfg", "--nbval-cell-timeout", "60", "--timeout", "2"]
    command += ["-p", "no:cacheprovider", "--durations=0", *words, str(folder)]
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> str:
    """The output of one run over all cases."""
    folder = tmp_path_factory.mktemp("notebooks")
    for name, (cells, _) in CASES.items():
        nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")
    return pytest_run(folder)


@pytest.fixture(scope="module")
def marks(said) -> dict[str, str]:
    """For every case one letter a cell."""
    found: dict[str, str] = defaultdict(str)
    for name, result in re.findall(r"(\w+)\.ipynb::Cell \d+ (PASSED|FAILED)", said):
        found[name] += "." if result == "PASSED" else "F"
    return found


@pytest.mark.parametrize("name", CASES)
def test_each_cell_ends_as_it_should(name, marks, said):
    assert marks[name] == CASES[name][1], said


def test_the_reasons_are_given(said):
    assert "a shell command of this cell ended with exit code 3" in said
    assert "the kernel died while this cell ran" in said


def test_a_dead_kernel_is_noticed_within_seconds(said):
    seconds = re.search(r"([\d.]+)s call +\S*dead\.ipynb::Cell 0", said)
    assert seconds is not None
    assert float(seconds[1]) < 10
