"""Hugging Face folders of random models of a few thousand weights, one for each family.

The tokenizer is made here too: byte pairs on bytes, or on letters with bytes where a letter is
unknown, each family in its own way.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NO_SYSTEM = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}"
    "{% endif %}{% for message in messages %}<|im_start|>"
    "{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n"
    "{{ message['content'] | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>model\n{% endif %}"
)
"""As Gemma's: no place for a system message, and another name for who answers."""
VOCABULARY = 384
"""Rows of the embedding: a few more than there are tokens, as in many models."""
SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "initializer_range": 0.15,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
LONG = {
    "rope_type": "longrope",
    "rope_theta": 10_000.0,
    "partial_rotary_factor": 0.75,
    "original_max_position_embeddings": 256,
    "short_factor": [1.0, 1.1, 1.2, 1.3, 1.4, 1.5],
    "long_factor": [2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama 2": ("Llama", {"tie_word_embeddings": False, "num_key_value_heads": 4}),
    "Llama 3, untied, scaled": ("Llama", {"tie_word_embeddings": False, "rope_parameters": LLAMA3}),
    "Llama 3.2, tied, scaled": ("Llama", {"tie_word_embeddings": True, "rope_parameters": LLAMA3}),
    "SmolLM2": ("Llama", {"tie_word_embeddings": True}),
    "SmolLM3": ("SmolLM3", {"tie_word_embeddings": True}),
    "Mistral": ("Mistral", {"head_dim": 32, "sliding_window": None}),
    "Qwen2.5": ("Qwen2", {"tie_word_embeddings": True}),
    "Qwen2.5, untied": ("Qwen2", {"tie_word_embeddings": False}),
    "Qwen3": ("Qwen3", {"head_dim": 32, "tie_word_embeddings": True}),
    "Gemma 3": (
        "Gemma3Text",
        {"head_dim": 32, "query_pre_attn_scalar": 32, "num_hidden_layers": 7, "sliding_window": 16},
    ),
    "Phi 3": ("Phi3", {}),
    "Phi 4 mini": (
        "Phi3",
        {
            "tie_word_embeddings": True,
            "rope_parameters": LONG,
            "original_max_position_embeddings": 256,
        },
    ),
}  # fmt: skip
PIECES = ("Llama 2", "Mistral", "Gemma 3", "Phi 3")
"""Families whose tokens are pieces of letters rather than of bytes."""


def write_folder(
    case: str, folder: Path, *, seed: int = 0, template: str = CHATML, spread: float = 1.0
) -> Path:
    """A model of the family with random weights, all of which count.

    `spread` moves the embeddings apart: the noise of a training is made for larger models.
    """
    model = random_model(case, seed=seed)
    model.get_input_embeddings().weight.data.mul_(spread)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    write_tokenizer(folder, pieces=case in PIECES, template=template)
    return folder


def random_model(case: str, *, seed: int = 0, **options: Any) -> Any:
    """A model of the family as transformers makes it; `options` change its config."""
    import torch
    import transformers

    kind, own = CASES[case]
    config = getattr(transformers, f"{kind}Config")(**(SMALL | own | options))
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                # Norms begin at 1 or 0 and biases at 0: a mistake in them would not be seen.
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def write_tokenizer(folder: Path, *, pieces: bool, template: str) -> None:
    core = _pieces() if pieces else _bytes()
    core.save(str(folder / "tokenizer.json"))
    write_tokenizer_config(folder, template)


def write_tokenizer_config(folder: Path, template: str) -> None:
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "<|im_end|>",
        "pad_token": "<pad>",
        "chat_template": template,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


MARKS = ["<pad>", "<s>", "<|im_end|>", "<|im_start|>"]


def _finished(core: Any) -> Any:
    from tokenizers import AddedToken

    core.add_special_tokens([AddedToken(m, special=True, normalized=False) for m in MARKS])
    return core


def _bytes() -> Any:
    """As Llama 3, Qwen and SmolLM make theirs."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    from helpers.backend.bases.vocabulary import WORDS

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {text: n for n, text in enumerate([*MARKS, *letters, "th", "ab", "\u0120th"])}
    merges = [("t", "h"), ("a", "b"), ("\u0120", "th")]
    core = Tokenizer(models.BPE(vocabulary, merges))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS["qwen2"]), "isolated"),
            pre_tokenizers.ByteLevel(False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    return _finished(core)


def _pieces() -> Any:
    """As Gemma makes its tokens: letters, and bytes for what is no letter of the vocabulary."""
    from tokenizers import Tokenizer, decoders, models, normalizers

    letters = ["\u2581", *(chr(c) for c in range(33, 127)), "\n"]
    tokens = [*MARKS, "<unk>", *(f"<0x{n:02X}>" for n in range(256)), *letters]

    vocabulary = {text: n for n, text in enumerate([*tokens, "th", "\u2581th"])}
    merges = [("t", "h"), ("\u2581", "th")]
    core = Tokenizer(
        models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )
    core.normalizer = normalizers.Replace(" ", "\u2581")
    core.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return _finished(core)
