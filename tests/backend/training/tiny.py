"""A Llama of a few thousand weights, for tests of the training code without the real model."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from gguf import RopeScalingType
from torch import Tensor

from helpers.backend.storage.gguf_files import written
from helpers.backend.training.examples import Example
from helpers.base.chat_format import END, START

if TYPE_CHECKING:
    from peft import PeftModel

VOCABULARY = 97
torch.set_num_threads(1)


def tiny_model(*, rank: int = 4, seed: int = 0, trained: bool = True) -> PeftModel:
    """Three layers, grouped queries, LoRA everywhere; `trained` gives B values that count."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from helpers.backend.training.base import with_adapter

    torch.manual_seed(seed)
    config = LlamaConfig(
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=256,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
        vocab_size=VOCABULARY,
        tie_word_embeddings=True,
    )
    base = LlamaForCausalLM(config).eval().requires_grad_(False)
    model = with_adapter(base, rank=rank, alpha=2 * rank, seed=seed)
    if trained:
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter.data, std=0.2)
    return model


def random_examples(n: int, *, shared: int, seed: int = 0) -> list[Example]:
    """Examples of different lengths that begin with the same `shared` tokens."""
    draw = random.Random(seed)
    start = [draw.randrange(VOCABULARY) for _ in range(shared)]
    return [_example(i, start, draw) for i in range(n)]


def _example(line: int, start: Sequence[int], draw: random.Random) -> Example:
    # The first own token differs, so that no more than `start` is shared by accident.
    own = [line] + [draw.randrange(VOCABULARY) for _ in range(draw.randint(5, 25))]
    asked = draw.randint(2, len(own) - 2)
    targets = [False] * (len(start) + asked) + [True] * (len(own) - asked)
    return Example(line, (*start, *own), tuple(targets))


def plain_losses(model: PeftModel, examples: Sequence[Example]) -> Tensor:
    """The losses of all targets as transformers and peft compute them, one example at a time."""
    parts = []
    for example in examples:
        ids = torch.tensor([example.ids])
        logits = model(input_ids=ids).logits[0, :-1]
        losses = F.cross_entropy(logits, ids[0, 1:], reduction="none")
        parts.append(losses[torch.tensor(example.targets[1:])])
    return torch.cat(parts)


def write_gguf(
    path: Path, *, seed: int = 0, tied: bool = True, rope: Sequence[float] = (), linear: float = 0
) -> Path:
    """A GGUF of a random two-layer model with a byte vocabulary and SmolLM2's template names.

    llama.cpp loads it, and so does everything of ours. `rope` divides its eight rotary
    frequencies, `linear` all of them alike.
    """
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    draw = np.random.default_rng(seed)
    specials = ["<|endoftext|>", START, END]
    tokens = [*specials, *bytes_to_unicode().values(), "ab", "th"]
    width, inner, heads, groups, layers = 64, 96, 4, 2, 2
    with written(path, "llama") as writer:
        writer.add_context_length(256)
        writer.add_embedding_length(width)
        writer.add_feed_forward_length(inner)
        writer.add_block_count(layers)
        writer.add_head_count(heads)
        writer.add_head_count_kv(groups)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_rope_freq_base(100_000.0)
        writer.add_rope_dimension_count(width // heads)
        if linear:
            writer.add_rope_scaling_type(RopeScalingType.LINEAR)
            writer.add_rope_scaling_factor(linear)
        writer.add_vocab_size(len(tokens))
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("smollm")
        writer.add_token_list(tokens)
        writer.add_token_types([3] * len(specials) + [1] * (len(tokens) - len(specials)))
        writer.add_token_merges(["a b", "t h"])
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_chat_template(f"{{# ChatML #}}{START}")

        def tensor(name: str, *shape: int) -> None:
            values = draw.normal(0, 0.15, shape) if len(shape) > 1 else np.ones(shape)
            writer.add_tensor(f"{name}.weight", values.astype(np.float32))

        tensor("token_embd", len(tokens), width)
        tensor("output_norm", width)
        if not tied:
            tensor("output", len(tokens), width)
        if rope:
            writer.add_tensor("rope_freqs.weight", np.array(rope, dtype=np.float32))
        for number in range(layers):
            block = f"blk.{number}"
            kv = width // heads * groups
            for name, rows, columns in (
                ("attn_q", width, width),
                ("attn_k", kv, width),
                ("attn_v", kv, width),
                ("attn_output", width, width),
                ("ffn_gate", inner, width),
                ("ffn_up", inner, width),
                ("ffn_down", width, inner),
            ):
                tensor(f"{block}.{name}", rows, columns)
            tensor(f"{block}.attn_norm", width)
            tensor(f"{block}.ffn_norm", width)
    return path


def write_chat(path: Path, rows: int = 11) -> Path:
    """Short chat examples with answers of different lengths."""
    lines = []
    for i in range(rows):
        messages = [
            {"role": "system", "content": "You help."},
            {"role": "user", "content": f"number {i}?"},
            {"role": "assistant", "content": "ab" * (1 + i % 5) + str(i)},
        ]
        lines.append(json.dumps({"messages": messages}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
