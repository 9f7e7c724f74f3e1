"""Read the metadata at the head of a GGUF file: sizes, names, vocabulary.

For: what the server and the tokenizer must know before a model is loaded. Not for: the values
of tensors; `gguf.GGUFReader` reads those, and takes seconds for a vocabulary alone.

    read_header(Path("model.gguf"))["llama.context_length"]      # 8192
    "output.weight" in read_index(Path("model.gguf")).tensors      # False: tied
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from helpers.base.errors import SetupError

STRING, ARRAY = 8, 9
ALIGNMENT = 32
"""Bytes: where a file names no other, tensors start at a multiple of it."""
FORMATS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q",
    12: "<d",
}  # fmt: skip
"""Type numbers of single values, as in the GGUF specification (ggml, docs/gguf.md)."""


class TensorPlace(NamedTuple):
    """One tensor of a file."""

    shape: tuple[int, ...]
    """The fastest dimension first, as llama.cpp counts."""
    kind: int
    """How its values are stored, a `gguf.GGMLQuantizationType`."""
    offset: int
    """Bytes behind the start of all tensors."""


class GGUFIndex(NamedTuple):
    """All of a file but the values of its tensors."""

    header: dict[str, Any]
    tensors: dict[str, TensorPlace]
    start: int
    """Place in the file where the tensors start."""


def read_header(path: Path) -> dict[str, Any]:
    """All metadata by key; arrays are lists. About 0.1 s for a vocabulary of 49,000.

    Raises `SetupError` if the file is not GGUF of version 2 or 3, or ends early.
    """
    return _read(path, tensors=False).header


def read_index(path: Path) -> GGUFIndex:
    """Metadata, and where each tensor stands. Raises as `read_header` does."""
    return _read(path, tensors=True)


def _read(path: Path, *, tensors: bool) -> GGUFIndex:
    try:
        with path.open("rb") as file:
            magic, version = file.read(4), _number(file, "<I")
            if magic != b"GGUF" or version not in (2, 3):
                raise SetupError(f"{path.name} is not a GGUF file", fix="give a file of version 3")
            count, pairs = _number(file, "<Q"), _number(file, "<Q")
            header = dict(_pair(file) for _ in range(pairs))
            index = dict(_tensor(file) for _ in range(count if tensors else 0))
            # The head ends where it ends; tensors begin at the next multiple behind it.
            step = int(header.get("general.alignment", ALIGNMENT))
            return GGUFIndex(header, index, -(-file.tell() // step) * step)
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error}", fix="check the path") from error
    except (EOFError, ValueError, KeyError, MemoryError, OverflowError, TypeError) as error:
        raise SetupError(f"{path.name} is damaged: {error}", fix="get the file again") from error


def _tensor(file: BinaryIO) -> tuple[str, TensorPlace]:
    name = _text(file)
    shape = tuple(_number(file, "<Q") for _ in range(_number(file, "<I")))
    return name, TensorPlace(shape, _number(file, "<I"), _number(file, "<Q"))


def _pair(file: BinaryIO) -> tuple[str, Any]:
    key = _text(file)
    return key, _value(file, _number(file, "<I"))


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == STRING:
        return _text(file)
    if kind == ARRAY:
        inner, length = _number(file, "<I"), _number(file, "<Q")
        if inner in FORMATS:
            form = f"<{length}{FORMATS[inner][1]}"
            # At once: a vocabulary has tens of thousands of numbers.
            return list(struct.unpack(form, _bytes(file, struct.calcsize(form))))
        return [_value(file, inner) for _ in range(length)]
    return _number(file, FORMATS[kind])


def _text(file: BinaryIO) -> str:
    return _bytes(file, _number(file, "<Q")).decode("utf-8")


def _number(file: BinaryIO, form: str) -> Any:
    (value,) = struct.unpack(form, _bytes(file, struct.calcsize(form)))
    return value


def _bytes(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise EOFError("it ends early")
    return data
