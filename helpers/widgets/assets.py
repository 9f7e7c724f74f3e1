"""The scripts and styles of the views, which all share a part.

For: the views of this package. Not for: what a view shows.

    script, style = assets("quiz")
"""

from __future__ import annotations

from pathlib import Path

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
