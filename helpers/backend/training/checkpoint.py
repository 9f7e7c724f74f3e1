"""Save and restore everything that a run needs to go on as if nothing had happened.

For: the trainer. There is no random state to keep: the order of the examples follows
from seed and epoch, the noise from seed and step.

    save_state(path, step=8, model=model, optimizer=optimizer, extra={})
    restore(path, model, optimizer)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from helpers.base.files import atomic

if TYPE_CHECKING:
    from peft import PeftModel


def trainable(model: PeftModel) -> dict[str, torch.nn.Parameter]:
    """The LoRA matrices by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def save_state(
    path: Path,
    *,
    step: int,
    model: PeftModel,
    optimizer: torch.optim.Optimizer,
    extra: dict[str, Any],
) -> None:
    """Write the state after `step` steps, then swap it in, so that a kill leaves one whole."""
    state = {
        "step": step,
        "weights": {name: p.data for name, p in trainable(model).items()},
        "optimizer": optimizer.state_dict(),
        "extra": extra,
    }
    with atomic(path) as stream:
        torch.save(state, stream)


def restore(
    path: Path, model: PeftModel, optimizer: torch.optim.Optimizer
) -> tuple[int, dict[str, Any]]:
    """Load a state into model and optimizer; returns its step and extra. (0, {}) without one."""
    if not path.is_file():
        return 0, {}
    # Tensors and plain values alone: a pickle could hold code.
    state = torch.load(path, weights_only=True)
    with torch.no_grad():
        for name, parameter in trainable(model).items():
            # In place: optimizer and network hold these very tensors.
            parameter.copy_(state["weights"][name])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"]), dict(state["extra"])
