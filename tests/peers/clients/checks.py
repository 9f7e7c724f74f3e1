"""Runs the checks of one client and prints a line of JSON for each: what passed, and why not.

For: scripts of this folder, which run in an environment of their own, without the project.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable
from typing import Any

URL, KEY = os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"]
MODEL, EMBEDDER = os.environ["CHAT_MODEL"], os.environ["EMBEDDING_MODEL"]
ASKED = "Say hello."


def check(function: Callable[[], Any]) -> None:
    """Run one check at once; a coroutine function is awaited."""
    try:
        if inspect.iscoroutinefunction(function):
            import asyncio

            asyncio.run(function())
        else:
            function()
        said = {"check": function.__name__, "ok": True, "why": ""}
    except BaseException as error:  # noqa: BLE001 - whatever a client raises is the result
        why = f"{type(error).__name__}: {error}".replace(KEY, "…")[:400]
        said = {"check": function.__name__, "ok": False, "why": why}
    print("CHECK " + json.dumps(said), flush=True)
