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


def requantize(source: Path, target: Path) -> None:
    """Copy a GGUF, each Q4_1 matrix as Q8_0, all else as it is."""
    from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, quants

    reader = GGUFReader(source)
    writer = GGUFWriter(str(target), reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        # The writer sets these itself.
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, inner)
    for tensor in reader.tensors:
        data, stored = tensor.data, tensor.tensor_type
        if stored == GGMLQuantizationType.Q4_1:
            stored = GGMLQuantizationType.Q8_0
            data = quants.quantize(quants.dequantize(data, tensor.tensor_type), stored)
        writer.add_tensor(tensor.name, data, raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    write()
