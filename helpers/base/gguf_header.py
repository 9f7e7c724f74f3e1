"""Read the metadata at the head of a GGUF file: sizes, names, vocabulary.

For: what the server and the tokenizer must know before a model is loaded. Not for:
tensors; `gguf.GGUFReader` reads those, and takes seconds for a vocabulary alone.

    read_header(Path("model.gguf"))["llama.context_length"]      # 8192
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

from helpers.base.errors import SetupError

STRING, ARRAY = 8, 9
FORMATS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q",
    12: "<d",
}  # fmt: skip
"""Type numbers of single values, as in the GGUF specification (ggml, docs/gguf.md)."""


def read_header(path: Path) -> dict[str, Any]:
    """All metadata by key; arrays are lists. About 0.1 s for a vocabulary of 49,000.

    Raises `SetupError` if the file is not GGUF of version 2 or 3, or ends early.
    """
    try:
        with path.open("rb") as file:
            magic, version = file.read(4), _number(file, "<I")
            if magic != b"GGUF" or version not in (2, 3):
                raise SetupError(f"{path.name} is not a GGUF file", fix="give a file of version 3")
            file.seek(8, 1)  # number of tensors
            return dict(_pair(file) for _ in range(_number(file, "<Q")))
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error}", fix="check the path") from error
    except (EOFError, UnicodeDecodeError, KeyError, MemoryError, OverflowError) as error:
        raise SetupError(f"{path.name} is damaged: {error}", fix="get the file again") from error


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
