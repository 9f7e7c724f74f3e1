"""Read the weights of a Hugging Face folder one at a time, without PyTorch.

For: looking whether a folder is whole, and converting it. Not for: training, for which
transformers reads it.

    weights = FolderWeights(folder)
    weights["model.norm.weight"]      # float32, whatever it is stored as
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from helpers.base.errors import BackendError

ONE, INDEX = "model.safetensors", "model.safetensors.index.json"
TYPES: dict[str, type[np.generic]] = {
    "F32": np.float32,
    "F16": np.float16,
    "BF16": np.uint16,
}
"""Of the stored numbers; numpy has no bfloat16, which is the upper half of a float32."""


class FolderWeights:
    """The tensors of a folder by name. Raises `BackendError` if a part is missing."""

    def __init__(self, folder: Path) -> None:
        self._tensors: dict[str, Any] = {}
        self.files: dict[str, list[str]] = {}
        """The names of the tensors in each file."""
        for name in _files(folder):
            path = folder / name
            if not path.is_file():
                raise BackendError(f"lacks {name}", fix="get the folder again, to its end")
            found = _tensors(path)
            self.files[name] = list(found)
            self._tensors |= found

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._tensors[name].shape)

    def stored_as(self, name: str) -> str:
        """How the numbers of one tensor are stored, such as BF16."""
        return str(self._tensors[name].dtype)

    @property
    def types(self) -> set[str]:
        """How the numbers are stored, such as BF16."""
        return {tensor.dtype for tensor in self._tensors.values()}

    def __getitem__(self, name: str) -> np.ndarray:
        """One tensor in float32."""
        return _values(self._tensors[name])


def _values(tensor: Any) -> np.ndarray:
    # Mapped, not read: only what is used comes into memory.
    raw = tensor.mmap_bytes().view(TYPES[tensor.dtype]).reshape(tensor.shape)
    if tensor.dtype == "BF16":
        wide = raw.astype(np.uint32) << np.uint32(16)
        return np.asarray(wide.view(np.float32))
    return np.asarray(raw, dtype=np.float32)


def read_file(path: Path) -> dict[str, np.ndarray]:
    """All tensors of one file in float32: for a small one, such as an adapter's.

    Raises `BackendError` for a damaged file.
    """
    return {name: _values(tensor) for name, tensor in _tensors(path).items()}


class StoredTensor(NamedTuple):
    """One tensor of a file that is written."""

    name: str
    type: str
    """`F32`, `F16` or `BF16`."""
    shape: tuple[int, ...]


def write_file(
    stream: BinaryIO, tensors: Sequence[StoredTensor], values: Callable[[str], np.ndarray]
) -> None:
    """Write a .safetensors whose values are asked for one tensor after the other.

    The library of that name wants all of them in memory at once.
    """
    head: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for one in tensors:
        size = math.prod(one.shape) * np.dtype(TYPES[one.type]).itemsize
        head[one.name] = {
            "dtype": one.type,
            "shape": list(one.shape),
            "data_offsets": [end, end + size],
        }
        end += size
    text = json.dumps(head).encode()
    # The format wants the numbers behind the head to begin at a multiple of eight.
    text += b" " * (-len(text) % 8)
    stream.write(len(text).to_bytes(8, "little") + text)
    for one in tensors:
        stream.write(_stored(values(one.name), one.type).tobytes())


def _stored(values: np.ndarray, kind: str) -> np.ndarray:
    if kind != "BF16":
        return values.astype(TYPES[kind])
    # The upper half of the float32 that is nearest, ties to even.
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (rounded >> np.uint32(16)).astype(np.uint16)


def _files(folder: Path) -> list[str]:
    if (folder / INDEX).is_file():
        try:
            index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
            return sorted(set(index["weight_map"].values()))
        except (ValueError, KeyError, AttributeError) as error:
            raise BackendError(
                f"has a damaged {INDEX}: {error}", fix="get the folder again"
            ) from error
    if not (folder / ONE).is_file():
        if any(folder.glob("*.bin")) or any(folder.glob("*.pth")):
            raise BackendError(
                "holds pickled weights, which may run code when they are read",
                fix="take a release with .safetensors, or save it anew with transformers",
            )
        raise BackendError(f"lacks {ONE}", fix="get the folder again, to its end")
    return [ONE]


def _tensors(path: Path) -> dict[str, Any]:
    from gguf.utility import SafetensorsLocal

    try:
        tensors: dict[str, Any] = SafetensorsLocal(path).tensors
    except (ValueError, KeyError, TypeError) as error:
        raise BackendError(f"has a damaged {path.name}", fix="get it again") from error
    # A download that ended early still has its whole head, which tells what should follow.
    places = (tensor.data_range for tensor in tensors.values())
    missing = max((place.offset + place.size for place in places), default=0) - path.stat().st_size
    if missing > 0:
        raise BackendError(
            f"has a {path.name} that ends {missing:,} bytes early", fix="get it again, to its end"
        )
    return tensors
