"""A Llama of a few thousand weights, for tests of the training code without the real model."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from peft import PeftModel
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from helpers.backend.training.base import with_adapter
from helpers.backend.training.examples import Example

VOCABULARY = 97
torch.set_num_threads(1)


def tiny_model(*, rank: int = 4, seed: int = 0, trained: bool = True) -> PeftModel:
    """Three layers, grouped queries, LoRA everywhere; `trained` gives B values that count."""
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
