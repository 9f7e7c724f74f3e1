"""The hosts and trainers that a dataset can go to, and what each of them carries.

For: one description a target, which writers, accounts and checks all read. What stands here
was seen when the named package read such rows, or is what the host documents where there is
no package to run. Not for: writing, see `rows`.

    TARGETS["mlx-lm"].fate("weight_0")      # "unrolled"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from helpers.base.errors import DataError
from helpers.datasets.example import Kind

Fate = Literal["kept", "rewritten", "unrolled", "left out", "row left out", "trained on"]
"""What becomes of a feature. `unrolled`: one row for each answer that is learnt; `trained on`:
an answer of weight 0 is learnt all the same."""
LOSSES: tuple[Fate, ...] = ("left out", "row left out", "trained on")

TRAIN, VALID, TEST = "train", "validation", "test"


@dataclass(frozen=True)
class Target:
    """One host or trainer. A feature that is not named in `fates` is kept."""

    name: str
    title: str
    package: str
    """The package and version whose reading was tried; "" where there is none."""
    fates: Mapping[str, Fate]
    trainer: bool = False
    """Whether it runs on a machine of one's own, from the files of this export."""
    notes: tuple[str, ...] = ()
    closed: str = ""
    """Why hardly anybody can train there any more, and when that was read; "" of all others."""
    times: tuple[Kind, ...] = ()
    """Kinds of which `datasets` 5.2.0 would read a column of dates as times for it."""
    unfilled: str = ""
    """What becomes of rows that fill no batch, where full ones alone are learnt."""
    names: Mapping[str, str] = field(default_factory=dict)
    """File names where they are not train.jsonl and validation.jsonl."""

    def fate(self, feature: str) -> Fate:
        """What becomes of a feature here."""
        return self.fates.get(feature, "kept")


_TEXT: dict[str, Fate] = {
    "developer": "rewritten", "parts": "rewritten", "refusal": "rewritten",
    "picture": "left out", "name": "left out", "metadata": "left out",
    "parallel_tool_calls": "left out",
}  # fmt: skip
"""A target of plain messages."""
_TEMPLATE: dict[str, Fate] = {**_TEXT, "marks": "left out"}
"""A trainer with a tokenizer of Hugging Face: marks in a text become real ones."""
_ALTERNATE: dict[str, Fate] = {
    "same_role": "rewritten", "late_system": "rewritten",
    "mixed_answers": "row left out", "answer_first": "row left out",
}  # fmt: skip
_NO_TOOLS: dict[str, Fate] = {
    "tools": "row left out", "tool_calls": "row left out", "text_and_call": "row left out",
    "tool_answers": "row left out",
}  # fmt: skip
_NO_PAIRS: dict[str, Fate] = {"preference": "row left out"}
_NO_COMPLETION: dict[str, Fate] = {"completion": "row left out"}
_UNROLLED: dict[str, Fate] = {"weight_0": "unrolled", "several_answers": "unrolled"}
_UNSEEN = "No package of this host checks rows: written by its documented rules, not tried there."

_ALL = (
    Target("openai", "OpenAI", "openai 3.54.0", {}),
    Target(
        "azure", "Azure OpenAI", "openai 3.54.0", {},
        notes=("Azure asks for UTF-8 with a byte order mark.", _UNSEEN),
    ),
    Target(
        "together", "Together AI", "together 3.1.1", {**_TEXT, **_ALTERNATE},
        notes=(
            ("together 3 looks at nothing inside a line; what is written also passes the rules "
            "of 1.6.0, the last of its releases with strict checks, but for tools."),
        ),
    ),
    Target(
        "fireworks", "Fireworks AI", "fireworks-ai 1.2.30",
        {**_TEXT, **_ALTERNATE, **_NO_COMPLETION}, notes=(_UNSEEN,),
    ),
    Target(
        "mistral", "Mistral", "mistral-common 1.13.1",
        {**_TEXT, **_NO_PAIRS, **_NO_COMPLETION, **_ALTERNATE, "tool_calls": "rewritten",
         "text_and_call": "row left out"},
        notes=(
            "Ids of calls become nine letters and digits.",
            "Tokenizers before v7 put tools and system text in front of the last question.",
        ),
        closed=(
            "Mistral calls its fine-tuning API deprecated, without a replacement, and its client "
            "mistralai 3.7.0 has no call that makes a job (2026-11-30)."
        ),
    ),
    Target(
        "google", "Google Gemini on Vertex AI", "google-genai 3.3.0",
        {**_TEXT, **_NO_COMPLETION, **_ALTERNATE, "weight_0": "trained on",
         "tools": "rewritten", "tool_calls": "rewritten", "tool_answers": "rewritten"},
        notes=("Ids of calls have no place: answers follow their calls in order.",),
    ),
    Target(
        "cohere", "Cohere", "",
        {**_TEXT, **_NO_TOOLS, **_NO_PAIRS, **_NO_COMPLETION, **_ALTERNATE,
         "weight_0": "trained on"},
        notes=(_UNSEEN,),
        closed="Cohere retired its fine-tuning on 2025-09-15 (read 2026-11-30).",
    ),
    Target(
        "bedrock", "AWS Bedrock", "",
        {**_TEXT, **_NO_TOOLS, **_NO_PAIRS, **_NO_COMPLETION, **_ALTERNATE,
         "weight_0": "trained on"},
        notes=("Two files: nova-*.jsonl and claude-*.jsonl.", _UNSEEN),
    ),
    Target(
        "trl", "TRL", "trl 1.16.0", _TEMPLATE, trainer=True, times=("dpo", "completion"),
    ),
    Target(
        "axolotl", "axolotl", "axolotl 0.19.0", _TEMPLATE, trainer=True, times=("dpo",),
    ),
    Target(
        "llamafactory", "LLaMA-Factory", "llamafactory 0.9.5",
        {**_TEMPLATE, **_NO_COMPLETION, **_ALTERNATE, **_UNROLLED, "text_and_call": "row left out",
         "preferred_call": "row left out"},
        trainer=True, times=("dpo",),
    ),
    Target(
        "torchtune",
        "torchtune",
        "torchtune 0.6.1",
        {**_TEMPLATE, **_NO_TOOLS, **_NO_COMPLETION, **_ALTERNATE},
        trainer=True,
        unfilled="torchtune leaves as many out of each epoch, others each time",
        notes=("torchtune has no tokenizer for this model: torchtune_chat.py brings one.",),
    ),
    Target(
        "ms-swift", "ms-swift", "ms-swift 4.6.0",
        {**_TEMPLATE, **_NO_COMPLETION, **_ALTERNATE, "text_and_call": "row left out",
         "preferred_call": "row left out"},
        trainer=True, times=("dpo",),
    ),
    Target(
        "mlx-lm", "mlx-lm", "mlx-lm 0.32.2",
        {**_TEMPLATE, **_NO_TOOLS, **_NO_PAIRS, **_NO_COMPLETION, **_UNROLLED},
        trainer=True, names={VALID: "valid.jsonl"}, unfilled="mlx-lm never learns them",
    ),
    Target(
        "unsloth", "Unsloth", "", _TEMPLATE, trainer=True, times=("dpo", "completion"),
        notes=(
            ("Unsloth needs a GPU: its script here was not run. The data are those for TRL, which "
            "it trains with."),
        ),
    ),
    Target(
        "oumi", "Oumi", "oumi 0.9",
        {**_TEMPLATE, **_NO_TOOLS, **_NO_PAIRS, **_NO_COMPLETION, **_UNROLLED}, trainer=True,
    ),
    Target(
        "safe", "any trainer", "",
        {**_TEMPLATE, **_NO_TOOLS, **_NO_PAIRS, **_NO_COMPLETION, **_ALTERNATE,
         "weight_0": "trained on"},
        notes=(("The one form that every package tried here takes: texts of system, user and "
               "assistant, one after the other."),),
    ),
    Target(
        "datasets", "Hugging Face datasets", "datasets 5.2.0", {},
        names={TRAIN: "train.parquet", VALID: "validation.parquet"},
        notes=("Tools, calls and parts are kept as JSON text in columns of their own.",),
    ),
)  # fmt: skip

TARGETS: dict[str, Target] = {target.name: target for target in _ALL}


def target_of(name: str) -> Target:
    """The target of that name. Raises `DataError` that lists them."""
    if name not in TARGETS:
        raise DataError(f"there is no target {name!r}", fix=f"one of: {', '.join(TARGETS)}")
    return TARGETS[name]
