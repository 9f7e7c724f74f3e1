"""Which bases there are: one that cannot be used is named with its reason and hides no other."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter

from helpers.backend.bases.memory import shape_of
from helpers.backend.bases.registry import find, look_at
from helpers.backend.bases.served import cache_bytes, served_gguf
from helpers.backend.storage.gguf_files import written
from helpers.base import settings as settings_module
from helpers.base.errors import BackendError
from helpers.base.gguf_header import read_header
from helpers.base.settings import BASE_MODEL, Settings
from helpers.base.template_tokenizer import folder_of, load
from tests.backend.bases.plain_folder import write_plain
from tests.backend.bases.tiny_families import CHATML as CHATML_NOW


def test_the_course_model_is_there_with_its_context(settings: Settings) -> None:
    model = find(settings).fit[BASE_MODEL]
    assert model.context == 8192
    assert model.created > 1_600_000_000


def test_models_in_the_extra_folder_are_found_by_file_name(
    settings: Settings, tmp_path: Path
) -> None:
    gguf = settings_module.base_gguf()
    assert gguf is not None
    shutil.copy(gguf, tmp_path / "My-Model.gguf")
    found = find(replace(settings, extra_models=tmp_path))
    assert set(found.fit) == {BASE_MODEL, "my-model"}
    assert found.fit["my-model"].gguf == tmp_path / "My-Model.gguf"


def test_a_folder_that_is_not_there_is_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="WORKBOOK_MODELS"):
        find(replace(settings, extra_models=tmp_path / "none"))


def test_a_missing_course_model_says_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_module, "base_gguf", lambda: None)
    with pytest.raises(BackendError, match="doctor"):
        find(settings)


def test_an_unfit_file_hides_no_other_and_says_why(settings: Settings, tmp_path: Path) -> None:
    gguf = settings_module.base_gguf()
    assert gguf is not None
    whole = gguf.read_bytes()
    (tmp_path / "good.gguf").symlink_to(gguf)
    (tmp_path / "half.gguf").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "head.gguf").write_bytes(whole[:1000])
    (tmp_path / f"{BASE_MODEL}.gguf").symlink_to(gguf)
    found = find(replace(settings, extra_models=tmp_path))
    assert set(found.fit) == {BASE_MODEL, "good"}
    reasons = {name: one.reason for name, one in found.unfit.items()}
    assert set(reasons) == {"half", "head", f"{BASE_MODEL} ({BASE_MODEL}.gguf)"}
    assert f"ends {len(whole) - len(whole) // 2:,} bytes early" in reasons["half"]
    assert "head.gguf is damaged" in reasons["head"]


CHATML = "<|im_start|>"


def chat(writer: GGUFWriter) -> None:
    writer.add_tokenizer_pre("smollm")
    writer.add_chat_template(CHATML)


KINDS: dict[str, tuple[str, Callable[[GGUFWriter], None], str]] = {
    "an adapter": ("llama", lambda w: w.add_type("adapter"), "is an adapter and no base"),
    "an encoder": ("nomic-bert", lambda w: None, "makes embeddings"),
    "another family": ("qwen3", lambda w: None, "architecture 'qwen3'.*Hugging Face folder"),
    "experts": ("llama", lambda w: w.add_expert_count(8), "mixture of experts"),
    "no chat": ("llama", lambda w: w.add_tokenizer_pre("smollm"), "no chat template"),
    "other vocabulary": (
        "llama",
        lambda w: (w.add_tokenizer_pre("qwen2"), w.add_chat_template(CHATML))[0],
        "vocabulary of the kind 'qwen2'",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_unfit_file_is_refused_by_name(
    kind: str, tmp_path: Path, settings: Settings
) -> None:
    architecture, fill, message = KINDS[kind]
    path = tmp_path / "model.gguf"
    with written(path, architecture) as writer:
        fill(writer)
    with pytest.raises(BackendError, match=rf"model\.gguf {message}|model\.gguf .*{message}"):
        look_at("model", path, settings)


def test_what_calls_itself_llama_but_is_computed_otherwise_is_refused(
    tmp_path: Path, settings: Settings
) -> None:
    import numpy as np

    path = tmp_path / "model.gguf"
    with written(path, "llama") as writer:
        chat(writer)
        writer.add_tensor("blk.0.attn_q.bias", np.ones(4, dtype=np.float32))
    with pytest.raises(BackendError, match=r"holds 'blk\.0\.attn_q\.bias'"):
        look_at("model", path, settings)
    with written(path, "llama") as writer:
        chat(writer)
        writer.add_string("llama.rope.scaling.type", "yarn")
    with pytest.raises(BackendError, match="scales its positions by 'yarn'"):
        look_at("model", path, settings)


def test_a_folder_is_found_beside_files_and_an_unfit_one_hides_neither(
    settings: Settings, tmp_path: Path
) -> None:
    gguf = settings_module.base_gguf()
    assert gguf is not None
    place = tmp_path / "models"
    folder = write_plain(place / "Tiny Qwen")
    (place / "good.gguf").symlink_to(gguf)
    (place / "notes").mkdir()
    write_plain(place / "broken").joinpath("tokenizer.json").unlink()
    found = find(replace(settings, extra_models=place))
    assert set(found.fit) == {BASE_MODEL, "good", "tiny-qwen"}
    assert set(found.unfit) == {"broken"}
    tiny = found.fit["tiny-qwen"]
    assert (tiny.folder, tiny.family, tiny.context, tiny.licence) == (
        folder, "Qwen3", 512, "apache-2.0",
    )  # fmt: skip
    assert folder_of(tiny.gguf) == folder
    alone = find(replace(settings, extra_models=folder))
    assert set(alone.fit) == {BASE_MODEL, "tiny-qwen"}


def test_a_folder_that_was_changed_is_another_base_and_is_looked_at_anew(
    settings: Settings, tmp_path: Path
) -> None:
    folder = write_plain(tmp_path / "tiny")
    config = replace(settings, extra_models=folder)
    before = find(config).fit["tiny"]
    assert find(config).fit["tiny"] == before
    (folder / "model.safetensors").write_bytes(b"")
    assert "damaged" in find(config).unfit["tiny"].reason
    shutil.rmtree(folder)
    write_plain(folder, rope_theta=5000.0)
    assert find(config).fit["tiny"].gguf != before.gguf


def test_the_served_file_is_made_of_the_folder_once(settings: Settings, tmp_path: Path) -> None:
    base = find(replace(settings, extra_models=write_plain(tmp_path / "tiny"))).fit["tiny"]
    assert not base.gguf.exists()
    made = served_gguf(base.gguf)
    header = read_header(made)
    assert header["general.architecture"] == "qwen3"
    assert "<|im_start|>" in header["tokenizer.chat_template"]
    before = made.stat().st_mtime_ns
    assert served_gguf(base.gguf).stat().st_mtime_ns == before
    assert cache_bytes(base.gguf) == 2 * 2 * 2 * 2 * 32
    own = settings_module.base_gguf()
    assert own is not None
    assert served_gguf(own) == own
    assert cache_bytes(own) == 23_040


def test_a_gguf_is_measured_by_what_stands_in_it(tmp_path: Path) -> None:
    with written(tmp_path / "wide.gguf", "llama") as writer:
        writer.add_block_count(2)
        writer.add_context_length(256)
        writer.add_embedding_length(64)
        writer.add_feed_forward_length(96)
        writer.add_head_count(4)
        writer.add_key_length(32)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_token_list(["a"] * 10)
        writer.add_tensor("output.weight", np.zeros((10, 64), np.float32))
    shape = shape_of(tmp_path / "wide.gguf")
    assert (shape.head_width, shape.tied) == (32, False)
    assert cache_bytes(tmp_path / "wide.gguf") == shape.cache_bytes == 2 * 2 * 2 * 4 * 32


def test_the_same_tokens_under_another_template_are_another_vocabulary(tmp_path: Path) -> None:
    """Else a file that was prepared for one base would be taken for the other."""
    one, two = (write_plain(tmp_path / name) for name in ("one", "two"))
    other = write_plain(tmp_path / "other", template=CHATML_NOW + "<|im_end|>")
    assert load(one).vocabulary_id == load(two).vocabulary_id != load(other).vocabulary_id
