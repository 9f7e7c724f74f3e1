"""The fictional provider: its system message, its contacts, and how it declines.

For: the notebooks and their data. Not for: your own table, see `helpers.datasets`.

    chat("How do I pay?", "By card.")["messages"][0]["content"] == SYSTEM
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from helpers.base import settings
from helpers.evaluation.leaderboard import DECLINED

PHONE = "555-0142"
DECLINE = (
    "I can only help with Larkwell Fibre services. For anything else, please ask a "
    f"specialist or call our team on {PHONE}."
)
SYSTEM = "You are the support assistant of Larkwell Fibre."


KEEP = (PHONE, "billing@larkwell.example", "help@larkwell.example")
"""The provider's own numbers and addresses, which answers must be able to say."""


FACTUAL = ("paraphrase", "two policies", "changed policy")
"""Kinds of test question that the articles answer."""
REFUSED = DECLINED
"""Kinds of which the right answer is to decline."""


def folder() -> Path:
    """Where the desk's data lie."""
    return settings.load().root / "data" / "support"


def chat(question: str, answer: str) -> dict[str, Any]:
    """One example in the chat format."""
    return {
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]
    }
