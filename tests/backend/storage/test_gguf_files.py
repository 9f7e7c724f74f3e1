"""Weights come out of a GGUF file as the format's own library reads them."""

from __future__ import annotations

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, quants

from helpers.backend.storage import gguf_files
from helpers.backend.storage.gguf_files import WeightReader, dequantized, read_llama, written


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0", "Q4_0", "Q4_1", "Q5_1"])
def test_a_tensor_is_read_as_the_library_reads_it(tmp_path, kind):
    stored = GGMLQuantizationType[kind]
    draw = np.random.default_rng(0)
    whole = {"matrix": draw.standard_normal((6, 96)), "vector": draw.standard_normal(64)}
    with written(tmp_path / "one.gguf", "llama") as writer:
        for name, values in whole.items():
            data = quants.quantize(values.astype(np.float32), stored)
            writer.add_tensor(name, data, raw_dtype=stored)
    for tensor in GGUFReader(tmp_path / "one.gguf").tensors:
        found = dequantized(tensor)
        assert found.shape == whole[tensor.name].shape
        assert np.array_equal(found, quants.dequantize(tensor.data, stored))


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0"])
def test_weights_are_apart_from_the_file_and_copied_only_for_that(tmp_path, kind, monkeypatch):
    stored = GGMLQuantizationType[kind]
    draw = np.random.default_rng(0)
    names = ["token_embd", "blk.0.attn_q", "blk.0.ffn_up", "output_norm"]
    with written(tmp_path / "one.gguf", "llama") as writer:
        for name in names:
            data = quants.quantize(draw.standard_normal((6, 96)).astype(np.float32), stored)
            writer.add_tensor(f"{name}.weight", data, raw_dtype=stored)
    made = []

    def kept(tensor):
        made.append(dequantized(tensor))
        return made[-1]

    monkeypatch.setattr(gguf_files, "dequantized", kept)
    reader = WeightReader(tmp_path / "one.gguf")
    for name, values in read_llama(reader, heads=1, groups=1):
        assert (values.dtype, values.shape) == (np.float32, (6, 96))
        assert values.flags.c_contiguous
        assert values.flags.writeable
        assert not np.shares_memory(values, reader.data)
        if "q_proj" not in name:
            assert np.array_equal(values, made[-1])
            assert np.shares_memory(values, made[-1]) is (kind != "F32")
    assert len(made) == len(names)
