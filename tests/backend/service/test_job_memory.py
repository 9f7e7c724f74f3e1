"""A job that would not fit is refused before it starts, with what would."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from helpers.backend import service as service_module
from helpers.backend.bases import memory
from helpers.backend.bases.memory import shape_of
from helpers.backend.protocol.errors import ApiError
from helpers.backend.service import Service, training
from helpers.backend.service.files import MAX_TRAINING_TOKENS, longest_example
from helpers.backend.service.job_memory import fit, needed
from helpers.backend.service.training import Training
from helpers.backend.training.spec import TrainSpec
from helpers.base import settings as settings_module
from helpers.datasets.validation.report import TokenLengths
from tests.backend.bases.plain_folder import write_plain

SHORT, LONG = TokenLengths({40: 100}), TokenLengths({40: 99, 2048: 1})


@pytest.fixture
def spec() -> TrainSpec:
    return TrainSpec(base_gguf=str(settings_module.base_gguf()), training_file="t.jsonl")


def test_the_shape_of_a_gguf_is_the_models(spec):
    shape = shape_of(settings_module.base_gguf())
    assert (shape.layers, shape.width, shape.vocabulary) == (30, 576, 49_152)
    assert 130e6 < shape.parameters < 140e6
    assert shape.tied


def test_longer_examples_and_larger_batches_take_more_and_recomputing_less(spec):
    short = needed(spec, SHORT)
    assert 1.5e9 < short < 4e9
    assert needed(replace(spec, batch_size=4), SHORT) < short < needed(spec, LONG)
    assert needed(replace(spec, recompute=True), LONG) < 0.7 * needed(spec, LONG)
    # More than a pass holds is done in parts.
    assert needed(replace(spec, batch_size=64), SHORT) == needed(
        replace(spec, batch_size=640), SHORT
    )


def test_one_long_example_takes_more_than_short_ones_of_as_many_tokens(spec):
    shape = shape_of(settings_module.base_gguf())
    short, long = (
        memory.training_bytes(shape, rows=2048, longest=n, targets=9) for n in (64, 2048)
    )
    # The attention of nine heads, at least once forward and once back.
    assert long - short > 2 * 4 * 9 * 2048**2


def test_the_estimate_knows_the_trainers_own_numbers():
    from helpers.backend.training import kernels, networks

    assert memory.FAST_KINDS == networks.FAST_KINDS
    assert memory.TARGETS_AT_ONCE == kernels.TARGETS_AT_ONCE
    assert memory.KEPT_PROBS == kernels.KEPT_PROBS


def test_what_fits_stays_and_what_is_tight_works_activations_out_twice(spec):
    free = needed(spec, LONG)
    assert fit(spec, LONG, free=free) == spec
    assert fit(spec, LONG, free=free - 1) == replace(spec, recompute=True)


def test_in_four_bits_a_job_takes_less_and_is_refused_without_the_package(
    spec, settings, monkeypatch
):
    packed = replace(spec, four_bit=True)
    assert needed(packed, SHORT) < needed(spec, SHORT)
    data = SimpleNamespace(training=SimpleNamespace(report=SimpleNamespace(tokens=SHORT)))
    monkeypatch.setattr(training, "has_four_bits", lambda: False)
    with pytest.raises(ApiError, match=r"WORKBOOK_4BIT is set.*bitsandbytes\. Remedy: install it"):
        Training(settings, None, None, None, None)._fitted(packed, data)
    # A cluster's nodes have packages of their own.
    elsewhere = replace(settings, executor="ray://head:8265")
    assert Training(elsewhere, None, None, None, None)._fitted(packed, data) == (packed, [])


def test_what_does_not_fit_is_refused_with_what_would(spec):
    large = replace(spec, batch_size=24)
    least = needed(replace(large, batch_size=3, recompute=True), SHORT)
    with pytest.raises(ApiError, match="set batch_size to 3, or take a smaller base") as caught:
        fit(large, SHORT, free=least)
    assert f"and {least / 1e9:.1f} GB are free" in str(caught.value)
    assert caught.value.body["error"]["code"] == "insufficient_memory"
    with pytest.raises(ApiError, match="Remedy: take a smaller base"):
        fit(spec, SHORT, free=10**8)


def test_an_example_may_be_as_long_as_its_base_takes(tmp_path):
    import json

    folder = write_plain(tmp_path / "tiny")
    (tmp_path / "base.json").write_text(json.dumps({"folder": str(folder)}))
    assert longest_example(tmp_path / "model.gguf") == 512
    assert longest_example(settings_module.base_gguf()) == MAX_TRAINING_TOKENS


def test_models_at_rest_are_let_go_before_a_job_is_refused(spec, monkeypatch, settings):
    need = needed(spec, SHORT)
    free = {"bytes": need - 1}
    monkeypatch.setattr(
        training.psutil, "virtual_memory", lambda: SimpleNamespace(available=free["bytes"])
    )
    monkeypatch.setattr(Training, "_held", lambda self: 0)
    models = SimpleNamespace(rest=lambda: free.update(bytes=need))
    data = SimpleNamespace(training=SimpleNamespace(report=SimpleNamespace(tokens=SHORT)))
    jobs = Training(settings, None, models, None, None)
    assert jobs._fitted(spec, data) == (spec, [])
    assert free["bytes"] == need


@pytest.mark.parametrize(
    ("training_now", "free", "rested"), [(True, 8, []), (True, 2, [0]), (False, 2, [])]
)
def test_a_trainer_gets_the_memory_of_models_at_rest_where_it_is_short(
    monkeypatch, training_now, free, rested
):
    told, calls = [], []
    engine = SimpleNamespace(share_cores=told.append, rest=calls.append)
    monkeypatch.setattr(
        service_module.psutil, "virtual_memory", lambda: SimpleNamespace(available=free << 30)
    )
    Service._make_way(SimpleNamespace(engine=engine), training_now)
    assert (told, calls) == ([training_now], rested)
