"""Another base from upload to export: trained by a job, asked through the API, taken elsewhere.

Random models of a few thousand weights: what they learn by heart is theirs alone to say, so each
program that loads the export must say it too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from helpers.base.settings import Settings
from tests.backend.bases.tiny_families import CHATML, NO_SYSTEM, write_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PAIRS = {"red": "apple", "blue": "sky", "green": "leaf", "white": "snow"}
BASES = {"qwen3-tiny": ("Qwen3", CHATML), "gemma3-tiny": ("Gemma 3", NO_SYSTEM)}
TOKENS = 12


@dataclass(frozen=True)
class Tuned:
    """A model after its job: where its base and its export are, and what the API said."""

    base: Path
    export: Path
    said: dict[str, str]


def chat(word: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": word}]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Any]]:
    """A server of its own, whose further models are the two random ones."""
    from openai import OpenAI

    from helpers.backend import daemon
    from helpers.base import settings

    folder = tmp_path_factory.mktemp("whole_way")
    for name, (case, template) in BASES.items():
        write_folder(case, folder / "models" / name, template=template, spread=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBOOK_MODELS", str(folder / "models"))
        patch.setenv("WORKBOOK_STATE", str(folder / "state"))
        patch.setenv("WORKBOOK_ENGINE", "auto")
        own = settings.load()
        address = daemon.ensure_running(own)
        try:
            yield own, OpenAI(base_url=f"{address.url}/v1", api_key=address.token, timeout=300)
        finally:
            daemon.stop(own)


@pytest.fixture(scope="module", params=BASES)
def tuned(request: pytest.FixtureRequest, config: tuple[Settings, Any]) -> Tuned:
    """The base `request.param`, after a job that taught it the pairs by heart."""
    from helpers.finetuning import jobs
    from helpers.finetuning.exporting import export

    own, client = config
    rows = [
        {"messages": [*chat(word), {"role": "assistant", "content": answer}]}
        for word, answer in PAIRS.items()
    ] * 4
    data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    file = client.files.create(file=("pairs.jsonl", data), purpose="fine-tune")
    hyper = {"n_epochs": 40, "batch_size": 4, "learning_rate_multiplier": 4}
    method = {"type": "supervised", "supervised": {"hyperparameters": hyper}}
    job = client.fine_tuning.jobs.create(model=request.param, training_file=file.id, method=method)
    done = jobs.succeeded(jobs.wait(client, job.id))
    said = {}
    for word in PAIRS:
        answer = client.chat.completions.create(
            model=done.fine_tuned_model, messages=chat(word), temperature=0, max_tokens=TOKENS
        )
        said[word] = answer.choices[0].message.content
    out = own.state / "export" / request.param
    export(job.id, out, name=request.param, state=own.state, merged=True)
    return Tuned(own.extra_models / request.param, out, said)


def greedy(model: Any, folder: Path, word: str) -> str:
    """What transformers makes of the model and the tokenizer of a folder."""
    import torch
    from transformers import AutoTokenizer

    reader = AutoTokenizer.from_pretrained(folder)
    text = reader.apply_chat_template(chat(word), tokenize=False, add_generation_prompt=True)
    ids = reader(text, add_special_tokens=False, return_tensors="pt").input_ids
    with torch.no_grad():
        made = model.generate(ids, max_new_tokens=TOKENS, do_sample=False)[0, ids.shape[1] :]
    return str(reader.decode(made, skip_special_tokens=True))


def test_the_job_taught_it_and_the_api_says_so(tuned: Tuned) -> None:
    assert tuned.said == PAIRS


def test_peft_says_the_same(tuned: Tuned) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    plain: Any = AutoModelForCausalLM.from_pretrained(tuned.base, dtype=torch.float32)
    before = {word: greedy(plain, tuned.base, word) for word in PAIRS}
    model = PeftModel.from_pretrained(plain, str(tuned.export / "peft")).eval()
    assert {word: greedy(model, tuned.base, word) for word in PAIRS} == tuned.said
    assert before != tuned.said


def test_transformers_says_the_same_of_the_merged_folder(tuned: Tuned) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    merged = tuned.export / "merged"
    model: Any = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32)
    assert {word: greedy(model, merged, word) for word in PAIRS} == tuned.said


@pytest.mark.parametrize("adapter", [True, False])
def test_llama_cpp_says_the_same_of_both_ggufs(tuned: Tuned, adapter: bool) -> None:
    from tests.backend.llama import Plain

    file = "base.gguf" if adapter else "merged.gguf"
    plain = Plain(
        tuned.export / file, tuned.export / "adapter.gguf" if adapter else None, context=256
    )
    found = {word: plain.answer(chat(word), max_tokens=TOKENS) for word in PAIRS}
    assert found == tuned.said


def test_the_card_and_the_modelfile_name_this_base(tuned: Tuned) -> None:
    card = (tuned.export / "README.md").read_text(encoding="utf-8")
    modelfile = (tuned.export / "Modelfile").read_text(encoding="utf-8")
    assert tuned.base.name in card
    assert 'PARAMETER stop "<|im_end|>"' in modelfile
    assert str(tuned.base.parent) not in card + modelfile
