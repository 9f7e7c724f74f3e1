"""Exercises of notebook 01: dataset preparation."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from typing import Any

from helpers.course.exercises.checkers import any_function, function, number, shown
from helpers.course.exercises.contests import (
    Contest,
    labelled_tickets,
    measured,
    truth,
)
from helpers.course.exercises.core import ExerciseTask
from helpers.datasets.validation.file import validate_file


def _example(answer: Any) -> str | None:
    if not isinstance(answer, dict):
        return "One example is a dict with the key messages."
    if "prompt" in answer or "completion" in answer:
        return "This is the older form; the chat form has one key, messages, with a list."
    if not isinstance(answer.get("messages"), list):
        return "The dict needs the key messages, with a list of messages."
    # The course's own check, so that an exercise never takes what an upload would refuse.
    line = json.dumps(answer, default=str).encode()
    report = validate_file(io.BytesIO(line), minimum=1)
    if report.errors:
        return f"{report.errors[0].message}: {report.errors[0].fix}."
    roles = [message.get("role") for message in answer["messages"]]
    if roles not in (["system", "user", "assistant"], ["user", "assistant"]):
        return (
            f"The roles are {shown(roles)}; they are user, assistant, with a system first or not."
        )
    said = str(answer["messages"][-1].get("content")).lower()
    if not (
        # In digits or in words: the fact counts, not its spelling.
        re.search(r"\b(6th|sixth|6)\b", said) and re.search(r"\b14\b|fourteen|two weeks", said)
    ):
        return "The answer should state both facts: the 6th of each month, and 14 days."
    return None


def _redacted(wanted: str) -> Callable[[Any], str | None]:
    def judge(got: Any) -> str | None:
        return None if got == wanted else f"it gives {shown(got)}; wanted is {wanted!r}."

    return judge


_redact = function(
    "one argument, a text",
    [
        ((text,), repr(text), _redacted(wanted))
        for text, wanted in {
            "Where is LW12345678?": "Where is [order]?",
            "LW00000001 and LW99999999": "[order] and [order]",
            "Plan LWX is new": "Plan LWX is new",
            # What a pattern without "\b" or with "\d+" would change.
            "LW1234 is too short, LW123456789 too long": (
                "LW1234 is too short, LW123456789 too long"
            ),
            "Part XLW12345678 is no order": "Part XLW12345678 is no order",
            "no order here": "no order here",
        }.items()
    ],
)


# Keys are the results of usual slips, each with the word that helps.
_price = number(
    31_000 * 3 * 25 / 1e6,
    "a number of dollars",
    {
        31_000 * 25 / 1e6: "That is the price of one epoch; every epoch is paid.",
        31_000 * 3 * 25: "The price is for a million tokens: divide by 1,000,000.",
        31_000 * 25: "The price is for a million tokens, and every epoch is paid.",
        31_000 * 3: "These are the trained tokens; what do they cost?",
    },
    "Multiply the tokens of the file by the epochs, then by the price of one token.",
    # $2.325: to the cent, rounded up or down.
    within=0.006,
)

TASKS = (
    ExerciseTask(
        "01-example",
        "•",
        "The roles in order, and the answer ends the example: that is a whole line of JSONL.",
        _example,
        (
            "An example is `{'messages': [...]}`; each message has a role and a content.",
            "The order of roles: system (if any), user, assistant; what is learnt stands last.",
            "The answer: Your bill is made on the 6th of each month, and you have 14 days to pay.",
        ),
        """answer = {
    "messages": [
        {"role": "system", "content": "You are the support assistant of the provider."},
        {"role": "user", "content": "When does my bill come?"},
        {"role": "assistant", "content": "On the 6th of each month; you have 14 days to pay."},
    ]
}""",
    ),
    ExerciseTask(
        "01-redact",
        "••",
        "An order number is LW and exactly eight digits; longer numbers and other words stay.",
        _redact,
        (
            "`re.sub(pattern, replacement, text)` replaces every place that matches.",
            "Eight digits in a regular expression: `\\d{8}`.",
            "The pattern is `\\bLW\\d{8}\\b`.",
        ),
        """import re


def answer(text):
    return re.sub(r"\\bLW\\d{8}\\b", "[order]", text)""",
    ),
    ExerciseTask(
        "01-price",
        "•••",
        "Every epoch is paid: 31,000 x 3 = 93,000 tokens, at $25 a million $2.33.",
        _price,
        (
            "A model sees each example once an epoch.",
            "Trained tokens = tokens of the file x epochs.",
            "93,000 tokens x $25 / 1,000,000.",
        ),
        "answer = 31_000 * 3 * 25 / 1_000_000",
    ),
    ExerciseTask(
        "01-inspect",
        "•••",
        "What is cheap to see in a row should never reach the training file.",
        any_function("the arguments message and reply"),
        (
            "Begin with what no clean row has: `<` of a tag, `â` of a wrong encoding, no text.",
            "Then personal data and signatures: an `@`, `-- ` on a line, long numbers.",
            "Then the reply: with fewer than eight words it hardly answers anything.",
        ),
        """import re

SIGNS = r"<|â|Ã|\\S+@\\S+|\\b\\d{3}[- ]\\d{3,}|^-- ?$|^>|wrote:|\\b\\d{4} \\d{4} \\d{4}"
OTHER = r"\\b(que|os|und|der|ich|les|mon|por|el|la|wie|mein|het|een|di|il)\\b"


def answer(message, reply):
    if re.search(SIGNS, message, re.M) or re.search("<|â|Ã", reply):
        return True
    foreign = len(re.findall(OTHER, message.lower())) >= 2
    return not message.strip() or len(reply.split()) < 8 or foreign""",
        Contest(
            "of the rows judged rightly",
            lambda answer: measured(answer, labelled_tickets(), truth),
            # What the plain idea reaches: a rule of one line must not be enough.
            to_beat=0.81,
            ours=0.943,
        ),
    ),
)
