"""The forward pass of any family that transformers knows, over a packed batch, with peft's LoRA.

For: bases for which `forward.Network` is not exact. transformers computes, as the model's authors
wrote it; what is saved here is what can be saved around it: no padding, the shared prefix once,
logits only at the targets, and the frozen layers as `kernels` multiplies them.

    net = PeftNetwork(peft_model, precision=torch.float32)
    losses = net.token_losses(pack(examples))      # shape (T,)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from helpers.backend.training.forward import Noise, Reference
from helpers.backend.training.kernels import FrozenLinear, lora_linear, target_losses
from helpers.backend.training.packing import PackedBatch

if TYPE_CHECKING:
    from peft import PeftModel

LOCAL = "sliding_attention"
"""transformers' name for layers that look back a window only."""


class PeftNetwork:
    """The same parameters as the peft model, in fixed order; the interface is `forward.Network`'s.

    With `release` the peft model keeps its adapter and loses its frozen matrices; it can then be
    saved, but no longer run by itself. With `recompute`, activations are worked out again on the
    way back, layer by layer (Chen et al. 2016): slower, and far less memory.
    """

    def __init__(
        self,
        model: PeftModel,
        *,
        precision: torch.dtype = torch.float32,
        release: bool = False,
        recompute: bool = False,
    ) -> None:
        base: Any = model.get_base_model()
        self._model, self._inner = model, base.model
        self.config: Any = base.config
        self.device: torch.device = base.lm_head.weight.device
        self._matrices = [p for p in model.parameters() if p.requires_grad]
        packed = bool(getattr(base, "is_quantized", False))
        if not packed:
            _narrow(base, precision)
        self.output = FrozenLinear(base.lm_head.weight.data)
        if release and base.lm_head.weight is not base.model.embed_tokens.weight:
            base.lm_head.weight.data = torch.empty(0)
        if self.device.type == "cpu":
            for module in base.modules():
                if hasattr(module, "lora_A"):
                    _multiply_here(module, release=release)
        if recompute:
            base.gradient_checkpointing_enable({"use_reentrant": False})
        if recompute or packed:
            # A matrix in 4 bits that is asked outside training mode, as in a validation, may be
            # laid out for answers alone: from then on no gradient passes it, and nothing says so.
            base.train()
            _without_dropout(base)
        self._recompute = recompute
        self.reference = Reference(self)

    def parameters(self) -> list[Tensor]:
        """All LoRA matrices, in one fixed order."""
        return list(self._matrices)

    def token_losses(self, batch: PackedBatch, *, adapted: bool = True) -> Tensor:
        """Cross-entropy of each target in nats, shape (T,). `adapted=False`: the base model."""
        losses, _ = self.losses_and_hits(batch, adapted=adapted)
        return losses

    def losses_and_hits(
        self, batch: PackedBatch, *, adapted: bool = True, noise: Noise | None = None
    ) -> tuple[Tensor, Tensor]:
        """Cross-entropy of each target, and whether it was the likeliest token; both (T,)."""
        with contextlib.nullcontext() if adapted else self._model.disable_adapter():
            hidden = self._hidden(batch, noise)
        return target_losses(hidden, self.output, batch.labels)

    def _hidden(self, batch: PackedBatch, noise: Noise | None) -> Tensor:
        """Final hidden states of the rows that predict a target, shape (T, width)."""
        embedded = self._inner.embed_tokens(batch.ids)
        if noise:
            own = len(batch.spread) // batch.examples
            embedded = noise.on(embedded.float(), batch.prefix + own).to(embedded.dtype)
        if self._recompute:
            # Nothing is kept for the way back through a layer whose input needs no gradient.
            embedded = embedded.detach().requires_grad_(torch.is_grad_enabled())
        states = self._inner(
            inputs_embeds=embedded[None],
            position_ids=batch.positions[None],
            attention_mask=self._masks(batch, embedded.dtype),
            use_cache=False,
        ).last_hidden_state
        return states[0, batch.predict]

    def _masks(self, batch: PackedBatch, dtype: torch.dtype) -> Any:
        """Who may look at whom, 0 where it is allowed and -inf elsewhere; (1, 1, N, N), for each
        kind of layer."""
        whole = visible(batch)
        kinds = set(getattr(self.config, "layer_types", None) or ())
        if LOCAL not in kinds:
            return _bias(whole, dtype)
        apart = batch.positions[:, None] - batch.positions[None, :]
        near = whole & (apart < self.config.sliding_window)
        return {"full_attention": _bias(whole, dtype), LOCAL: _bias(near, dtype)}


def visible(batch: PackedBatch) -> Tensor:
    """Whether row i may look at row j: what all share, and what came before in its own example.

    The result is (N, N).
    """
    rows = len(batch.ids)
    owner = torch.full((rows,), -1, device=batch.ids.device)
    length = len(batch.spread) // batch.examples
    owner[batch.prefix :] = batch.back // length
    same = (owner[:, None] == owner[None, :]) | (owner[None, :] == -1)
    return same & (batch.positions[:, None] >= batch.positions[None, :])


def _bias(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    # Of truth values PyTorch would make such numbers in each layer anew, and keep them all.
    hidden = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device)
    return hidden.masked_fill_(~allowed, float("-inf"))[None, None]


def _narrow(base: Any, precision: torch.dtype) -> None:
    """The frozen weights in `precision`, and nothing else.

    A module's own `to` takes the buffers along: rotary frequencies in bfloat16 turn a token some
    hundred places away by a wrong angle. And an adapter that is trained further would be rounded.
    """
    for parameter in base.parameters():
        wanted = torch.float32 if parameter.requires_grad else precision
        parameter.data = parameter.data.to(wanted)


def _without_dropout(base: Any) -> None:
    """What needs training mode, where dropout would act, computes the same each time."""
    for module in base.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


def _multiply_here(module: Any, *, release: bool) -> None:
    """Let one of peft's layers multiply with our kernels; its matrices stay the same objects."""
    base = module.base_layer
    if type(base) is not torch.nn.Linear:
        return  # one in few bits has its own product
    module.forward = _product(module, FrozenLinear(base.weight.data), base.bias)
    if release:
        base.weight.data = torch.empty(0, dtype=base.weight.dtype)


def _product(module: Any, layer: FrozenLinear, bias: Tensor | None) -> Callable[..., Tensor]:
    pair = (module.lora_A["default"].weight, module.lora_B["default"].weight)
    scale = float(module.scaling["default"])

    def forward(x: Tensor, *_: Any, **__: Any) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        if module.disable_adapters:
            y = layer.forward(flat)
        else:
            y = lora_linear(flat, layer, scale, [pair])
        y = y if bias is None else y + bias
        return y.view(*x.shape[:-1], -1)

    return forward
