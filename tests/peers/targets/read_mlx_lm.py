"""mlx-lm's own datasets, with the settings of the exported lora.yaml."""

import types

import reading
import yaml
from mlx_lm.tuner.datasets import load_local_dataset
from transformers import AutoTokenizer


def read(model, folder):
    config = types.SimpleNamespace(**yaml.safe_load((folder / "lora.yaml").read_text()))
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.chat_template = (folder / "chat_template_plain.jinja").read_text(encoding="utf-8")
    made = {}
    for name, data in zip(
        ("train", "validation"), load_local_dataset(folder, tokenizer, config), strict=False
    ):
        rows = [data.process(data[i]) for i in range(len(data))]
        if rows:
            made[name] = [
                {"ids": ids, "targets": [i >= offset for i in range(len(ids))]}
                for ids, offset in rows
            ]
    return made


if __name__ == "__main__":
    reading.main("mlx-lm", read)
