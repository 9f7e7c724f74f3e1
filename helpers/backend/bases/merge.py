"""Add an adapter to the weights of its base: one model that needs nothing beside it.

For: exports to programs that load no adapters. One tensor is worked on at a time, without
PyTorch. Not for: serving here, where adapters stay apart and share their base.

    write_merged(base_folder, peft_folder, Path("merged"))      # a Hugging Face folder
    write_gguf(Path("merged"), Path("merged.gguf"), template=..., end=...)
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from helpers.backend.bases.weights import FolderWeights, StoredTensor, read_file, write_file
from helpers.base.errors import BackendError
from helpers.base.files import atomic, atomic_folder

PREFIX, A, B = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
BESIDE = ("*.json", "*.jinja", "LICENSE*", "NOTICE*", "tokenizer.model")
"""What else a folder needs, besides its weights."""


def write_merged(folder: Path, adapter: Path, target: Path) -> Path:
    """The base of `folder` with the product of a PEFT folder's matrices, in the base's numbers.

    `target` is there whole or not at all. Raises `BackendError` for an adapter of another base.
    """
    weights, products = FolderWeights(folder), _Products(adapter)
    if other := sorted(products.names - set(weights)):
        raise BackendError(
            f"the adapter changes {other[0]!r}, which {folder.name} does not have",
            fix="merge it with the base that it was trained on",
        )
    with atomic_folder(target) as partial:
        for form in BESIDE:
            for path in folder.glob(form):
                shutil.copyfile(path, partial / path.name)
        for name, tensors in weights.files.items():
            known = [
                StoredTensor(one, weights.stored_as(one), weights.shape(one)) for one in tensors
            ]
            # A file of the base becomes a file of the same name, so the index of the parts stays
            # true.
            with atomic(partial / name) as stream:
                write_file(stream, known, lambda one: products.added_to(one, weights[one]))
    return target


class _Products:
    """What an adapter adds to each weight."""

    def __init__(self, adapter: Path) -> None:
        config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
        self._scale = float(config["lora_alpha"]) / int(config["r"])
        self._matrices = read_file(adapter / "adapter_model.safetensors")

    @property
    def names(self) -> set[str]:
        """The weights that change."""
        found = {name for name in self._matrices if name.endswith(A)}
        return {f"{name.removeprefix(PREFIX).removesuffix(A)}.weight" for name in found}

    def added_to(self, name: str, weight: np.ndarray) -> np.ndarray:
        inside = PREFIX + name.removesuffix(".weight")
        if f"{inside}{A}" not in self._matrices:
            return weight
        a, b = self._matrices[f"{inside}{A}"], self._matrices[f"{inside}{B}"]
        return np.asarray(weight + self._scale * (b @ a), dtype=np.float32)
