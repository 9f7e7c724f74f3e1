"""How far trainer, engine and exports are from transformers, for a random model of a family.

For: the table in docs/measurements.md, and the test that holds it.

    measure("Qwen3", folder)      # Differences(base=0.001, adapter=0.002, trainer=1e-6, …)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from helpers.backend.bases.convert import write_gguf
from helpers.backend.inference.engine import Engine
from helpers.backend.inference.models import ServedModel
from helpers.backend.training.base import load_base, save_adapter, with_adapter
from helpers.backend.training.examples import Example
from helpers.backend.training.networks import is_fast, network
from helpers.backend.training.packing import pack
from helpers.base.template_tokenizer import BASE_FILE
from helpers.base.tokens import local_tokenizer
from tests.backend.bases.tiny_families import CHATML, write_folder
from tests.backend.training.tiny import plain_losses


@dataclass(frozen=True)
class Differences:
    """The largest ones, in nats."""

    base: float
    """llama.cpp, of a token's log-probability, at each place of a text."""
    adapter: float
    """The same with LoRA matrices beside it."""
    trainer: float
    """Our network, of a target's loss, base and adapter."""
    gradients: float
    """And of the matrices' gradients, as a share of the largest."""
    fast: bool
    """Whether that network is the fast one."""


def prepared(case: str, folder: Path) -> Path:
    """A family's random model as a base of this course: its GGUF, which names its folder."""
    source = write_folder(case, folder / "hf")
    (folder / BASE_FILE).write_text(json.dumps({"folder": str(source)}), encoding="utf-8")
    gguf = folder / "model.gguf"
    return write_gguf(source, gguf, numbers="f32", template=CHATML, end="<|im_end|>")


def examples(gguf: Path) -> list[Example]:
    """Three of different lengths that begin alike."""
    made = []
    for n, end in enumerate(("over the lazy dog, 12 times.", "at that {place}", "Abc? Yes; no!")):
        ids = local_tokenizer(gguf).encode_text(f"the quick brown fox jumps {end}")
        made.append(Example(n, tuple(ids), tuple(i >= len(ids) // 2 for i in range(len(ids)))))
    return made


def adapted(gguf: Path) -> PeftModel:
    """The model with matrices that change what it says."""
    model = with_adapter(load_base(gguf), rank=4, alpha=8, seed=3)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter.data, std=0.1)
    return model


def measure(case: str, folder: Path) -> Differences:
    gguf = prepared(case, folder)
    model = adapted(gguf)
    adapter = save_adapter(model, folder / "adapter")
    plain: Any = AutoModelForCausalLM.from_pretrained(folder / "hf", dtype=torch.float32).eval()
    base_gap = _gap(plain, ServedModel("base", gguf, None, 256), folder)
    tuned: Any = PeftModel.from_pretrained(plain, str(adapter)).eval()
    served = ServedModel("tuned", gguf, adapter / "adapter.gguf", 256)
    adapter_gap = _gap(tuned, served, folder)
    fast = is_fast(model.get_base_model().config)
    return Differences(base_gap, adapter_gap, *_trainer_gaps(model, gguf), fast)


def _gap(reference: Any, model: ServedModel, folder: Path) -> float:
    engine = Engine(threads=1, cache=folder / "cache")
    try:
        ids = list(examples(model.gguf)[0].ids)
        said = [one.logprob for one in engine.score(model, ids, alternatives=1)]
    finally:
        engine.close()
    return max(abs(a - b) for a, b in zip(said, token_logprobs(reference, ids), strict=True))


@torch.no_grad()
def token_logprobs(model: Any, ids: Sequence[int]) -> list[float]:
    """As transformers computes them: of each token but the first."""
    logits = model(input_ids=torch.tensor([list(ids)])).logits[0, :-1].float()
    found = logits.log_softmax(-1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    return [float(value) for value in found]


def _trainer_gaps(model: PeftModel, gguf: Path) -> tuple[float, float]:
    """Our network beside transformers with peft, on three examples that begin alike."""
    made = examples(gguf)
    matrices = [p for p in model.parameters() if p.requires_grad]
    expected = plain_losses(model, made)
    wanted = torch.autograd.grad(expected.mean(), matrices)
    with torch.no_grad(), model.disable_adapter():
        expected_base = plain_losses(model, made)
    net = network(model, release=True)
    found = net.token_losses(pack(made))
    got = torch.autograd.grad(found.mean(), matrices)
    found, expected = found.detach(), expected.detach()
    with torch.no_grad():
        found_base = net.token_losses(pack(made), adapted=False)
    largest = max(float(one.abs().max()) for one in wanted)
    apart = max(float((a - b).abs().max()) for a, b in zip(got, wanted, strict=True))
    losses = max(
        float((a - b).abs().max()) for a, b in ((found, expected), (found_base, expected_base))
    )
    return losses, apart / largest
