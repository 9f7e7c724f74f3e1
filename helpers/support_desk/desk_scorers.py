"""What the desk asks of an answer beside its facts: that it declines well, and its form.

For: scorers that know the provider's words. Not for: facts and texts of any provider, see
`helpers.evaluation.scorers`.

    declines("I can only help with Larkwell. Please call 555-0142.", sample).value     # 1.0
    house_style("Hold the button for 12 seconds.", sample).value                       # 1.0
"""

from __future__ import annotations

import re

from helpers.evaluation.scorers import Sample, Score, normalise
from helpers.support_desk.desk import PHONE

REFUSAL = re.compile(
    r"\b(?:can(?:'t|not)|can only|only able|unable|not able|won't|sorry, (?:but )?i)\b"
)
"""Words with which an answer declines, in normalised text."""
GREETING = re.compile(r"^(?:hi|hello|dear|hey|good (?:morning|afternoon|evening))\b")
# Also a placeholder that a template left: "[your name]".
SIGNATURE = re.compile(r"\b(?:regards|sincerely|yours truly|cheers)\b|\[[a-z ]*name\]")
# "- one", "* one", "• one", "1. one" or "2) one" at the start of a line.
LIST = re.compile(r"(?m)^\s*(?:[-*•]|\d+[.)])\s")
LONGEST = 60
"""Most words of an answer."""


def refuses(output: str) -> bool:
    """Whether an answer says that it cannot help, whatever else it says."""
    return REFUSAL.search(normalise(output)) is not None


def declines(output: str, sample: Sample) -> Score:
    """1 if the answer declines and names the number to call; the policy is both.

    `sample` is not read: whether declining is right depends on its kind.
    """
    reasons = [] if refuses(output) else ["does not decline"]
    reasons += [] if PHONE in output else [f"does not route to {PHONE}"]
    return Score(float(not reasons), ", ".join(reasons))


def house_style(output: str, sample: Sample) -> Score:
    """1 if the answer has the desk's form: at most 60 words, no greeting, no signature, no list."""
    text = normalise(output)
    checks = {
        "empty": not text,
        f"longer than {LONGEST} words": len(text.split()) > LONGEST,
        "opens with a greeting": GREETING.search(text) is not None,
        "ends with a signature or a placeholder": SIGNATURE.search(text) is not None,
        # On the text itself: `normalise` has joined the lines.
        "uses a list": LIST.search(output) is not None,
    }
    faults = [name for name, found in checks.items() if found]
    return Score(float(not faults), ", ".join(faults))
