"""ms-swift's own loader and template with the exported arguments."""

import itertools
import shlex

import reading
from swift.dataset import load_dataset
from swift.model import get_model_processor
from swift.template import get_template


def read(model, folder):
    words = shlex.split((folder / "train.sh").read_text(encoding="utf-8").replace("\\\n", " "))
    given = dict(itertools.pairwise(words))
    _, processor = get_model_processor(str(model), model_type="llama", load_model=False)
    template = get_template(
        processor, template_type=given["--template"], default_system=given["--system"],
        agent_template=given["--agent_template"],
        max_length=int(given["--max_length"]),
    )  # fmt: skip
    template.set_mode("rlhf" if "rlhf" in words else "train")
    made = {}
    for name in ("train", "validation"):
        path = folder / f"{name}.jsonl"
        if path.is_file():
            data, _ = load_dataset([str(path)], split_dataset_ratio=0.0, load_from_cache_file=False)
            made[name] = [reading.labelled(template.encode(dict(row))) for row in data]
    return made


if __name__ == "__main__":
    reading.main("ms-swift", read)
