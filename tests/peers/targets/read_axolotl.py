"""axolotl's own loader with the exported axolotl.yml."""

import os

# It would else report to its makers, and wait for them where there is no network.
os.environ |= {"AXOLOTL_DO_NOT_TRACK": "1", "DO_NOT_TRACK": "1"}

import datasets
import reading
from axolotl.cli.args import TrainerCliArgs
from axolotl.cli.config import load_cfg
from axolotl.common.datasets import load_datasets, load_preference_datasets


def in_this_process(method):
    """Without the processes that it starts for every small file: each loads all of axolotl."""
    return lambda self, *args, **more: method(self, *args, **more | {"num_proc": None})


for name in ("map", "filter", "save_to_disk"):
    setattr(datasets.Dataset, name, in_this_process(getattr(datasets.Dataset, name)))


def read(model, folder):
    os.chdir(folder)
    kind = reading.kind_of(folder)
    cfg = load_cfg(
        str(folder / "axolotl.yml"), base_model=str(model), output_dir="/tmp/axolotl-out",
        dataset_prepared_path=str(folder / "prepared"),
        device="cpu", dataset_num_proc=1,
    )  # fmt: skip
    if kind == "dpo":
        found = load_preference_datasets(cfg=cfg, cli_args=TrainerCliArgs())
        return {"train": [{"text": str(row["chosen"]), "prompt": str(row["prompt"])}
                          for row in found.train_dataset]}  # fmt: skip
    found = load_datasets(cfg=cfg, cli_args=TrainerCliArgs())
    made = {"train": found.train_dataset, "validation": found.eval_dataset}
    return {n: reading.rows_of_labels(rows) for n, rows in made.items() if rows is not None}


if __name__ == "__main__":
    reading.main("axolotl", read)
