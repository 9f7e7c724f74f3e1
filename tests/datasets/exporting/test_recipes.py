"""The configs beside an export: the template writes what our trainer reads, no step is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import openai
import pytest
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment

from helpers.base import jsonl
from helpers.base.chat_format import chat_text
from helpers.base.errors import DataError
from helpers.base.settings import BASE_MODEL
from helpers.base.tool_format import offered
from helpers.datasets.exporting import recipes
from helpers.datasets.exporting.export import export
from helpers.datasets.exporting.job_settings import recipe_of_job
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


@pytest.mark.parametrize(("rows", "steps", "warmup"), [(200, 25, 1), (378, 48, 2), (1600, 200, 10)])
def test_no_step_of_the_warm_up_is_lost(rows, steps, warmup):
    job = recipes.Job(recipes.Recipe(n_epochs=1), "chat", {"train.jsonl": rows}, unrolled=False)
    assert (job.steps, job.warmup_steps) == (steps, warmup)
    for name, said in {
        "trl": f"warmup_steps={warmup},", "axolotl": f"warmup_steps: {warmup}\n",
        "llamafactory": f"warmup_steps: {warmup}\n", "oumi": f"warmup_steps: {warmup}\n",
        "ms-swift": f"--warmup_steps {warmup} ",
        # Their schedules begin at zero.
        "mlx-lm": f"warmup: {warmup - 1}\n", "torchtune": f"num_warmup_steps: {warmup - 1}\n",
    }.items():  # fmt: skip
        given = {"kind": "chat", "rows": job.rows, "unrolled": False}
        made = "".join(recipes.texts(TARGETS[name], job.recipe, **given).values())
        assert said in made, name
        if name not in ("mlx-lm", "torchtune"):
            assert job.schedule["lr_scheduler_type"] in made, name


@pytest.mark.slow
@pytest.mark.parametrize("steps", [8, 25, 48, 200])
def test_the_rates_of_others_are_ours_but_for_less_than_a_step(steps):
    import torch
    from transformers import get_scheduler

    from helpers.backend.training.loop import learning_rate

    recipe = recipes.Recipe(n_epochs=1)
    job = recipes.Job(recipe, "chat", {"train.jsonl": steps * recipe.batch_size}, unrolled=False)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    kind, kwargs = job.schedule.values()
    theirs = get_scheduler(kind, optimizer, job.warmup_steps, steps, kwargs)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    ours = [learning_rate(step, steps, 1.0) for step in range(steps)]
    assert rates[: job.warmup_steps] == ours[: job.warmup_steps]
    assert rates[-1] == pytest.approx(ours[-1], abs=1e-6)
    # A step in the middle of the cosine would be 1.6 of these.
    apart = 1 / (steps - job.warmup_steps)
    assert max(abs(a - b) for a, b in zip(rates, ours, strict=True)) < apart


def test_what_fills_no_batch_is_named_where_only_full_ones_are_learnt(tmp_path):
    path = tmp_path / "train.jsonl"
    jsonl.write(path, [EXAMPLES["chat"]] * 18)
    done = export(path, tmp_path / "mlx", target="mlx-lm")
    said = "2 of 18 rows fill no batch of 8: mlx-lm never learns them"
    assert said in str(done)
    assert said in (tmp_path / "mlx" / "LOSSES.md").read_text(encoding="utf-8")
    settings = yaml.safe_load((tmp_path / "mlx" / "lora.yaml").read_text(encoding="utf-8"))
    assert settings["iters"] == 2 * recipes.OURS.n_epochs
    assert "others each time" in str(export(path, tmp_path / "torchtune", target="torchtune"))
    assert "batch" not in str(export(path, tmp_path / "trl", target="trl"))


TEMPLATES = {
    "trl": "chat_template.jinja", "unsloth": "chat_template.jinja",
    "axolotl": "chat_template_plain.jinja", "mlx-lm": "chat_template_plain.jinja",
    "llamafactory": "template: qwen", "ms-swift": "--template chatml",
    "torchtune": "torchtune_chat.ChatTokenizer", "oumi": "{% for message in messages %}",
}  # fmt: skip
BASES = {
    "trl": "MODEL = 'someone/", "unsloth": "from_pretrained('someone/",
    "axolotl": "base_model: someone/", "llamafactory": "model_name_or_path: someone/",
    "ms-swift": "--model someone/", "oumi": "model_name: someone/",
    # Folders, into which train.sh puts it.
    "mlx-lm": "model: ", "torchtune": "base: ",
}  # fmt: skip
MASKS = {
    "trl": "assistant_only_loss=True", "unsloth": "assistant_only_loss=True",
    "axolotl": "message_field_training: weight", "mlx-lm": "mask_prompt: true",
    "llamafactory": "mask_history: false", "ms-swift": "swift sft",
    "torchtune": "torchtune_chat.chats", "oumi": "train_target: all_assistant_turns",
}  # fmt: skip
"""ms-swift has its mask in the rows, as `loss`."""


@pytest.mark.parametrize("name", [name for name, one in TARGETS.items() if one.trainer])
def test_what_trains_an_export_names_base_template_mask_and_length(name):
    given = recipes.Recipe(model="someone/own-base", max_tokens=1234)
    rows = {"train.jsonl": 16}
    made = recipes.texts(TARGETS[name], given, kind="chat", rows=rows, unrolled=False)
    # A template that stands beside and that nothing names is none.
    said = "".join(text for file, text in made.items() if not file.endswith(".jinja"))
    for part in (f"{BASES[name]}own-base", TEMPLATES[name], MASKS[name], "1234"):
        assert part in said, part


@pytest.mark.parametrize(
    ("job", "changed"),
    [
        ({"hyperparameters": {"n_epochs": 4, "batch_size": "auto", "learning_rate_multiplier": 2}},
         {"n_epochs": 4, "learning_rate": 2e-3}),
        ({"hyperparameters": {}, "method": {"type": "dpo", "dpo": {"hyperparameters": {
            "n_epochs": "auto", "batch_size": 16, "beta": 0.2}}}},
         {"batch_size": 16, "beta": 0.2}),
        ({"hyperparameters": None, "seed": 7}, {}),
    ],
)  # fmt: skip
def test_a_jobs_settings_go_with_its_dataset(job, changed, tmp_path):
    path = tmp_path / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    assert recipe_of_job(path) == replace(recipes.OURS, **changed)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"hyperparameters": 3}'])
def test_what_is_no_job_is_an_error_with_a_remedy(text, tmp_path):
    (tmp_path / "job.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"job\.json"):
        recipe_of_job(tmp_path / "job.json")


def test_a_hosts_job_looks_at_the_validation_file_and_holds_what_the_host_asks_for():
    def made(name, kind="chat", **names):
        rows = names or {"train.jsonl": 16, "validation.jsonl": 8}
        given = {"kind": kind, "rows": rows, "unrolled": False}
        return "".join(recipes.texts(TARGETS[name], recipes.OURS, **given).values())

    assert "--validation-file validation.jsonl --n-evals 3" in made("together")
    assert "--n-evals" not in made("together", **{"train.jsonl": 16})
    assert "--evaluation-dataset course-valid" in made("fireworks")
    job = json.loads(made("bedrock", **{"nova-train.jsonl": 16}))
    # What Bedrock's own description of the call, in botocore 1.44.8, names as required.
    required = {"jobName", "customModelName", "roleArn", "baseModelIdentifier",
                "trainingDataConfig", "outputDataConfig"}  # fmt: skip
    assert required <= job.keys()
    numbers = json.loads(made("google", "dpo"))["preferenceOptimizationSpec"]["hyperParameters"]
    assert numbers["beta"] == recipes.OURS.beta


def test_an_export_says_where_nobody_can_train_any_more(tmp_path):
    path = tmp_path / "train.jsonl"
    jsonl.write(path, [EXAMPLES["chat"]] * 10)
    for name, said in {"cohere": "retired its fine-tuning", "mistral": "deprecated"}.items():
        done = export(path, tmp_path / name, target=name)
        assert said in str(done)
        assert said in (tmp_path / name / "LOSSES.md").read_text(encoding="utf-8")
    assert "deprecated" not in str(export(path, tmp_path / "trl", target="trl"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chat", "preference"])
def test_the_script_for_openai_starts_a_job_with_our_settings(name, server, tmp_path):
    path, other, url = tmp_path / "train.jsonl", tmp_path / "other.jsonl", f"{server.url}/v1"
    jsonl.write(path, [EXAMPLES[name]] * 10)
    jsonl.write(other, [EXAMPLES[name]] * 2)
    export(path, tmp_path / "out", target="openai", validation=other)
    words = [sys.executable, "train.py", BASE_MODEL]
    own = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": server.token}
    done = subprocess.run(words, cwd=tmp_path / "out", env=os.environ | own, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    jobs = openai.OpenAI(base_url=url, api_key=server.token).fine_tuning.jobs
    job = jobs.cancel(done.stdout.strip())
    given = job.method.supervised if name == "chat" else job.method.dpo
    ours = recipes.OURS
    assert (given.hyperparameters.n_epochs, given.hyperparameters.batch_size) == (
        ours.n_epochs, ours.batch_size
    )  # fmt: skip
    assert job.validation_file
    assert name == "chat" or given.hyperparameters.beta == ours.beta
