from __future__ import annotations

from pathlib import Path

import pytest

from helpers.base import settings as settings_module
from helpers.base.errors import SetupError
from helpers.base.gguf_header import read_header


@pytest.fixture
def small(tmp_path: Path) -> Path:
    from gguf import GGUFWriter

    path = tmp_path / "small.gguf"
    writer = GGUFWriter(str(path), "llama")
    writer.add_name("ü")
    writer.add_context_length(77)
    writer.add_layer_norm_rms_eps(0.5)
    writer.add_causal_attention(False)
    writer.add_token_list(["a", "b"])
    writer.add_token_types([1, 3])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def test_values_of_every_kind_are_read(small: Path) -> None:
    header = read_header(small)
    assert header["general.architecture"] == "llama"
    assert header["general.name"] == "ü"
    assert header["llama.context_length"] == 77
    assert header["llama.attention.layer_norm_rms_epsilon"] == 0.5
    assert header["llama.attention.causal"] is False
    assert header["tokenizer.ggml.tokens"] == ["a", "b"]
    assert header["tokenizer.ggml.token_type"] == [1, 3]


def test_the_base_model_says_its_sizes() -> None:
    gguf = settings_module.base_gguf()
    assert gguf is not None
    header = read_header(gguf)
    assert header["llama.block_count"] == 30
    assert len(header["tokenizer.ggml.tokens"]) == header["llama.vocab_size"] == 49152


def test_a_file_cut_short_is_refused_at_every_length(small: Path) -> None:
    whole = small.read_bytes()
    for length in range(len(whole) - 1):
        small.write_bytes(whole[:length])
        with pytest.raises(SetupError):
            read_header(small)


def test_random_lengths_inside_are_refused(small: Path) -> None:
    data = bytearray(small.read_bytes())
    data[24:32] = b"\xff" * 8
    small.write_bytes(data)
    with pytest.raises(SetupError, match="damaged"):
        read_header(small)


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"PK\x03\x04" * 20)
    with pytest.raises(SetupError, match="not a GGUF file"):
        read_header(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        read_header(tmp_path / "none.gguf")
