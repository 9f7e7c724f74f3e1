"""A Hugging Face folder of a random Qwen3 of a few thousand weights, made without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from tests.backend.bases.tiny_families import CHATML, write_tokenizer

CONFIG: dict[str, Any] = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_act": "silu",
    "vocab_size": 384,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10_000.0,
    "tie_word_embeddings": True,
}
SIZES = {
    "self_attn.q_proj": (128, 64),
    "self_attn.k_proj": (64, 64),
    "self_attn.v_proj": (64, 64),
    "self_attn.o_proj": (64, 128),
    "self_attn.q_norm": (32,),
    "self_attn.k_norm": (32,),
    "mlp.gate_proj": (96, 64),
    "mlp.up_proj": (96, 64),
    "mlp.down_proj": (64, 96),
    "input_layernorm": (64,),
    "post_attention_layernorm": (64,),
}


def tensors() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(1)
    inside = {f"model.layers.{n}.{name}": SIZES[name] for n in range(2) for name in SIZES}
    sizes = {"model.embed_tokens": (384, 64), "model.norm": (64,), **inside}
    return {
        f"{name}.weight": draw.normal(0, 0.1, size).astype(np.float32)
        for name, size in sizes.items()
    }


def write_plain(folder: Path, template: str = CHATML, **config: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | config), encoding="utf-8")
    save_file(tensors(), folder / "model.safetensors")
    write_tokenizer(folder, pieces=False, template=template)
    head = "---\nlicense: apache-2.0\n---\n# A model of random numbers\n"
    (folder / "README.md").write_text(head, encoding="utf-8")
    return folder
