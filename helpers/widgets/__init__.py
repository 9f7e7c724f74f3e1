"""What a reader clicks: thin views over logic that lives in lower layers."""

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
