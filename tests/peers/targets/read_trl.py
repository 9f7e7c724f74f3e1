"""TRL's own trainers make their tokens; nothing is trained."""

import ast

import reading
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer


def settings(folder):
    """The arguments of the config, as the exported script writes them."""
    for node in ast.walk(ast.parse((folder / "train.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
            "SFTConfig",
            "DPOConfig",
        ):
            # bf16 asks whether there is a GPU: here there is none.
            return {k.arg: ast.literal_eval(k.value) for k in node.keywords if k.arg != "bf16"}
    raise ValueError("the script holds no config")


def read(model, folder):
    kind = reading.kind_of(folder)
    files = {"train": str(folder / "train.jsonl")}
    if (folder / "validation.jsonl").is_file():
        files["validation"] = str(folder / "validation.jsonl")
    data = load_dataset("json", data_files=files)
    tokenizer = AutoTokenizer.from_pretrained(model)
    template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    tokenizer.chat_template = template
    given = settings(folder) | {"output_dir": "/tmp/trl-out", "use_cpu": True}
    if "chat_template_path" in given:
        given["chat_template_path"] = str(folder / given["chat_template_path"])
    maker, config = (DPOTrainer, DPOConfig) if kind == "dpo" else (SFTTrainer, SFTConfig)
    trainer = maker(
        model=AutoModelForCausalLM.from_pretrained(model),
        args=config(**given),
        train_dataset=data["train"],
        eval_dataset=data.get("validation"),
        processing_class=tokenizer,
    )
    made = {"train": trainer.train_dataset, "validation": trainer.eval_dataset}
    return {name: [one(row) for row in rows] for name, rows in made.items() if rows is not None}


def one(row):
    if "prompt_ids" in row:
        sides = {k: list(row["prompt_ids"]) + list(row[f"{k}_ids"]) for k in ("chosen", "rejected")}
        targets = [False] * len(row["prompt_ids"]) + [True] * len(row["chosen_ids"])
        return {"ids": sides["chosen"], "targets": targets, "rejected": sides["rejected"]}
    if "labels" in row:
        return reading.rows_of_labels([row])[0]
    mask = row.get("assistant_masks") or row.get("completion_mask")
    return {"ids": list(row["input_ids"]), "targets": [bool(one) for one in mask]}


if __name__ == "__main__":
    reading.main("trl", read)
