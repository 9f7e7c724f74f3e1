"""The fictional provider: its system message, its contacts, and how it declines.

For: the notebooks and their data. Not for: your own table, see `helpers.datasets`.

    chat("How do I pay?", "By card.")["messages"][0]["content"] == SYSTEM
"""

from __future__ import annotations

from typing import Any

DECLINE = (
    "I can only help with Larkwell Fibre services. For anything else, please ask a "
    "specialist or call our team on 555-0142."
)


SYSTEM = "You are the support assistant of Larkwell Fibre."


KEEP = ("555-0142", "billing@larkwell.example", "help@larkwell.example")
"""The provider's own numbers and addresses, which answers must be able to say."""


def chat(question: str, answer: str) -> dict[str, Any]:
    """One example in the chat format."""
    return {
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]
    }
