"""What the server's process has loaded, seen from outside."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest

from helpers.base import settings as settings_module


def mapped_files() -> set[str]:
    """Names of the files in the memory of the shared server; its tests are skipped on macOS."""
    known = json.loads((settings_module.load().state / "server.json").read_text(encoding="utf-8"))
    process = psutil.Process(known["pid"])
    if not hasattr(process, "memory_maps"):
        pytest.skip("this system does not say what a process has mapped")
    return {Path(one.path).name for one in process.memory_maps()}


def assert_no_pytorch() -> None:
    """llama.cpp is there, so its absence from the list would be seen; PyTorch is not."""
    files = mapped_files()
    assert any("xllamacpp" in name for name in files), files
    assert not [name for name in files if "torch" in name]
