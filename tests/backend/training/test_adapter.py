"""What is written loads elsewhere: plain peft and llama.cpp give the trainer's own numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from torch import Tensor

from helpers.backend.inference.engine import Engine
from helpers.backend.inference.models import ServedModel
from helpers.backend.protocol.sampling import Sampling
from helpers.backend.storage.gguf_files import WeightReader, permute, unpermute, written
from helpers.backend.training.base import load_base, read_config, save_adapter, with_adapter
from helpers.backend.training.examples import Example
from helpers.backend.training.forward import Network
from helpers.backend.training.packing import pack
from helpers.base.tokens import local_tokenizer
from tests.backend.llama import Plain
from tests.backend.training.tiny import plain_losses, write_gguf

if TYPE_CHECKING:
    from peft import PeftModel

PROMPT = "<|im_start|>user\nthe abc def 123<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture
def model(gguf: Path) -> PeftModel:
    wrapped = with_adapter(load_base(gguf), rank=4, alpha=8, seed=1)
    torch.manual_seed(2)
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter.data, std=0.3)
    return wrapped


def next_logprobs(model: torch.nn.Module, gguf: Path) -> Tensor:
    ids = torch.tensor([local_tokenizer(gguf).encode(PROMPT)])
    with torch.no_grad():
        return model(input_ids=ids).logits[0, -1].log_softmax(-1)


def served_logprobs(gguf: Path, adapter: Path | None, cache: Path) -> list[float]:
    engine = Engine(threads=1, cache=cache)
    try:
        asked = Sampling(temperature=0.0, max_tokens=1, logprobs=5)
        served = ServedModel("tiny", gguf, adapter, 256)
        found = [t for delta in engine.generate(served, PROMPT, asked) for t in delta.logprobs]
    finally:
        engine.close()
    return [alternative.logprob for alternative in found[0].top]


def test_the_weights_are_read_as_the_library_reads_them(gguf: Path) -> None:
    ours, theirs = WeightReader(gguf), GGUFReader(gguf)
    assert [tensor.name for tensor in ours.tensors] == [tensor.name for tensor in theirs.tensors]
    for mine, other in zip(ours.tensors, theirs.tensors, strict=True):
        assert np.array_equal(mine.data, other.data)
    assert read_config(ours).to_dict() == read_config(theirs).to_dict()
    assert len(theirs.fields["tokenizer.ggml.tokens"].parts) > 100
    assert ours.fields["tokenizer.ggml.tokens"].data == []


def test_llama_cpp_and_our_loading_of_the_base_agree(gguf: Path, tmp_path: Path) -> None:
    ours = next_logprobs(load_base(gguf), gguf).topk(5).values.tolist()
    assert served_logprobs(gguf, None, tmp_path) == pytest.approx(ours, abs=0.02)


def test_llama_cpp_and_the_trained_model_agree(
    gguf: Path, model: PeftModel, tmp_path: Path
) -> None:
    folder = save_adapter(model, tmp_path / "step-1")
    ours = next_logprobs(model, gguf).topk(5).values.tolist()
    base = next_logprobs(load_base(gguf), gguf).topk(5).values.tolist()
    assert ours != pytest.approx(base, abs=0.1)
    assert served_logprobs(gguf, folder / "adapter.gguf", tmp_path) == pytest.approx(ours, abs=0.02)


def test_plain_peft_loads_the_folder_and_gives_the_same_logits(
    gguf: Path, model: PeftModel, tmp_path: Path
) -> None:
    from peft import PeftModel

    folder = save_adapter(model, tmp_path / "step-1")
    loaded = PeftModel.from_pretrained(load_base(gguf), str(folder))
    torch.testing.assert_close(next_logprobs(loaded, gguf), next_logprobs(model, gguf))


def test_a_network_that_released_the_base_still_saves_the_same_adapter(
    gguf: Path, model: PeftModel, tmp_path: Path
) -> None:
    before = save_adapter(model, tmp_path / "before")
    Network(model, release=True)
    after = save_adapter(model, tmp_path / "after")
    for name in ("adapter_model.safetensors", "adapter.gguf"):
        assert (after / name).read_bytes() == (before / name).read_bytes()


def test_a_parents_matrices_are_gone_on_from(gguf: Path, model: PeftModel, tmp_path: Path) -> None:
    folder = save_adapter(model, tmp_path / "step-1")
    child = with_adapter(load_base(gguf), rank=99, alpha=1, seed=5, parent=folder)
    wanted = dict(model.named_parameters())
    for name, parameter in child.named_parameters():
        torch.testing.assert_close(parameter, wanted[name])
        assert parameter.requires_grad == wanted[name].requires_grad


def test_the_gguf_names_its_kind_and_every_matrix(model: PeftModel, tmp_path: Path) -> None:
    folder = save_adapter(model, tmp_path / "step-1")
    reader = GGUFReader(folder / "adapter.gguf")
    assert reader.fields["general.type"].contents() == "adapter"
    assert reader.fields["adapter.type"].contents() == "lora"
    assert reader.fields["adapter.lora.alpha"].contents() == 8.0
    shapes = {tensor.name: tuple(reversed(tensor.shape)) for tensor in reader.tensors}
    assert len(shapes) == 2 * 7 * 2
    assert shapes["blk.1.attn_k.weight.lora_a"] == (4, 64)
    assert shapes["blk.1.attn_k.weight.lora_b"] == (32, 4)


def test_permuting_is_undone_by_unpermuting() -> None:
    weight = np.arange(32 * 3).reshape(32, 3)
    assert not np.array_equal(permute(weight, 4), weight)
    assert np.array_equal(unpermute(permute(weight, 4), 4), weight)


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.gguf"
    with written(path, "gpt2"):
        pass
    with pytest.raises(ValueError, match="cannot train the architecture 'gpt2'"):
        load_base(path)


KINDS = {
    "tied": {},
    "untied": {"tied": False},
    "scaled as Llama 3 is": {"rope": [1, 1, 1, 2, 4, 8, 8, 8]},
    "scaled alike": {"linear": 4.0},
    "untied and scaled": {"tied": False, "rope": [1, 1, 1, 2, 4, 8, 8, 8]},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_llama_is_computed_as_llama_cpp_computes_it(
    kind: str, tmp_path: Path
) -> None:
    """Once, what was neither tied nor plain was trained as if it were, and was off by 4 nats."""
    gguf = write_gguf(tmp_path / "kind.gguf", **KINDS[kind])
    ids = [5 + 11 * n % 200 for n in range(60)]
    body = {"prompt": ids, "n_predict": 1, "temperature": 0, "n_probs": 20}
    said = Plain(gguf).post("/completion", body)["completion_probabilities"][0]
    theirs = {one["id"]: one["logprob"] for one in said["top_logprobs"]}
    model = load_base(gguf)
    with torch.no_grad():
        ours = model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
    apart = max(abs(float(ours[token]) - value) for token, value in theirs.items())
    assert apart < 0.03
    # And the trainer's own network is that of transformers, in each of them.
    example = Example(1, tuple(ids), (False,) * 30 + (True,) * 30)
    adapted = with_adapter(model, rank=4, alpha=8, seed=0)
    with torch.no_grad():
        expected = plain_losses(adapted, [example])
        found = Network(adapted, release=True).token_losses(pack([example]))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_tensor_that_no_llama_has_is_not_passed_over(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "odd.gguf")
    path.write_bytes(path.read_bytes().replace(b"blk.1.ffn_norm.weight", b"blk.1.ffn_bias.weight"))
    with pytest.raises(ValueError, match=r"'blk.1.ffn_bias.weight' is no tensor of a Llama"):
        load_base(path)
