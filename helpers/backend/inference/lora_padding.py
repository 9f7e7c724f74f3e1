"""Write a LoRA adapter again with one more row of zeros in each matrix.

For: the pool, which says why. Not for: what is trained or exported; that file stays as it is.

    write_padded(Path("adapter.gguf"), Path("padded.gguf"))     # 0.05 s for rank 16
"""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_padded(source: Path, target: Path) -> Path:
    """Copy a GGUF adapter with a rank that four does not divide. Raises `ValueError` for another
    file, `KeyError` or `StopIteration` for one that holds no adapter.

    llama.cpp scales by alpha / rank, so alpha grows with the rank.
    """
    from gguf import GGUFReader, GGUFWriter

    reader = GGUFReader(source)
    alpha = float(reader.fields["adapter.lora.alpha"].contents())
    writer = GGUFWriter(str(target), reader.fields["general.architecture"].contents())
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    rank = next(t.data.shape[0] for t in reader.tensors if t.name.endswith(".lora_a"))
    more = int(rank % 4 == 0)
    writer.add_float32("adapter.lora.alpha", alpha * (rank + more) / rank)
    for tensor in reader.tensors:
        # A is (rank, in), B is (out, rank).
        rows = tensor.name.endswith(".lora_a")
        padded = np.pad(tensor.data, ((0, more), (0, 0)) if rows else ((0, 0), (0, more)))
        writer.add_tensor(tensor.name, np.ascontiguousarray(padded))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target
