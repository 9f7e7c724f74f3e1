"""The base model as it is served: the same model to rounding, whole or not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.backend.inference import pool, quantize
from helpers.backend.storage.gguf_files import requantize, written
from helpers.base import settings


def tiny(path: Path, matrix: np.ndarray) -> Path:
    """A GGUF with one matrix in 4 bits, one vector, and values of three kinds."""
    from gguf import GGMLQuantizationType

    with written(path, "llama") as writer:
        writer.add_context_length(64)
        writer.add_token_list(["a", "b"])
        writer.add_rope_freq_base(10000.0)
        blocks = matrix.reshape(-1, 32)
        low = blocks.min(1, keepdims=True)
        step = (blocks.max(1, keepdims=True) - low) / 15
        levels = np.rint((blocks - low) / step).astype(np.uint8)
        packed = levels[:, :16] | (levels[:, 16:] << 4)
        head = np.concatenate([step, low], axis=1).astype(np.float16).view(np.uint8)
        data = np.concatenate([head, packed], axis=1).reshape(len(matrix), -1)
        writer.add_tensor("blk.0.attn_q.weight", data, raw_dtype=GGMLQuantizationType.Q4_1)
        writer.add_tensor("output_norm.weight", np.ones(4, dtype=np.float32))
    return path


def test_the_values_stay_and_so_does_everything_else(tmp_path: Path) -> None:
    from gguf import GGUFReader, dequantize

    matrix = np.random.default_rng(0).normal(size=(8, 64)).astype(np.float32)
    source = tiny(tmp_path / "small.gguf", matrix)
    requantize(source, tmp_path / "served.gguf")
    before, after = GGUFReader(source), GGUFReader(tmp_path / "served.gguf")
    for name in ("llama.context_length", "tokenizer.ggml.tokens", "llama.rope.freq_base"):
        assert before.fields[name].contents() == after.fields[name].contents()
    old, new = before.tensors, after.tensors
    assert [t.name for t in old] == [t.name for t in new]
    assert [t.tensor_type.name for t in new] == ["Q8_0", "F32"]
    values = [dequantize(t.data, t.tensor_type) for t in (old[0], new[0])]
    assert np.abs(values[0] - values[1]).max() < np.abs(values[0]).max() / 200
    assert (old[1].data == new[1].data).all()


def test_an_interrupted_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "share" / "served.gguf"
    monkeypatch.setattr(quantize, "served_gguf", lambda: target)

    def killed(source: Path, partial: Path) -> None:
        partial.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(quantize, "requantize", killed)
    with pytest.raises(KeyboardInterrupt):
        quantize.write()
    assert list(target.parent.iterdir()) == []


def test_only_the_courses_model_is_replaced(tmp_path: Path) -> None:
    own = settings.base_gguf()
    assert own is not None
    assert pool.served_weights(own) == settings.served_gguf()
    assert pool.served_weights(tmp_path / "other.gguf") == tmp_path / "other.gguf"
