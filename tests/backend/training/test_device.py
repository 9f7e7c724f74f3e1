"""Which precision a job computes in: the faster one, and the same after a pause."""

from __future__ import annotations

import pytest
import torch

from helpers.backend.training import device

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("native", "gain", "dtype"),
    [
        (True, 2.0, torch.bfloat16),
        (True, 0.6, torch.float32),
        (True, 1.1, torch.float32),
        (False, 2.0, torch.float32),
    ],
)
def test_bfloat16_is_taken_where_it_is_clearly_faster(monkeypatch, native, gain, dtype):
    monkeypatch.setattr(device, "multiplies_bfloat16", lambda place: native)
    monkeypatch.setattr(device, "_gain", lambda: gain)
    assert device.choose_precision("auto", CPU) == dtype


def test_a_resumed_job_computes_as_it_began(monkeypatch, tmp_path):
    monkeypatch.setattr(device, "multiplies_bfloat16", lambda place: True)
    monkeypatch.setattr(device, "_gain", lambda: 2.0)
    assert device.job_precision(tmp_path, "auto", CPU) == torch.bfloat16
    monkeypatch.setattr(device, "_gain", lambda: 0.5)
    assert device.job_precision(tmp_path, "auto", CPU) == torch.bfloat16
    assert device.job_precision(tmp_path / "other", "auto", CPU) == torch.float32


def test_the_gain_is_measured():
    assert 0.05 < device._gain() < 50
