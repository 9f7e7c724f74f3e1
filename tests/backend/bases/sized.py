"""Random models of 60 to 130 million weights, with SmolLM2's vocabulary: large enough that memory
and time are a model's, and not those of Python."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from helpers.base.template_tokenizer import BASE_FILE
from helpers.base.tokens import local_tokenizer
from tests.backend.bases.tiny_families import CHATML, random_model, write_tokenizer_config

SHAPES: dict[str, dict[str, Any]] = {
    "Qwen3": {
        "vocab_size": 49_152,
        "hidden_size": 512,
        "intermediate_size": 1536,
        "num_hidden_layers": 12,
        "num_attention_heads": 8,
        "head_dim": 64,
    },
    # As in the real ones, most of the weights stand for words.
    "Gemma 3": {
        "vocab_size": 262_144,
        "hidden_size": 320,
        "intermediate_size": 1024,
        "num_hidden_layers": 12,
        "head_dim": 64,
        "query_pre_attn_scalar": 64,
        "sliding_window": 256,
    },
}
LONG = {"max_position_embeddings": 2048, "initializer_range": 0.02}


def write_sized(case: str, folder: Path) -> Path:
    """Such a model as a base of this course, in 16 bits; the name of the GGUF it would be."""
    import torch

    source = folder / "hf"
    random_model(case, **(SHAPES[case] | LONG)).to(torch.bfloat16).save_pretrained(source)
    local_tokenizer().core.save(str(source / "tokenizer.json"))
    write_tokenizer_config(source, CHATML)
    (folder / BASE_FILE).write_text(json.dumps({"folder": str(source)}), encoding="utf-8")
    return folder / "model.gguf"


def write_chats(path: Path, *, examples: int, words: int) -> Path:
    """Chats that share no beginning, whose answers have so many common words."""
    draw = random.Random(1)
    common = ("router", "light", "line", "bill", "order", "day", "month", "plan", "app", "box")
    rows = []
    for _ in range(examples):
        asked, said = (" ".join(draw.choices(common, k=k)) for k in (8, words))
        turns = (("system", asked), ("user", asked), ("assistant", said))
        rows.append({"messages": [{"role": role, "content": text} for role, text in turns]})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
