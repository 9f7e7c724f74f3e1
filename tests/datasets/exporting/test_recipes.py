"""The configs beside an export: the template writes what our trainer reads, no step is lost."""

from __future__ import annotations

import json

import pytest
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment

from helpers.base import jsonl
from helpers.base.chat_format import chat_text
from helpers.base.tool_format import offered
from helpers.datasets.exporting import recipes
from helpers.datasets.exporting.export import export
from helpers.datasets.exporting.targets import TARGETS
from helpers.datasets.exporting.template import chat_template
from tests.datasets.exporting.rows import EXAMPLES

REWRITTEN = {"picture", "parts", "refusal"}
"""The rows of an export hold these as plain text."""
CHATS = [name for name, row in EXAMPLES.items() if "messages" in row and name not in REWRITTEN]


def rendered(row):
    """As transformers renders a template."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    template = environment.from_string(chat_template(markers=False))
    return template.render(
        messages=row["messages"], tools=row.get("tools"), add_generation_prompt=False
    )


@pytest.mark.parametrize("name", CHATS)
def test_the_template_writes_what_our_trainer_reads(name):
    row = EXAMPLES[name]
    ours = chat_text(row["messages"], offered(row), add_generation_prompt=False)
    assert rendered(row) == ours.removesuffix("\n")


def test_results_of_two_calls_are_one_turn():
    call = {"type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    messages = [
        {"role": "user", "content": "Both?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [call | {"id": "1"}, call | {"id": "2"}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "one"},
        {"role": "tool", "tool_call_id": "2", "content": "two"},
        {"role": "assistant", "content": "Done."},
    ]
    ours = chat_text(messages, add_generation_prompt=False)
    assert rendered({"messages": messages}) == ours.removesuffix("\n")


@pytest.mark.parametrize(("rows", "steps", "warmup"), [(200, 25, 0), (378, 48, 1), (1600, 200, 9)])
def test_no_step_of_the_warm_up_is_lost_where_a_schedule_begins_at_zero(rows, steps, warmup):
    job = recipes.Job(recipes.Recipe(n_epochs=1), "chat", {"train.jsonl": rows}, unrolled=False)
    assert (job.steps, job.warmup_steps) == (steps, warmup)
    texts = recipes.texts(TARGETS["trl"], job.recipe, kind="chat", rows=job.rows, unrolled=False)
    assert f"warmup_steps={warmup}," in texts["train.py"]
    for name, said in {
        "axolotl": f"warmup_steps: {warmup}\n", "llamafactory": f"warmup_steps: {warmup}\n",
        "oumi": f"warmup_steps: {warmup}\n", "mlx-lm": f"warmup: {warmup}\n",
        "ms-swift": f"--warmup_steps {warmup} ",
    }.items():  # fmt: skip
        given = {"kind": "chat", "rows": job.rows, "unrolled": False}
        made = recipes.texts(TARGETS[name], job.recipe, **given)
        assert said in "".join(made.values()), name


def test_what_fills_no_batch_is_named_where_only_full_ones_are_learnt(tmp_path):
    path = tmp_path / "train.jsonl"
    jsonl.write(path, [EXAMPLES["chat"]] * 18)
    done = export(path, tmp_path / "mlx", target="mlx-lm")
    said = "2 of 18 rows fill no batch of 8: mlx-lm never learns them"
    assert said in str(done)
    assert said in (tmp_path / "mlx" / "LOSSES.md").read_text(encoding="utf-8")
    settings = yaml.safe_load((tmp_path / "mlx" / "lora.yaml").read_text(encoding="utf-8"))
    assert settings["iters"] == 2 * recipes.OURS.n_epochs
    assert "batch" not in str(export(path, tmp_path / "trl", target="trl"))
