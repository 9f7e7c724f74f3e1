"""The scripts and styles of the views, which all share a part, and where their links lead.

For: the views of this package. Not for: what a view shows.

    script, style = assets("quiz")
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from helpers.base import settings

_STATIC = Path(__file__).parent / "static"


def assets(name: str) -> tuple[str, str]:
    """The script and the style of a view, each behind what all views share."""
    script, style = (
        "\n".join(
            (_STATIC / f"{part}.{kind}").read_text(encoding="utf-8") for part in ("common", name)
        )
        for kind in ("js", "css")
    )
    return script, style


def lab_folder() -> str:
    """This notebook's folder as JupyterLab names it, relative to its root; empty if not known.

    The address of the page does not tell: at a first start it names a folder, not a notebook.
    """
    root = settings.load().lab_root
    here = Path.cwd().resolve()
    if root is None or not here.is_relative_to(root.resolve()):
        return ""
    # As a POSIX path: JupyterLab's names have "/" on Windows too.
    return str(PurePosixPath(*here.relative_to(root.resolve()).parts))
