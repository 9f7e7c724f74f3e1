"""Write a trained adapter in the two forms that other tools load: PEFT and GGUF.

For: checkpoints. The PEFT folder loads with plain `peft`, the GGUF with llama.cpp.

    save_adapter(model, folder)     # adapter_config.json, .safetensors, adapter.gguf
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel

from helpers.backend.training.base import LAYER_NAMES, permute
from helpers.base.files import atomic_folder

CONFIG_NAME, GGUF_NAME = "adapter_config.json", "adapter.gguf"


def save_adapter(model: PeftModel, folder: Path) -> Path:
    """Write both forms into `folder`, which is there whole or not at all."""
    with atomic_folder(folder) as partial:
        model.save_pretrained(str(partial), save_embedding_layers=False)
        _in_fixed_order(partial / CONFIG_NAME)
        write_gguf(model, partial / GGUF_NAME)
    return folder


def _in_fixed_order(config: Path) -> None:
    """peft keeps the target modules as a set, whose order differs from process to process:
    two equal adapters would have files that differ."""
    body = json.loads(config.read_text(encoding="utf-8"))
    body["target_modules"] = sorted(body["target_modules"])
    config.write_text(json.dumps(body, indent=2, sort_keys=True), encoding="utf-8")


def write_gguf(model: PeftModel, path: Path) -> None:
    """The LoRA matrices under llama.cpp's names, with q and k in its rotary order."""
    from gguf import GGUFWriter

    base: Any = model.get_base_model()
    config = base.config
    lora: Any = model.peft_config["default"]
    writer = GGUFWriter(str(path), "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(lora.lora_alpha))
    for number, layer in enumerate(base.model.layers):
        for short, name in LAYER_NAMES.items():
            module = layer.get_submodule(name)
            if not hasattr(module, "lora_A"):
                continue
            a = _array(module.lora_A["default"].weight)
            b = _array(module.lora_B["default"].weight)
            if short == "attn_q":
                b = permute(b, config.num_attention_heads)
            elif short == "attn_k":
                b = permute(b, config.num_key_value_heads)
            writer.add_tensor(f"blk.{number}.{short}.weight.lora_a", a)
            writer.add_tensor(f"blk.{number}.{short}.weight.lora_b", np.ascontiguousarray(b))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _array(weight: torch.Tensor) -> np.ndarray:
    array: np.ndarray = weight.detach().float().cpu().numpy()
    return array
