from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.backend.inference.models import base_models
from helpers.base import settings as settings_module
from helpers.base.errors import BackendError, SetupError
from helpers.base.settings import BASE_MODEL, Settings


def test_the_course_model_is_there_with_its_context(settings: Settings) -> None:
    model = base_models(settings)[BASE_MODEL]
    assert model.context == 8192
    assert model.served().adapter is None
    assert model.created > 1_600_000_000


def test_models_in_the_extra_folder_are_found_by_file_name(
    settings: Settings, tmp_path: Path
) -> None:
    gguf = settings_module.base_gguf()
    assert gguf is not None
    shutil.copy(gguf, tmp_path / "My-Model.gguf")
    found = base_models(replace(settings, extra_models=tmp_path))
    assert set(found) == {BASE_MODEL, "my-model"}
    assert found["my-model"].gguf == tmp_path / "My-Model.gguf"


def test_a_folder_that_is_not_there_is_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="WORKBOOK_MODELS"):
        base_models(replace(settings, extra_models=tmp_path / "none"))


def test_a_damaged_extra_model_is_named(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF\x03\x00\x00\x00")
    with pytest.raises(SetupError, match=r"broken\.gguf"):
        base_models(replace(settings, extra_models=tmp_path))


def test_a_missing_course_model_says_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_module, "base_gguf", lambda: None)
    with pytest.raises(BackendError, match="doctor"):
        base_models(settings)
