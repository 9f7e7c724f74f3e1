"""The course as a static book: the notebooks as they are stored, searchable, light and dark.

    python3 .ci/book.py site        # builds site/index.html; nothing is executed

It makes an environment of its own in `.workbook/book/` with Jupyter Book 1, which brings its
theme with it; Jupyter Book 2 and MyST fetch theirs from a server at each build. Widgets stand in
their static forms: quiz and map as lists, the monitor with its last curve, a chat as a table.
Where GITHUB_REPOSITORY is set, as in GitHub's own workflows, the first page has start badges.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".workbook" / "book"
BOOK = ("jupyter-book==1.0.4.post1", "sphinx-book-theme==1.1.4")
"""With the theme of its time: newer ones bring two menu buttons, of which the visible one is dead
in a narrow window, and a second search field."""
WIDGET = "application/vnd.jupyter.widget-view+json"
PAGES = ("README.md", "docs", "notebooks")
CARD = "data/README.md"
FIRST = ("glossary", "workshop", "your_own_table", "measurements")
"""Pages that a reader wants first; all others of `docs/` follow."""
STYLE = """/* Tables as JupyterLab shows them; a caption is read on its output's own ground. */
.cell_output table :is(th, td) { padding: 0.25em 0.7em; text-align: left; vertical-align: top; }
.cell_output table caption { color: inherit; }
"""
CONFIG = """title: Train a ChatGPT-style model on your own data
author: the course's authors
only_build_toc_files: true
execute: {execute_notebooks: "off"}
html: {use_issues_button: false, use_repository_button: false, home_page_in_navbar: true}
parse: {myst_enable_extensions: [colon_fence, linkify]}
sphinx:
  config:
    html_show_copyright: false
    suppress_warnings: [myst.xref_missing, mystnb.unknown_mime_type, misc.highlighting_failure]
"""


def chapters() -> list[str]:
    """The notebooks in order, without their suffix."""
    return [f"notebooks/{path.stem}" for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]


def beside() -> list[str]:
    """The pages of `docs/` and the data card, without their suffix."""
    names = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
    pages = [f"docs/{name}" for name in (*FIRST, *(n for n in names if n not in FIRST))]
    return [*pages, CARD.removesuffix(".md")]


def contents() -> str:
    """The table of contents: the README first, then the notebooks, then what goes with them."""
    lines = ["format: jb-book", "root: README", "parts:", "- caption: Course", "  chapters:"]
    lines += [f"  - file: {name}" for name in chapters()]
    lines += ["- caption: Beside it", "  chapters:"]
    return "\n".join([*lines, *(f"  - file: {name}" for name in beside())]) + "\n"


def static(notebook: dict) -> dict:
    """A notebook whose widgets are what they leave for a page without a kernel."""
    notebook["metadata"].pop("widgets", None)
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            data.pop(WIDGET, None)
            if "text/html" in data:
                page = "".join(data["text/html"])
                data["text/html"] = re.sub(r'href="([\w./-]+)\.ipynb', r'href="\1.html', page)
    return notebook


def badges(repository: str) -> str:
    """Two links that start the course elsewhere; none where the repository is not known."""
    if not repository:
        return ""
    places = {
        "Codespaces": f"https://github.com/codespaces/new/{repository}",
        "Binder": f"https://mybinder.org/v2/gh/{repository}/HEAD?urlpath=lab",
    }
    links = [
        f"[![Start in {name}](docs/drawings/{name.lower()}.svg)]({address})"
        for name, address in places.items()
    ]
    return "\n" + " ".join(links) + "\n"


def gather(target: Path, *, repository: str = "") -> None:
    """Copy what becomes a page into `target`, in its static form."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in ("docs", "data/examples"):
        shutil.copytree(ROOT / name, target / name)
    for name in ("LICENSE", "data/LICENSE", CARD):
        shutil.copy(ROOT / name, target / name)
    (target / "notebooks").mkdir()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = static(json.loads(path.read_text(encoding="utf-8")))
        text = json.dumps(notebook, ensure_ascii=False)
        (target / "notebooks" / path.name).write_text(text, encoding="utf-8")
    title, rest = (ROOT / "README.md").read_text(encoding="utf-8").split("\n", 1)
    # The theme has no Mermaid: the diagram of the packages stays as its text.
    first = f"{title}\n{badges(repository)}{rest}".replace("```mermaid", "```text")
    (target / "README.md").write_text(first, encoding="utf-8")
    # Jupyter Book takes every style sheet of this folder.
    (target / "_static").mkdir()
    (target / "_static" / "book.css").write_text(STYLE, encoding="utf-8")
    (target / "_config.yml").write_text(CONFIG, encoding="utf-8")
    (target / "_toc.yml").write_text(contents(), encoding="utf-8")


def environment() -> Path:
    """Python of the book's own environment, made at the first build."""
    home = WORK / "environment"
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready, pins = home / "ready", "\n".join(BOOK)
    if not ready.exists() or ready.read_text(encoding="utf-8") != pins:
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *BOOK], check=True)
        ready.write_text(pins, encoding="utf-8")
    return python


def build(out: Path) -> Path:
    """Build the book into `out`; returns its first page."""
    source = WORK / "source"
    gather(source, repository=os.environ.get("GITHUB_REPOSITORY", ""))
    code = "from jupyter_book.cli.main import main; main()"
    command = [str(environment()), "-c", code, "build", "--quiet", "--keep-going", str(source)]
    subprocess.run(command, check=True)
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(source / "_build" / "html", out)
    return out / "index.html"


if __name__ == "__main__":
    made = build(Path(sys.argv[1] if len(sys.argv) > 1 else "site").resolve())
    sys.stdout.write(f"{made}\n")
