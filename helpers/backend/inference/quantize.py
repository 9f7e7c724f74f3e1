"""The base model's weights in the form that is answered from.

For: set-up, which writes the file once, and the pool, which loads it. The model's package
holds 4 bits with an offset (Q4_1), for which llama.cpp has no fast product on a CPU. The
same values in 8 bits (Q8_0) take half as much memory again and read prompts 1.5 times as
fast; by construction a value moves by about 1/250 of the largest of its 32 at most. Not
for: training, which reads the package's file, and models of the learner's own, which are
served as they are.

    python -m helpers.backend.inference.quantize        # writes the file; 5 s
"""

from __future__ import annotations

from pathlib import Path

from helpers.backend.storage.gguf_files import requantize
from helpers.base.files import atomic_path
from helpers.base.settings import base_gguf, served_gguf


def write() -> Path:
    """Write the file if it is not there. It is there whole or not at all."""
    source, target = base_gguf(), served_gguf()
    if source is None:
        raise FileNotFoundError("the base model is not installed")
    if not target.is_file():
        with atomic_path(target) as partial:
            requantize(source, partial)
    return target


if __name__ == "__main__":
    write()
