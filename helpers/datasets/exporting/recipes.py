"""The config or command beside an export: the same mask, weights, template, length as here.

For: training elsewhere as this course's trainer does, as far as the target has a setting for
it. Not for: what it cannot carry, see `losses`.

    texts(target_of("axolotl"), Recipe(), kind="chat", rows={"train.jsonl": 378}, unrolled=False)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from helpers.base.chat_format import DEFAULT_SYSTEM, END, START
from helpers.base.local_tokenizer import TEXT_END
from helpers.datasets.example import Kind
from helpers.datasets.exporting.targets import TRAIN, VALID, Target
from helpers.datasets.exporting.template import chat_template

BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
TEMPLATE, PLAIN_TEMPLATE = "chat_template.jinja", "chat_template_plain.jinja"


@dataclass(frozen=True)
class Recipe:
    """What a training is told; the numbers are those of the course's own trainer."""

    model: str = BASE
    n_epochs: int = 3
    batch_size: int = 8
    learning_rate: float = 1e-3
    """Peak; after a short warm-up it falls to zero along a cosine."""
    warmup: float = 0.05
    """Share of the steps."""
    beta2: float = 0.99
    rank: int = 16
    alpha: int = 32
    max_tokens: int = 2048
    beta: float = 0.1
    """Preferences alone: how strongly the model is held to where it started."""
    seed: int = 42


OURS = Recipe()


@dataclass(frozen=True)
class Job:
    """What the texts of one export depend on."""

    recipe: Recipe
    kind: Kind
    rows: Mapping[str, int]
    unrolled: bool

    @property
    def train(self) -> str:
        """The training file."""
        return next(name for name in self.rows if TRAIN in name)

    @property
    def valid(self) -> str | None:
        """The validation file."""
        # mlx-lm's name is "valid.jsonl".
        return next((name for name in self.rows if VALID in name or "valid" in name), None)

    @property
    def steps(self) -> int:
        """Optimizer steps of all epochs; a last batch that is not full counts."""
        return -(-self.rows[self.train] // self.recipe.batch_size) * self.recipe.n_epochs

    @property
    def warmup_steps(self) -> int:
        """As ours, whose first step takes the first part of the peak."""
        return max(1, round(self.steps * self.recipe.warmup))

    @property
    def late_warmup_steps(self) -> int:
        """For schedules that begin at zero: in 25 steps, one without effect cost a tenth of the
        validation loss."""
        return self.warmup_steps - 1

    @property
    def schedule(self) -> dict[str, Any]:
        """Our rates in the words of transformers, whose "cosine" begins with a step at zero.

        This one is a step ahead along the cosine; a little less than half a cycle brings its last
        step to our last rate, where half of one is zero.
        """
        fall = max(1, self.steps - self.warmup_steps)
        cycles = round(0.5 * (fall - 1) / fall, 6)
        kwargs = {"min_lr_rate": 0.0, "num_cycles": cycles}
        return {"lr_scheduler_type": "cosine_warmup_with_min_lr", "lr_scheduler_kwargs": kwargs}


def texts(
    target: Target, recipe: Recipe, *, kind: Kind, rows: Mapping[str, int], unrolled: bool
) -> dict[str, str]:
    """The further files of an export, by name."""
    return _MAKERS[target.name](Job(recipe, kind, rows, unrolled))


def _openai(job: Job) -> dict[str, str]:
    return {"train.py": _OPENAI.format(client="OpenAI()", note="", **_hosted(job))}


def _azure(job: Job) -> dict[str, str]:
    note = "# Set AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY and OPENAI_API_VERSION.\n"
    body = _OPENAI.replace("import OpenAI", "import AzureOpenAI")
    return {"train.py": body.format(client="AzureOpenAI()", note=note, **_hosted(job))}


def _hosted(job: Job) -> dict[str, Any]:
    one = job.recipe
    method = "dpo" if job.kind == "dpo" else "supervised"
    numbers: dict[str, Any] = {"n_epochs": one.n_epochs, "batch_size": one.batch_size}
    numbers |= {"beta": one.beta} if job.kind == "dpo" else {}
    body = {"type": method, method: {"hyperparameters": numbers}}
    return {"train": job.train, "valid": job.valid, "method": repr(body), "seed": one.seed}


_OPENAI = '''"""Start a job. The learning rate is the host's own; only a multiplier can be given."""

{note}import sys

from openai import OpenAI

client = {client}
MODEL = sys.argv[1]  # a model that your account may train


def upload(name):
    with open(name, "rb") as stream:
        return client.files.create(file=stream, purpose="fine-tune").id


valid = {valid!r}
job = client.fine_tuning.jobs.create(
    model=MODEL,
    training_file=upload({train!r}),
    validation_file=upload(valid) if valid else None,
    method={method},
    seed={seed},
)
print(job.id)
'''


def _together(job: Job) -> dict[str, str]:
    one = job.recipe
    words = [
        "tg fine-tuning create", f"--training-file {job.train}",
        # Unless a number of evaluations is named, a validation file is never looked at.
        *([f"--validation-file {job.valid} --n-evals {one.n_epochs}"] if job.valid else []),
        f'--model "$MODEL" --max-seq-length {one.max_tokens} --random-seed {one.seed}',
        f"--n-epochs {one.n_epochs} --batch-size {one.batch_size} --no-packing",
        f"--learning-rate {one.learning_rate} --lr-scheduler-type cosine",
        f"--warmup-ratio {one.warmup} --lora --lora-r {one.rank} --lora-alpha {one.alpha}",
    ]  # fmt: skip
    method = f"--training-method dpo --dpo-beta {one.beta}" if job.kind == "dpo" else ""
    words.append(method or "--train-on-inputs false")
    return {"train.sh": "MODEL=$1\n" + " \\\n    ".join(words) + "\n"}


def _fireworks(job: Job) -> dict[str, str]:
    one = job.recipe
    kind = "dpo" if job.kind == "dpo" else "supervised-fine-tuning"
    upload = f"firectl dataset create course {job.train}\n"
    # Its batch size counts tokens, so that ours says nothing there.
    words = [
        f'firectl {kind}-job create --base-model "$1" --dataset course',
        f"--epochs {one.n_epochs} --learning-rate {one.learning_rate}",
        f"--lora-rank {one.rank} --max-context-length {one.max_tokens}",
    ]
    if job.valid and job.kind != "dpo":
        upload += f"firectl dataset create course-valid {job.valid}\n"
        words.append("--evaluation-dataset course-valid")
    return {"train.sh": upload + " \\\n    ".join(words) + "\n"}


def _mistral(job: Job) -> dict[str, str]:
    numbers = {"training_steps": job.steps, "learning_rate": job.recipe.learning_rate}
    body = {"model": "MODEL", "training_files": [{"file_id": "FILE", "weight": 1}],
            "validation_files": ["VALIDATION"] if job.valid else [],
            "hyperparameters": numbers, "auto_start": False}  # fmt: skip
    return {"job.json": json.dumps(body, indent=1) + "\n"}


def _google(job: Job) -> dict[str, str]:
    spec: dict[str, Any] = {"trainingDatasetUri": f"gs://BUCKET/{job.train}"}
    if job.valid:
        spec["validationDatasetUri"] = f"gs://BUCKET/{job.valid}"
    numbers: dict[str, Any] = {"epochCount": job.recipe.n_epochs,
                               "adapterSize": "ADAPTER_SIZE_SIXTEEN"}  # fmt: skip
    numbers |= {"beta": job.recipe.beta} if job.kind == "dpo" else {}
    key = "preferenceOptimizationSpec" if job.kind == "dpo" else "supervisedTuningSpec"
    body = {"baseModel": "MODEL", key: {**spec, "hyperParameters": numbers}}
    return {"tuning_job.json": json.dumps(body, indent=1) + "\n"}


def _cohere(job: Job) -> dict[str, str]:
    one = job.recipe
    numbers = {"train_epochs": one.n_epochs, "train_batch_size": one.batch_size,
               "learning_rate": one.learning_rate, "lora_rank": one.rank,
               "lora_alpha": one.alpha}  # fmt: skip
    base = {"base_type": "BASE_TYPE_CHAT"}
    body = {"base_model": base, "dataset_id": "DATASET", "hyperparameters": numbers}
    return {"settings.json": json.dumps(body, indent=1) + "\n"}


def _bedrock(job: Job) -> dict[str, str]:
    body: dict[str, Any] = {
        # In capitals: yours to fill in. Bedrock makes no job without any of them.
        "jobName": "JOB", "customModelName": "NAME", "baseModelIdentifier": "MODEL",
        "roleArn": "arn:aws:iam::ACCOUNT:role/ROLE",
        "outputDataConfig": {"s3Uri": "s3://BUCKET/out"},
        "customizationType": "FINE_TUNING",
        "trainingDataConfig": {"s3Uri": f"s3://BUCKET/{job.train}"},
        "hyperParameters": {"epochCount": str(job.recipe.n_epochs)},
    }  # fmt: skip
    if job.valid:
        body["validationDataConfig"] = {"validators": [{"s3Uri": f"s3://BUCKET/{job.valid}"}]}
    return {"customization_job.json": json.dumps(body, indent=1) + "\n"}


def _trl(job: Job, *, script: str = "trl.py.txt") -> dict[str, str]:
    one = job.recipe
    name = "DPO" if job.kind == "dpo" else "SFT"
    files = {"train": job.train} | ({"validation": job.valid} if job.valid else {})
    settings: dict[str, Any] = {
        "output_dir": "out", "num_train_epochs": one.n_epochs,
        "per_device_train_batch_size": one.batch_size, "learning_rate": one.learning_rate,
        **job.schedule, "warmup_steps": job.warmup_steps, "weight_decay": 0.0,
        "adam_beta2": one.beta2, "max_length": one.max_tokens, "seed": one.seed,
        "report_to": [],
    }  # fmt: skip
    if job.kind == "chat":
        settings |= {"assistant_only_loss": True, "chat_template_path": TEMPLATE}
    settings |= {"eval_strategy": "epoch"} if job.valid else {}
    settings |= {"beta": one.beta} if job.kind == "dpo" else {}
    lora = {"r": one.rank, "lora_alpha": one.alpha, "target_modules": list(MODULES)}
    text = _beside(script).format(
        name=name, files=files, config=_arguments(settings), lora=_arguments(lora),
        template=f"tokenizer.chat_template = open({TEMPLATE!r}).read()\n", model=one.model,
        length=one.max_tokens,
    )  # fmt: skip
    return {"train.py": text, TEMPLATE: chat_template(markers=True)}


def _arguments(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in values.items())


def _yaml(values: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=1000)


def _axolotl(job: Job) -> dict[str, str]:
    one = job.recipe
    chat: dict[str, Any] = {
        "type": "chat_template", "field_messages": "messages", "field_tools": "tools",
        "message_field_training": "weight", "roles_to_train": ["assistant"],
        "train_on_eos": "turn",
    }  # fmt: skip
    pairs = {
        "type": "chat_template.default",
        "field_messages": "messages",
        "field_chosen": "chosen",
        "field_rejected": "rejected",
    }
    form = {"chat": chat, "dpo": pairs, "completion": {"type": "input_output"}}[job.kind]
    values: dict[str, Any] = {
        "base_model": one.model, "chat_template": "jinja", "chat_template_jinja": PLAIN_TEMPLATE,
        "datasets": [{"path": job.train, "ds_type": "json", **form}],
    }  # fmt: skip
    if job.valid:
        tested = {"path": job.valid, "ds_type": "json", "split": "train", **form}
        values["test_datasets"] = [tested]
    if job.kind == "dpo":
        values |= {"rl": "dpo", "rl_beta": one.beta}
    values |= {
        "adapter": "lora", "lora_r": one.rank, "lora_alpha": one.alpha,
        "lora_target_modules": list(MODULES), "sequence_len": one.max_tokens,
        "sample_packing": False, "num_epochs": one.n_epochs, "micro_batch_size": one.batch_size,
        "gradient_accumulation_steps": 1, "learning_rate": one.learning_rate,
        "lr_scheduler": job.schedule["lr_scheduler_type"],
        "lr_scheduler_kwargs": job.schedule["lr_scheduler_kwargs"],
        "warmup_steps": job.warmup_steps, "weight_decay": 0.0,
        "adam_beta2": one.beta2, "optimizer": "adamw_torch", "seed": one.seed,
        "output_dir": "out",
    }  # fmt: skip
    return {"axolotl.yml": _yaml(values), PLAIN_TEMPLATE: chat_template(markers=False)}


def _llamafactory(job: Job) -> dict[str, str]:
    one = job.recipe
    columns = {"messages": "messages", "tools": "tools"}
    pairs = {"chosen": "chosen", "rejected": "rejected"} if job.kind == "dpo" else {}
    tags = {
        "role_tag": "role", "content_tag": "content", "user_tag": "user",
        "assistant_tag": "assistant", "observation_tag": "observation",
        "function_tag": "function_call", "system_tag": "system",
    }  # fmt: skip
    entry: dict[str, Any] = {"formatting": "sharegpt", "columns": columns | pairs, "tags": tags}
    entry |= {"ranking": True} if job.kind == "dpo" else {}
    info = {"course": {"file_name": job.train, **entry}}
    values: dict[str, Any] = {
        "model_name_or_path": one.model, "stage": "dpo" if job.kind == "dpo" else "sft",
        "do_train": True, "dataset_dir": ".", "dataset": "course",
        # Its "chatml" writes tools in another form; "qwen" is ChatML with the form used here.
        "template": "qwen",
        "default_system": DEFAULT_SYSTEM, "mask_history": job.unrolled,
        "cutoff_len": one.max_tokens, "finetuning_type": "lora", "lora_rank": one.rank,
        "lora_alpha": one.alpha, "lora_target": ",".join(MODULES),
        "num_train_epochs": one.n_epochs, "per_device_train_batch_size": one.batch_size,
        "learning_rate": one.learning_rate, **job.schedule,
        "warmup_steps": job.warmup_steps, "adam_beta2": one.beta2, "seed": one.seed,
        "output_dir": "out", "report_to": "none",
    }  # fmt: skip
    if job.kind == "dpo":
        values["pref_beta"] = one.beta
    if job.valid:
        info["course_valid"] = {"file_name": job.valid, **entry}
        values |= {"eval_dataset": "course_valid", "eval_strategy": "epoch"}
    return {
        "dataset_info.json": json.dumps(info, indent=1) + "\n",
        "llamafactory.yaml": _yaml(values),
    }


def _torchtune(job: Job) -> dict[str, str]:
    one, pairs = job.recipe, job.kind == "dpo"
    folder = one.model.rpartition("/")[2]
    loss = "modules.loss.CEWithChunkedOutputLoss"
    config = _beside("torchtune.yaml.txt").format(
        **asdict(one), folder=folder, train=job.train, warmup_steps=job.late_warmup_steps,
        rows="pairs" if pairs else "chats",
        loss="torchtune." + (f"rlhf.loss.DPOLoss\n  beta: {one.beta}" if pairs else loss),
    )  # fmt: skip
    recipe = f"lora_{'dpo' if pairs else 'finetune'}_single_device"
    start = (
        f"tune download {one.model} --output-dir {folder}\n"
        f"PYTHONPATH=. tune run {recipe} --config torchtune.yaml\n"
    )
    code = _beside("torchtune_chat.py.txt").replace("DEFAULT_SYSTEM_MESSAGE", repr(DEFAULT_SYSTEM))
    return {"torchtune.yaml": config, "torchtune_chat.py": code, "train.sh": start}


def _beside(name: str) -> str:
    """A file that is copied out, with ".txt" so that nothing here imports or checks it."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _swift(job: Job) -> dict[str, str]:
    one = job.recipe
    words = [
        "swift rlhf --rlhf_type dpo" if job.kind == "dpo" else "swift sft", f"--model {one.model}",
        f"--dataset {job.train}", *([f"--val_dataset {job.valid}"] if job.valid else []),
        "--template chatml --agent_template hermes",
        f"--system '{DEFAULT_SYSTEM}'",
        "--tuner_type lora",
        f"--lora_rank {one.rank} --lora_alpha {one.alpha} --target_modules {' '.join(MODULES)}",
        f"--num_train_epochs {one.n_epochs} --per_device_train_batch_size {one.batch_size}",
        f"--learning_rate {one.learning_rate}",
        f"--lr_scheduler_type {job.schedule['lr_scheduler_type']}",
        f"--lr_scheduler_kwargs '{json.dumps(job.schedule['lr_scheduler_kwargs'])}'",
        f"--warmup_steps {job.warmup_steps} --adam_beta2 {one.beta2} --weight_decay 0",
        f"--max_length {one.max_tokens} --seed {one.seed} --output_dir out",
    ]  # fmt: skip
    words += [f"--beta {one.beta}"] if job.kind == "dpo" else []
    return {"train.sh": " \\\n    ".join(words) + "\n"}


def unlearnt(target: Target, recipe: Recipe, rows: int) -> str:
    """What becomes of rows that fill no batch; empty where all are learnt."""
    rest = rows % recipe.batch_size
    if not rest or not target.unfilled:
        return ""
    return f"{rest} of {rows} rows fill no batch of {recipe.batch_size}: {target.unfilled}"


def _mlx(job: Job) -> dict[str, str]:
    one = job.recipe
    folder = one.model.rpartition("/")[2]
    steps, late = job.rows[job.train] // one.batch_size * one.n_epochs, job.late_warmup_steps
    schedule: dict[str, Any] = {
        "name": "cosine_decay", "arguments": [one.learning_rate, max(1, steps - late)],
        "warmup": late,
    }  # fmt: skip
    adam = {"betas": [0.9, one.beta2], "weight_decay": 0.0}
    values = {
        "model": folder, "train": True, "data": ".", "fine_tune_type": "lora",
        "mask_prompt": True, "num_layers": -1, "batch_size": one.batch_size,
        "iters": steps, "learning_rate": one.learning_rate, "lr_schedule": schedule,
        "optimizer": "adamw", "optimizer_config": {"adamw": adam},
        # mlx-lm multiplies by `scale`, where others divide alpha by the rank.
        "lora_parameters": {"rank": one.rank, "scale": one.alpha / one.rank, "dropout": 0.0,
                            "keys": [f"self_attn.{m}" for m in MODULES[:4]]
                            + [f"mlp.{m}" for m in MODULES[4:]]},
        "max_seq_length": one.max_tokens, "seed": one.seed, "adapter_path": "adapter",
    }  # fmt: skip
    # No setting of mlx-lm names a template: it takes the one in the model's folder.
    start = (
        f"hf download {one.model} --local-dir {folder}\n"
        f"cp {PLAIN_TEMPLATE} {folder}/chat_template.jinja\n"
        "mlx_lm.lora --config lora.yaml\n"
    )
    texts = {"lora.yaml": _yaml(values), PLAIN_TEMPLATE: chat_template(markers=False)}
    return texts | {"train.sh": start}


def _spans(job: Job) -> dict[str, str]:
    """Which answers Oumi learns: of an unrolled row the last alone."""
    return {
        "train_target": "final_assistant_turn" if job.unrolled else "all_assistant_turns",
        "response_template": f"{START}assistant\n",
        "end_of_turn_template": END,
    }


def _oumi(job: Job) -> dict[str, str]:
    one = job.recipe
    values = {
        "model": {"model_name": one.model, "model_max_length": one.max_tokens,
                  # Its `chat_template` is the name of one of its own; the text reaches the
                  # tokenizer so, and "auto" leaves it there.
                  "tokenizer_kwargs": {"chat_template": chat_template(markers=False)},
                  "chat_template": "auto",
                  # Its collator never learns the pad token; this model pads with its end mark.
                  "tokenizer_pad_token": TEXT_END},
        "data": {"train": {"datasets": [{"dataset_name": "text_sft_jsonl",
                                          "dataset_path": job.train}],
                           "collator_name": "text_completions_only_with_padding",
                           "collator_kwargs": _spans(job),
                           "seed": one.seed}},
        "training": {"trainer_type": "TRL_SFT",
                     "use_peft": True, "num_train_epochs": one.n_epochs,
                     "per_device_train_batch_size": one.batch_size,
                     "learning_rate": one.learning_rate, **job.schedule,
                     "warmup_steps": job.warmup_steps, "weight_decay": 0.0,
                     "adam_beta2": one.beta2, "output_dir": "out"},
        "peft": {"lora_r": one.rank, "lora_alpha": one.alpha,
                 "lora_target_modules": list(MODULES)},
    }  # fmt: skip
    return {"oumi.yaml": _yaml(values)}


def _datasets(job: Job) -> dict[str, str]:
    files = {"train": job.train} | ({"validation": job.valid} if job.valid else {})
    return {"load.py": f'from datasets import load_dataset\n\ndata = load_dataset("parquet", '
            f"data_files={files!r})\n"}  # fmt: skip


_MAKERS: dict[str, Callable[[Job], dict[str, str]]] = {
    "openai": _openai, "azure": _azure, "together": _together, "fireworks": _fireworks,
    "mistral": _mistral, "google": _google, "cohere": _cohere, "bedrock": _bedrock, "trl": _trl,
    "unsloth": lambda job: _trl(job, script="unsloth.py.txt"), "axolotl": _axolotl,
    "llamafactory": _llamafactory, "torchtune": _torchtune, "ms-swift": _swift, "mlx-lm": _mlx,
    "oumi": _oumi, "safe": lambda job: {}, "datasets": _datasets,
}  # fmt: skip
