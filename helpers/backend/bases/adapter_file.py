"""Write the LoRA matrices of a peft model as the adapter that llama.cpp loads beside its base.

For: the trainer. Not for: peft's own folder, which it writes itself.

    write_adapter(peft_model, Path("adapter.gguf"))
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.backend.bases.convert import is_turned, names_of
from helpers.backend.bases.families import read_shape
from helpers.backend.storage.gguf_files import describe_adapter, permute, written

if TYPE_CHECKING:
    from peft import PeftModel


def write_adapter(model: PeftModel, path: Path) -> None:
    """The matrices under llama.cpp's names; where it turns the rows of q and k, B's are turned.

    Raises `BackendError` for a model of a family that is not tested here.
    """
    base: Any = model.get_base_model()
    lora: Any = model.peft_config["default"]
    config = base.config.to_dict()
    # A base that is held in few bits while it is trained came in others.
    config.pop("quantization_config", None)
    shape = read_shape(config)
    names = names_of(shape)
    with written(path, shape.family.architecture) as writer:
        describe_adapter(writer, float(lora.lora_alpha))
        for source, module in base.named_modules():
            if not hasattr(module, "lora_A") or "default" not in module.lora_A:
                continue
            a, b = (_array(side["default"]) for side in (module.lora_A, module.lora_B))
            weight = f"{source}.weight"
            if is_turned(shape, weight):
                # Of B only: turning the outputs' rows leaves A, which reads the inputs, as it is.
                b = permute(b, shape.heads if "q_proj" in source else shape.groups)
            name = names.get_name(weight, try_suffixes=(".weight",))
            writer.add_tensor(f"{name}.lora_a", a)
            writer.add_tensor(f"{name}.lora_b", np.ascontiguousarray(b))


def _array(linear: Any) -> np.ndarray:
    array: np.ndarray = linear.weight.detach().float().cpu().numpy()
    return array
