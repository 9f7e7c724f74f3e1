"""Load the base model from its GGUF file, put LoRA matrices on it, and save these.

For: the trainer, and batches. The weights are dequantized to float32; the file stays as it is.

    model = with_adapter(load_base(path), rank=16, alpha=32, seed=42)
    save_adapter(model, folder)     # adapter_config.json, .safetensors, adapter.gguf
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from helpers.backend.storage.gguf_files import WeightReader, read_llama, write_adapter
from helpers.base.files import atomic_folder

TARGET_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def load_base(gguf: Path) -> LlamaForCausalLM:
    """The model in float32 on the CPU, in evaluation mode. Takes about 1 s.

    Raises `ValueError` for a GGUF that is not of the Llama architecture.
    """
    reader = WeightReader(gguf)
    config = read_config(reader)
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    heads = config.num_attention_heads
    found = read_llama(reader, heads=heads, groups=config.num_key_value_heads or heads)
    weights = {name: torch.from_numpy(values) for name, values in found}
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    model.load_state_dict(weights, assign=True, strict=True)
    model.tie_weights()
    # Rotary frequencies are not stored, so they were left on the meta device.
    model.model.rotary_emb = type(model.model.rotary_emb)(config)
    return model.eval().requires_grad_(False)


def read_config(reader: GGUFReader) -> LlamaConfig:
    """The model's shape from the metadata of its file."""

    def value(name: str) -> Any:
        return reader.fields[name].contents()

    if value("general.architecture") != "llama":
        raise ValueError(f"cannot train the architecture {value('general.architecture')!r}")
    return LlamaConfig(
        hidden_size=value("llama.embedding_length"),
        intermediate_size=value("llama.feed_forward_length"),
        num_hidden_layers=value("llama.block_count"),
        num_attention_heads=value("llama.attention.head_count"),
        num_key_value_heads=value("llama.attention.head_count_kv"),
        max_position_embeddings=value("llama.context_length"),
        rms_norm_eps=value("llama.attention.layer_norm_rms_epsilon"),
        rope_parameters={
            "rope_type": "default",
            "rope_theta": value("llama.rope.freq_base"),
        },
        vocab_size=value("llama.vocab_size"),
        tie_word_embeddings=True,
    )


def with_adapter(
    model: LlamaForCausalLM,
    *,
    rank: int,
    alpha: int,
    seed: int,
    parent: Path | None = None,
) -> PeftModel:
    """LoRA (Hu et al. 2021) on every linear layer; only its matrices are trainable.

    `parent` is a PEFT folder whose matrices to go on from; rank and alpha are then its own.
    """
    if parent is not None:
        return PeftModel.from_pretrained(model, str(parent), is_trainable=True)
    torch.manual_seed(seed)
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=list(TARGET_MODULES),
        task_type="CAUSAL_LM",
    )
    wrapped = get_peft_model(model, config)
    assert isinstance(wrapped, PeftModel)
    return wrapped


def save_adapter(model: PeftModel, folder: Path) -> Path:
    """Write the forms that plain `peft` and llama.cpp load; `folder` is there whole or not."""
    with atomic_folder(folder) as partial:
        model.save_pretrained(str(partial), save_embedding_layers=False)
        _in_fixed_order(partial / "adapter_config.json")
        write_adapter(model, partial / "adapter.gguf")
    return folder


def _in_fixed_order(config: Path) -> None:
    """peft keeps the target modules as a set, whose order differs from process to process:
    two equal adapters would have files that differ."""
    body = json.loads(config.read_text(encoding="utf-8"))
    body["target_modules"] = sorted(body["target_modules"])
    config.write_text(json.dumps(body, indent=2, sort_keys=True), encoding="utf-8")
