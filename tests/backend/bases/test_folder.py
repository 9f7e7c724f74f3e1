"""A Hugging Face folder that cannot be a base is refused in one line that says what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.backend.bases import folder as model_folder
from helpers.backend.bases.families import read_shape
from helpers.base.errors import BackendError
from tests.backend.bases.plain_folder import tensors, write_plain
from tests.backend.bases.tiny_families import CHATML


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_plain(tmp_path / "Tiny")


def test_a_whole_folder_is_taken_with_its_shape_and_licence(model):
    shape = model_folder.check(model)
    assert (shape.family.name, shape.context) == ("Qwen3", 512)
    assert model_folder.licence(model) == "apache-2.0"


def configured(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def weights(change: Callable[[dict[str, np.ndarray]], Any]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        from safetensors.numpy import save_file

        values = tensors()
        change(values)
        save_file(values, folder / "model.safetensors")

    return write


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def written(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def sharded(folder: Path) -> None:
    """The second of two parts has not come."""
    names = {name: f"model-{1 + n % 2}-of-2.safetensors" for n, name in enumerate(tensors())}
    (folder / "model.safetensors").rename(folder / "model-1-of-2.safetensors")
    index = {"weight_map": names}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def adapter(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    config = {"base_model_name_or_path": "Qwen/Qwen3-0.6B", "peft_type": "LORA"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "adapter_model.safetensors").write_bytes(b"")


def with_adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')


def untemplated(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    known = json.loads(path.read_text())
    del known["chat_template"]
    path.write_text(json.dumps(known))


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
NO_END = CHATML.replace("<|im_end|>", "")
KINDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no config": (without("config.json"), r"lacks config\.json \(get the folder again"),
    "damaged config": (written("config.json", "{"), r"damaged config\.json"),
    "weights cut off": (cut, r"ends 1,000 bytes early"),
    "no weights": (without("model.safetensors"), r"lacks model\.safetensors"),
    "a part lacks": (sharded, r"lacks model-2-of-2\.safetensors"),
    "an unfinished download": (written("x.incomplete", ""), r"not downloaded to its end"),
    "a pointer of Git": (written("model.safetensors", POINTER), r"pointer of Git.*git lfs pull"),
    "pickled": (pickled, r"pickled weights"),
    "a weight lacks": (weights(lambda w: w.pop("model.norm.weight")), r"lacks 1 of its weights"),
    "a weight too many": (
        weights(lambda w: w.update(odd=np.ones(3, np.float32))),
        r"holds 'odd', which its family does not have",
    ),
    "eight bits": (
        weights(lambda w: w.update({"model.norm.weight": np.ones(64, np.int8)})),
        r"stored as I8 \(take a release in BF16",
    ),
    "few bits": (configured(quantization_config={"bits": 4}), r"weights in few bits"),
    "no tokenizer": (without("tokenizer.json"), r"lacks tokenizer\.json"),
    "a damaged tokenizer": (written("tokenizer.json", "{}"), r"damaged tokenizer\.json"),
    "another's tokenizer": (configured(vocab_size=100), r"tokens for 100 embeddings"),
    "no chat template": (untemplated, r"no chat template"),
    "an encoder": (
        configured(model_type="bert", architectures=["BertModel"]),
        r"makes embeddings \(bert\): it cannot chat",
    ),
    "sentences": (written("modules.json", "[]"), r"makes embeddings"),
    "encoder and decoder": (
        configured(model_type="t5", is_encoder_decoder=True),
        r"has an encoder before its decoder",
    ),
    "a classifier": (
        configured(architectures=["Qwen3ForSequenceClassification"]),
        r"something else than chats",
    ),
    "another family": (configured(model_type="mamba"), r"family 'mamba', which is not tested"),
    "an adapter beside weights": (with_adapter, r"adapter beside its own weights \(move adapter"),
    "a norm lacks": (
        weights(lambda w: w.pop("model.layers.1.self_attn.k_norm.weight")),
        r"lacks 1 of its weights, blk\.1\.attn_k_norm",
    ),
    "an adapter": (adapter, r"is an adapter and no base \(give Qwen/Qwen3-0\.6B\)"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_unfit_folder_is_refused_in_one_line(kind, model):
    spoil, message = KINDS[kind]
    spoil(model)
    with pytest.raises(BackendError, match=message) as caught:
        model_folder.check(model)
    said = str(caught.value)
    assert said.startswith("Tiny ")
    assert "\n" not in said
    assert caught.value.fix


def test_a_template_that_ends_no_answer_is_refused(tmp_path):
    folder = write_plain(tmp_path / "Tiny", template=NO_END)
    with pytest.raises(BackendError, match="ends an answer with no mark"):
        model_folder.check(folder)


def test_positions_whose_base_a_config_leaves_out_are_the_familys(model):
    """As in Llama 2's own release."""
    path = model / "config.json"
    config = json.loads(path.read_text())
    del config["rope_theta"]
    for kind, theta in (("qwen3", 10_000.0), ("llama", 10_000.0), ("smollm3", 2_000_000.0)):
        assert read_shape(config | {"model_type": kind}).rope.theta == theta
