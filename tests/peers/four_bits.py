"""Train a job's base in 4 bits and once more as what they stand for; say how far they are apart.

python tests/peers/four_bits.py JOB_FOLDER      # prints one line of JSON
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from bitsandbytes.functional import dequantize_4bit

from helpers.backend.training import loop
from helpers.backend.training.base import load_base
from helpers.backend.training.spec import TrainSpec


def main(job: Path) -> None:
    spec = TrainSpec.read(job)
    packed = load_base(Path(spec.base_gguf), four_bit=True)
    inside = [m for m in packed.model.modules() if isinstance(m, torch.nn.Linear)]
    four = train(replace(spec, four_bit=True), job / "four")
    # The same training on a base whose matrices are what the 4 bits stand for.
    loop.load_base = lambda gguf, **_: unpacked(load_base(gguf), packed)
    plain = train(spec, job / "plain")
    found = {
        "kinds": sorted({type(m).__name__ for m in inside}),
        "four": four,
        "plain": plain,
        "saved": sorted(path.name for path in (job / "four").rglob("adapter.gguf")),
    }
    print(json.dumps(found))


def train(spec: TrainSpec, folder: Path) -> list[float]:
    """The loss of each step."""
    folder.mkdir()
    rows: list[dict[str, Any]] = []
    loop.Trainer(spec, folder, emit=rows.append).run()
    return [row["train_loss"] for row in rows if row["type"] == "step"]


def unpacked(plain: Any, packed: Any) -> Any:
    for name, module in packed.named_modules():
        if type(module).__name__ == "Linear4bit":
            values = dequantize_4bit(module.weight.data, module.weight.quant_state)
            plain.get_submodule(name).weight.data = values.float()
    return plain


if __name__ == "__main__":
    main(Path(sys.argv[1]))
