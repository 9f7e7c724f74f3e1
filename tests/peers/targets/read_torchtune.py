"""torchtune's SFTDataset with the exported transform and tokenizer."""

import sys

import reading
from omegaconf import OmegaConf
from torchtune import config


def read(model, folder):
    values = OmegaConf.load(folder / "torchtune.yaml")
    values.base = str(model)
    sys.path.insert(0, str(folder))
    sys.modules.pop("torchtune_chat", None)
    tokenizer = config.instantiate(values.tokenizer)
    made = {}
    for name in ("train", "validation"):
        if (folder / f"{name}.jsonl").is_file():
            values.dataset.data_files = str(folder / f"{name}.jsonl")
            data = config.instantiate(values.dataset, tokenizer)
            made[name] = [one(data[i]) for i in range(len(data))]
    sys.path.remove(str(folder))
    return made


def one(row):
    if "chosen_input_ids" in row:
        keys = {"input_ids": "chosen_input_ids", "labels": "chosen_labels"}
        (chosen,) = reading.rows_of_labels([{k: row[v] for k, v in keys.items()}])
        return chosen | {"rejected": [int(i) for i in row["rejected_input_ids"]]}
    return reading.rows_of_labels([{"input_ids": row["tokens"], "labels": row["labels"]}])[0]


if __name__ == "__main__":
    reading.main("torchtune", read)
