"""Hugging Face datasets loads the Parquet file; its columns come back as they were written."""

import reading
from datasets import load_dataset


def read(model, folder):
    made = {}
    for path in sorted(folder.glob("*.parquet")):
        data = load_dataset("parquet", data_files=str(path), split="train")
        made[path.stem] = [{"text": str(row["messages"])} for row in data]
    return made


if __name__ == "__main__":
    reading.main("datasets", read)
