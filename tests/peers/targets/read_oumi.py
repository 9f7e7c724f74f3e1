"""Oumi's own dataset and collator with the exported yaml."""

import reading
import yaml
from oumi.builders import build_data_collator, build_tokenizer
from oumi.core.configs import ModelParams
from oumi.datasets import TextSftJsonLinesDataset


def read(model, folder):
    values = yaml.safe_load((folder / "oumi.yaml").read_text(encoding="utf-8"))
    own = {"model_name": str(model), "tokenizer_name": str(model), "device_map": None}
    tokenizer = build_tokenizer(ModelParams(**values["model"] | own))
    train = values["data"]["train"]
    collator = build_data_collator(
        train["collator_name"], tokenizer, max_length=2048, **train["collator_kwargs"]
    )
    made = {}
    for name in ("train", "validation"):
        path = folder / f"{name}.jsonl"
        if path.is_file():
            data = TextSftJsonLinesDataset(tokenizer=tokenizer, dataset_path=path)
            batches = [collator([data[i]]) for i in range(len(data))]
            rows = [{key: batch[key][0].tolist() for key in ("input_ids", "labels")}
                    for batch in batches]  # fmt: skip
            made[name] = reading.rows_of_labels(rows)
    return made


if __name__ == "__main__":
    reading.main("oumi", read)
