"""Load the base model from its GGUF file and put LoRA matrices on it.

For: the trainer, and batches. The weights are dequantized to float32; the file stays as it is.

    model = with_adapter(load_base(path), rank=16, alpha=32, seed=42)
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFReader, GGUFValueType, dequantize
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""Names inside a block: llama.cpp's, then transformers'."""
TOP_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
TARGET_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def load_base(gguf: Path) -> LlamaForCausalLM:
    """The model in float32 on the CPU, in evaluation mode. Takes about 1 s.

    Raises `ValueError` for a GGUF that is not of the Llama architecture.
    """
    reader = WeightReader(gguf)
    config = read_config(reader)
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    weights = {}
    groups = config.num_key_value_heads or config.num_attention_heads
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type)
        name = transformers_name(tensor.name)
        if name is None:
            continue
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = config.num_attention_heads if "q_proj" in name else groups
            values = unpermute(values, heads)
        weights[name] = torch.from_numpy(np.array(values, dtype=np.float32))
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    model.load_state_dict(weights, assign=True, strict=True)
    model.tie_weights()
    # Rotary frequencies are not stored, so they were left on the meta device.
    model.model.rotary_emb = type(model.model.rotary_emb)(config)
    return model.eval().requires_grad_(False)


class WeightReader(GGUFReader):
    """The library's reader, without lists in the metadata: the vocabulary alone takes it 2 s.

    For lists of texts and of numbers, in a little-endian file; lists of lists it cannot skip.
    """

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> Any:
        if raw_type != GGUFValueType.ARRAY:
            return super()._get_field_parts(orig_offs, raw_type)
        raw = self.data.data
        inner, length = struct.unpack_from("<IQ", raw, orig_offs)
        end = orig_offs + struct.calcsize("<IQ")
        if inner == GGUFValueType.STRING:
            for _ in range(length):
                end += 8 + struct.unpack_from("<Q", raw, end)[0]
        else:
            end += length * np.dtype(self.gguf_scalar_to_np[GGUFValueType(inner)]).itemsize
        return end - orig_offs, [], [], [GGUFValueType.ARRAY]


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


def transformers_name(name: str) -> str | None:
    """`blk.3.attn_q.weight` as `model.layers.3.self_attn.q_proj.weight`; None if unknown."""
    parts = name.split(".")
    if parts[0] == "blk":
        _, layer, inner, end = parts
        return f"model.layers.{layer}.{LAYER_NAMES[inner]}.{end}"
    return f"{TOP_NAMES[parts[0]]}.{parts[1]}" if parts[0] in TOP_NAMES else None


def unpermute(weight: np.ndarray, heads: int) -> np.ndarray:
    """Undo llama.cpp's order of the rotary halves; shape (heads * d, in) stays."""
    rows, columns = weight.shape
    grouped = weight.reshape(heads, rows // heads // 2, 2, columns)
    return grouped.swapaxes(1, 2).reshape(rows, columns)


def permute(weight: np.ndarray, heads: int) -> np.ndarray:
    """Put rows in llama.cpp's rotary order: the inverse of `unpermute`."""
    rows, columns = weight.shape
    grouped = weight.reshape(heads, 2, rows // heads // 2, columns)
    return grouped.swapaxes(1, 2).reshape(rows, columns)


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
