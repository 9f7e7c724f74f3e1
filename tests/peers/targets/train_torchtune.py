"""torchtune's own recipe with the exported torchtune.yaml, in its folder: START FOLDER BASE.

The shape of the network is read from the base's config.json: the yaml has the course's own.
"""

import json
import os
import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

from omegaconf import OmegaConf
from safetensors.torch import load_file

NAMES = {
    "base_model.model.model.": "", "self_attn": "attn", "o_proj": "output_proj",
    "mlp.gate_proj": "mlp.w1", "mlp.down_proj": "mlp.w2", "mlp.up_proj": "mlp.w3",
    "lora_A": "lora_a", "lora_B": "lora_b",
}  # fmt: skip
SHAPE = {
    "vocab_size": "vocab_size", "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads", "num_kv_heads": "num_key_value_heads",
    "embed_dim": "hidden_size", "intermediate_dim": "intermediate_size",
    "norm_eps": "rms_norm_eps",
}  # fmt: skip


def renamed(name):
    for theirs, ours in NAMES.items():
        name = name.replace(theirs, ours)
    return name


start, folder, base = map(Path, sys.argv[1:])
os.chdir(folder)
sys.path.insert(0, str(folder))
values = OmegaConf.load("torchtune.yaml")
values.base, values.shuffle = str(base), False
known = json.loads((base / "config.json").read_text(encoding="utf-8"))
values.model |= {key: known[other] for key, other in SHAPE.items()}
# Its recipes are programs; they cannot be imported.
recipes = Path(find_spec("torchtune").origin).parents[1] / "recipes"
pairs = "DPOLoss" in values.loss["_component_"]
made = runpy.run_path(str(recipes / f"lora_{'dpo' if pairs else 'finetune'}_single_device.py"))
recipe = made[f"LoRA{'DPO' if pairs else 'Finetune'}RecipeSingleDevice"](cfg=values)
recipe.setup(cfg=values)
# B begins at zero, so that the order of its rows, which differs for q and k, does not matter.
given = load_file(start / "adapter_model.safetensors")
first = {renamed(name): value for name, value in given.items() if "lora_A" in name}
assert not recipe._model.load_state_dict(first, strict=False).unexpected_keys
recipe.train()
recipe.cleanup()
lines = next(Path("out/logs").glob("*.txt")).read_text(encoding="utf-8").splitlines()
losses = [float(line.split("loss:")[1].split()[0]) for line in lines if "loss:" in line]
print("RESULT " + json.dumps(losses), flush=True)
