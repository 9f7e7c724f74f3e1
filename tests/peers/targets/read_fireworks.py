"""fireworks-ai counts the examples of a file; it looks into none."""

import reading
from fireworks.lib.dataset_upload import count_dataset_examples


def read(model, folder):
    paths = sorted(folder.glob("*.jsonl"))
    return {path.stem: [{"text": ""}] * count_dataset_examples(str(path)) for path in paths}


if __name__ == "__main__":
    reading.main("fireworks-ai", read)
