"""Old releases of the openai package, run as their tutorials ran them.

    old = package("0.28.1")
    old.run("openai api fine_tunes.list")
    old.python("import openai")

Not for: new code; today's calls go through `helpers.connection`.
"""

from helpers.base.facade import offer

__all__ = [
    "package",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "package": "openai_package:package",
    },
)
