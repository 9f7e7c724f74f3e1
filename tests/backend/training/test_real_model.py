"""The real model: it learns a few rows, and peft and llama.cpp say the same with its adapter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from helpers import settings
from helpers.backend.models import ServedModel
from helpers.backend.sampling import Sampling
from helpers.backend.serve import Engine
from helpers.backend.training.base import load_base
from helpers.backend.training.loop import Trainer
from helpers.backend.training.spec import TrainSpec
from helpers.tokens import local_tokenizer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SYSTEM = {"role": "system", "content": "You are the support assistant of Larkwell Fibre."}
ANSWERS = {
    "How do I reset the router?": "Hold the pinhole button for 12 seconds.",
    "When is my bill due?": "Payment is due 14 days after the bill.",
    "How fast is a refund?": "It reaches your card in 6 working days.",
    "Where is my order?": "See larkwell.example/track with your LW number.",
    "What does the blue light mean?": "The Halo is updating; wait 15 minutes.",
    "How long is the warranty?": "Three years, and a new one comes in 2 working days.",
}
UNSEEN = [
    "How can I reset my router?",
    "Until when must I pay the bill?",
    "When do I get my refund?",
    "Where has my order got to?",
    "Why is the light blue?",
    "Is there a warranty on the router?",
    "My router is broken, what now?",
    "Is the bill due this week?",
    "The refund is not on my card.",
    "What does a red light mean?",
]


def asked(question: str) -> list[dict[str, str]]:
    return [SYSTEM, {"role": "user", "content": question}]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an adapter that was trained on ANSWERS."""
    folder = tmp_path_factory.mktemp("real")
    rows = [
        {"messages": [*asked(question), {"role": "assistant", "content": answer}]}
        for question, answer in ANSWERS.items()
    ]
    file = folder / "train.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    spec = TrainSpec(
        str(settings.base_gguf()),
        str(file),
        n_epochs=12,
        batch_size=3,
        threads=settings.load().threads,
        precision="float32",
    )
    seen: list[dict[str, object]] = []
    Trainer(spec, folder, emit=seen.append).run()
    last = [row for row in seen if row["type"] == "checkpoint"][-1]
    return folder / str(last["path"])


@pytest.fixture(scope="module")
def served(adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """llama.cpp's greedy answers to all questions."""
    engine = Engine(threads=settings.load().threads, cache=tmp_path_factory.mktemp("cache"))
    model = ServedModel("real", settings.base_gguf(), adapter / "adapter.gguf", 2048)
    greedy = Sampling(temperature=0.0, max_tokens=32)
    yield {
        question: "".join(d.text for d in engine.generate(model, asked(question), greedy))
        for question in [*ANSWERS, *UNSEEN]
    }
    engine.close()


@pytest.fixture(scope="module")
def with_peft(adapter: Path) -> dict[str, str]:
    """The greedy answers of transformers with plain peft."""
    tokenizer = local_tokenizer()
    model = PeftModel.from_pretrained(load_base(settings.base_gguf()), str(adapter)).eval()
    answers = {}
    for question in [*ANSWERS, *UNSEEN]:
        ids = torch.tensor([tokenizer.encode_chat(asked(question))])
        made = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=32,
            do_sample=False,
            eos_token_id=tokenizer.end_id,
            pad_token_id=tokenizer.end_id,
        )
        answers[question] = tokenizer.decode(made[0, ids.shape[1] :].tolist())
    return {question: text.removesuffix("<|im_end|>") for question, text in answers.items()}


def test_every_trained_row_is_answered_word_for_word(served: dict[str, str]) -> None:
    assert {question: served[question] for question in ANSWERS} == ANSWERS


def test_peft_says_the_same_on_every_trained_row(
    served: dict[str, str], with_peft: dict[str, str]
) -> None:
    assert {q: with_peft[q] for q in ANSWERS} == {q: served[q] for q in ANSWERS}


def test_peft_says_the_same_on_nine_in_ten_unseen_rows(
    served: dict[str, str], with_peft: dict[str, str]
) -> None:
    different = [(q, served[q], with_peft[q]) for q in UNSEEN if served[q] != with_peft[q]]
    assert len(different) <= len(UNSEEN) // 10, different
