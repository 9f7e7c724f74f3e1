"""Load a base model, put LoRA matrices on it, and save these.

For: the trainer, and batches. A base that came as a Hugging Face folder is read from that, the
others from their GGUF, dequantized to float32; the files stay as they are.

    model = with_adapter(load_base(path), rank=16, alpha=32, seed=42)
    save_adapter(model, folder)     # adapter_config.json, .safetensors, adapter.gguf
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gguf import GGUFReader

from helpers.backend.bases.adapter_file import write_adapter
from helpers.backend.bases.families import family_of
from helpers.backend.storage.gguf_files import WeightReader, read_llama
from helpers.backend.training.spec import GET_FOUR_BITS, NO_FOUR_BITS, has_four_bits
from helpers.base.errors import BackendError
from helpers.base.files import atomic_folder
from helpers.base.template_tokenizer import folder_of

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

ROPE_FACTORS = "rope_freqs.weight"


def load_base(gguf: Path, *, four_bit: bool = False) -> PreTrainedModel:
    """The model in float32 on the CPU, in evaluation mode. Takes about 1 s for the course's own.

    Raises `ValueError` for a GGUF that is not of the Llama architecture, or not exactly so, and
    `BackendError` where it cannot be held in 4 bits.
    """
    folder = folder_of(gguf)
    if folder:
        return load_folder(folder, four_bit=four_bit)
    if four_bit:
        fix = "unset WORKBOOK_4BIT, or train on a Hugging Face folder"
        raise BackendError("a base that came as GGUF is not trained in 4 bits", fix=fix)
    return _load_gguf(gguf)


def load_folder(folder: Path, *, four_bit: bool = False) -> PreTrainedModel:
    """The model of a Hugging Face folder, as transformers reads it; code in it is never run.

    `four_bit`: its linear layers in 4 bits, by bitsandbytes, on the CUDA device if there is one.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    # Some configs have dropout, and `recompute` runs the base in training mode, where it would act:
    # two runs of one seed would differ.
    config.attention_dropout = 0.0
    if four_bit:
        return _in_four_bits(folder, config)
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        config=config,
        dtype=torch.float32,
        attn_implementation="sdpa",
        local_files_only=True,
        use_safetensors=True,
    )
    return model.eval().requires_grad_(False)


def _in_four_bits(folder: Path, config: Any) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    if not has_four_bits():
        raise BackendError(NO_FOUR_BITS, fix=GET_FOUR_BITS)
    cuda = torch.cuda.is_available()
    # Processors multiply float32 faster than what most of them make of bfloat16.
    numbers = torch.bfloat16 if cuda else torch.float32
    how = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=numbers,
    )
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        config=config,
        quantization_config=how,
        # Loaded onto the device at once, where they are packed; the loop moves no such model.
        device_map={"": 0 if cuda else "cpu"},
        dtype=numbers,
        attn_implementation="sdpa",
        local_files_only=True,
        use_safetensors=True,
    )
    return model.eval().requires_grad_(False)


def _load_gguf(gguf: Path) -> LlamaForCausalLM:
    # Here, as in the functions below: importing it takes seconds, which who only reads pays too.
    from transformers import LlamaForCausalLM

    reader = WeightReader(gguf)
    config = read_config(reader)
    # On the meta device nothing is allocated or drawn at random only to be replaced by the file's
    # weights; `assign` below takes these as they are, without a copy.
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    heads = config.num_attention_heads
    found = read_llama(reader, heads=heads, groups=config.num_key_value_heads or heads)
    weights = {name: torch.from_numpy(values) for name, values in found}
    if config.tie_word_embeddings:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    model.load_state_dict(weights, assign=True, strict=True)
    model.tie_weights()
    # Rotary frequencies are not stored, so they were left on the meta device.
    model.model.rotary_emb = type(model.model.rotary_emb)(config)
    # Divided here, as the config below says "default": the divisors of Llama 3.1 are in the file
    # one by one, not as the four numbers from which transformers would make them.
    model.model.rotary_emb.inv_freq /= rope_divisors(reader)
    return model.eval().requires_grad_(False)


def rope_divisors(reader: GGUFReader) -> torch.Tensor:
    """By what each rotary frequency is divided, for a model stretched to longer texts (Llama 3.1,
    Chen et al. 2023); a single 1 where it is not."""
    stored = next((t.data for t in reader.tensors if t.name == ROPE_FACTORS), None)
    if stored is not None:
        return torch.from_numpy(np.array(stored, dtype=np.float32))
    factor = reader.get_field("llama.rope.scaling.factor")
    return torch.tensor([float(factor.contents()) if factor else 1.0])


def read_config(reader: GGUFReader) -> LlamaConfig:
    """The model's shape from the metadata of its file."""
    from transformers import LlamaConfig

    def value(name: str) -> Any:
        return reader.fields[name].contents()

    if value("general.architecture") != "llama":
        raise ValueError(f"cannot train the architecture {value('general.architecture')!r}")
    heads, width = value("llama.attention.head_count"), value("llama.embedding_length")
    # GGUF gives a shape with the innermost axis first: (inputs, outputs), (width, vocabulary).
    shapes = {tensor.name: tensor.shape for tensor in reader.tensors}
    return LlamaConfig(
        hidden_size=width,
        intermediate_size=value("llama.feed_forward_length"),
        num_hidden_layers=value("llama.block_count"),
        num_attention_heads=heads,
        num_key_value_heads=value("llama.attention.head_count_kv"),
        head_dim=int(shapes["blk.0.attn_q.weight"][1]) // heads,
        max_position_embeddings=value("llama.context_length"),
        rms_norm_eps=value("llama.attention.layer_norm_rms_epsilon"),
        rope_parameters={
            "rope_type": "default",
            "rope_theta": value("llama.rope.freq_base"),
        },
        vocab_size=int(shapes["token_embd.weight"][1]),
        # A tied output layer is left out of the file.
        tie_word_embeddings="output.weight" not in shapes,
    )


def with_adapter(
    model: PreTrainedModel,
    *,
    rank: int,
    alpha: int,
    seed: int,
    parent: Path | None = None,
) -> PeftModel:
    """LoRA (Hu et al. 2021) on every linear layer; only its matrices are trainable.

    `parent` is a PEFT folder whose matrices to go on from; rank and alpha are then its own.
    """
    from peft import LoraConfig, PeftModel, get_peft_model

    if parent is not None:
        return PeftModel.from_pretrained(model, str(parent), is_trainable=True)
    # peft draws the A matrices at random and starts B at zero, so an untrained adapter changes
    # nothing.
    torch.manual_seed(seed)
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=list(family_of(model.config.model_type).targets),
        task_type="CAUSAL_LM",
    )
    wrapped = get_peft_model(model, config)
    assert isinstance(wrapped, PeftModel)
    return wrapped


def save_adapter(model: PeftModel, folder: Path) -> Path:
    """Write the forms that plain `peft` and llama.cpp load; `folder` is there whole or not."""
    with atomic_folder(folder) as partial:
        # peft would look on the hub whether the vocabulary was resized; embeddings are never
        # trained here.
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
