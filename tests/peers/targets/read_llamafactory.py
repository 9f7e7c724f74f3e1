"""LLaMA-Factory's own loader, template and masks, with the exported yaml."""

import os

import reading
import yaml
from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer


def read(model, folder):
    values = yaml.safe_load((folder / "llamafactory.yaml").read_text(encoding="utf-8"))
    values |= {
        "model_name_or_path": str(model), "dataset_dir": str(folder), "output_dir": "/tmp/lf-out",
        "overwrite_cache": True, "use_cpu": True, "preprocessing_num_workers": None,
    }  # fmt: skip
    os.chdir(folder)
    model_args, data_args, training_args, _, _ = get_train_args(values)
    module = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(module["tokenizer"], data_args)
    stage = "rm" if values["stage"] == "dpo" else "sft"
    data = get_dataset(template, model_args, data_args, training_args, stage=stage, **module)
    made = {"train": data["train_dataset"], "validation": data.get("eval_dataset")}
    return {
        name: [reading.labelled(row) for row in rows]
        for name, rows in made.items()
        if rows is not None
    }


if __name__ == "__main__":
    reading.main("llamafactory", read)
