"""The GGUF file with which a base is served: the one that came, or one made of its folder.

For: the engine. A folder is converted when it is first asked, in 8 bits, which takes about 20 s
for a billion weights; `python3 -m helpers models add` does it before. Not for: which bases there
are, see `registry`.

    served_gguf(base.gguf)          # there is a file when this returns
    cache_bytes(base.gguf)          # what a token of context takes: 23,040
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

from helpers.backend.bases.families import read_shape
from helpers.base.errors import BackendError
from helpers.base.files import locked
from helpers.base.gguf_header import read_header
from helpers.base.template_tokenizer import folder_of, load

PATIENCE = 1800
"""Seconds that a second program waits for the first to convert."""


def served_gguf(gguf: Path) -> Path:
    """`gguf`, made of its folder if need be.

    Raises `BackendError` for a folder that is gone, `NoSpaceError` for a full disk.
    """
    folder = folder_of(gguf)
    if folder is None or gguf.is_file():
        return gguf
    if not folder.is_dir():
        raise BackendError(f"there is no folder {folder} any more", fix="bring it back")
    # Here: the server needs neither this nor gguf to start.
    from helpers.backend.bases.convert import write_gguf

    lock = gguf.with_name("converting.lock")
    # Looked at again under the lock: the one before may have made it.
    with locked(lock, held=lambda: _slow(folder), seconds=PATIENCE):
        if not gguf.is_file():
            tokenizer = load(folder)
            write_gguf(folder, gguf, template=tokenizer.template.source, end=tokenizer.end_mark)
    return gguf


def _slow(folder: Path) -> BackendError:
    return BackendError(f"another process still converts {folder.name}", fix="try again later")


@functools.lru_cache(maxsize=32)
def cache_bytes(gguf: Path) -> int:
    """Bytes that keys and values of one token take in 16 bits."""
    if folder := folder_of(gguf):
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return read_shape(config).cache_bytes
    header = read_header(gguf)
    name = header["general.architecture"]
    heads = int(header[f"{name}.attention.head_count"])
    width = int(header[f"{name}.embedding_length"]) // heads
    width = int(header.get(f"{name}.attention.key_length", width))
    groups = int(header.get(f"{name}.attention.head_count_kv", heads))
    # As `ModelShape.cache_bytes`.
    return 2 * 2 * int(header[f"{name}.block_count"]) * groups * width
