"""The model's forward pass over a packed batch, with LoRA.

For: training fast on a CPU. The result equals transformers' with peft to rounding;
the work is less: no padding, the shared prefix once, logits only at the targets.

    net = Network(peft_model, precision=torch.float32)
    losses = net.token_losses(pack(examples))      # shape (T,)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from peft import PeftModel
from torch import Tensor

from helpers.backend.training.kernels import (
    Frozen,
    Pair,
    lora_linear,
    packed,
    rms_norm,
    rotate,
    spread,
    swiglu,
    target_losses,
)
from helpers.backend.training.packing import Packed


@dataclass(frozen=True)
class Joined:
    """Linear layers with the same input, done as one product, each with its LoRA pair."""

    layer: Frozen
    pairs: tuple[Pair, ...]
    scale: float

    def __call__(self, x: Tensor, *, adapted: bool) -> Tensor:
        if not adapted:
            return self.layer.forward(x)
        return lora_linear(x, self.layer, self.scale, self.pairs)


def joined(modules: Sequence[Any], dtype: torch.dtype, *, release: bool) -> Joined:
    """Join peft's LoRA layers; their matrices stay the same objects.

    `release` frees the layers' own frozen weights, which the product no longer needs.
    """
    weight = torch.cat([module.base_layer.weight.data for module in modules]).to(dtype)
    if release:
        for module in modules:
            module.base_layer.weight.data = torch.empty(0)
    scales = {module.scaling["default"] for module in modules}
    assert len(scales) == 1
    return Joined(
        Frozen(weight),
        tuple((m.lora_A["default"].weight, m.lora_B["default"].weight) for m in modules),
        scales.pop(),
    )


@dataclass(frozen=True)
class Block:
    """One layer of the network."""

    norm1: Tensor
    qkv: Joined
    out: Joined
    norm2: Tensor
    gate_up: Joined
    down: Joined


class Network:
    """The same parameters as the peft model, seen through a leaner forward pass.

    With `release` the peft model keeps its adapter and loses its frozen weights, which
    halves the memory; it can then be saved, but no longer run.
    """

    def __init__(
        self,
        model: PeftModel,
        *,
        precision: torch.dtype = torch.float32,
        release: bool = False,
    ) -> None:
        base = model.get_base_model()
        self.config: Any = base.config
        self.dtype = precision
        inner: Any = base.model
        self.embedding = inner.embed_tokens.weight.data.to(precision)
        self.output = packed(self.embedding)
        if release:
            inner.embed_tokens.weight.data = self.embedding
        self.norm = inner.norm.weight.data
        self.frequencies = inner.rotary_emb.inv_freq
        self.blocks = [self._block(layer, release) for layer in inner.layers]
        self._start: list[Tensor] | None = None

    def parameters(self) -> list[Tensor]:
        """All LoRA matrices, in one fixed order."""
        return [
            matrix
            for block in self.blocks
            for group in (block.qkv, block.out, block.gate_up, block.down)
            for a, b in group.pairs
            for matrix in (a, b)
        ]

    def keep_start(self) -> None:
        """Remember the present matrices as the reference, for preferences after a parent."""
        self._start = [matrix.detach().clone() for matrix in self.parameters()]

    @torch.no_grad()
    def reference_losses(self, batch: Packed) -> Tensor:
        """Losses of the model that training started from: the base, or what was kept."""
        if self._start is None:
            return self.token_losses(batch, adapted=False)
        present = [matrix.detach().clone() for matrix in self.parameters()]
        self._load(self._start)
        losses = self.token_losses(batch)
        self._load(present)
        return losses

    def _load(self, values: Sequence[Tensor]) -> None:
        for matrix, value in zip(self.parameters(), values, strict=True):
            matrix.data.copy_(value)

    def _block(self, layer: Any, release: bool) -> Block:
        attention, mlp = layer.self_attn, layer.mlp

        def join(*modules: Any) -> Joined:
            return joined(modules, self.dtype, release=release)

        return Block(
            layer.input_layernorm.weight.data,
            join(attention.q_proj, attention.k_proj, attention.v_proj),
            join(attention.o_proj),
            layer.post_attention_layernorm.weight.data,
            join(mlp.gate_proj, mlp.up_proj),
            join(mlp.down_proj),
        )

    def token_losses(self, batch: Packed, *, adapted: bool = True) -> Tensor:
        """Cross-entropy of each target in nats, shape (T,). `adapted=False`: the base model."""
        losses, _ = self.losses_and_hits(batch, adapted=adapted)
        return losses

    def losses_and_hits(self, batch: Packed, *, adapted: bool = True) -> tuple[Tensor, Tensor]:
        """Cross-entropy of each target, and whether it was the likeliest token; both (T,)."""
        hidden = self._hidden(batch, adapted)
        return target_losses(hidden, self.output, self.embedding, batch.labels)

    def _hidden(self, batch: Packed, adapted: bool) -> Tensor:
        """Final hidden states of the rows that predict a target, shape (T, width)."""
        stream = F.embedding(batch.ids, self.embedding).float()
        angles = self._angles(batch.positions)
        mask = attention_mask(batch)
        for block in self.blocks:
            qkv = block.qkv(self._normed(stream, block.norm1), adapted=adapted)
            mixed = self._attend(qkv, batch, angles, mask)
            if block is self.blocks[-1]:
                # From here on rows no longer mix, so only those that are asked for go on.
                stream, mixed = stream[batch.predict], mixed[batch.predict]
            stream = stream + block.out(mixed, adapted=adapted)
            both = block.gate_up(self._normed(stream, block.norm2), adapted=adapted)
            stream = stream + block.down(swiglu(both), adapted=adapted)
        return self._normed(stream, self.norm)

    def _normed(self, stream: Tensor, weight: Tensor) -> Tensor:
        return rms_norm(stream, weight, self.config.rms_norm_eps, self.dtype)

    def _angles(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine of the rotary angles, each (N, 1, d / 2)."""
        angles = (positions[:, None].float() * self.frequencies)[:, None, :]
        return angles.cos().to(self.dtype), angles.sin().to(self.dtype)

    def _attend(
        self, qkv: Tensor, batch: Packed, angles: tuple[Tensor, Tensor], mask: Tensor
    ) -> Tensor:
        """Attention inside each example, over the shared prefix and its own tokens; (N, width)."""
        heads, groups = self.config.num_attention_heads, self.config.num_key_value_heads
        size = self.config.hidden_size // heads
        qk, v = qkv.view(len(qkv), -1, size).split([heads + groups, groups], dim=1)
        rows = torch.cat([rotate(qk, *angles), v], dim=1)
        shared, own = rows.split([batch.prefix, len(rows) - batch.prefix])
        laid = spread(own, batch.spread, batch.back).view(batch.examples, -1, *rows.shape[1:])
        q, k, v = laid.transpose(1, 2).split([heads, groups, groups], dim=1)
        first_q, first_k, first_v = shared.transpose(0, 1)[None].split([heads, groups, groups], 1)
        mixed = F.scaled_dot_product_attention(
            q,
            torch.cat([first_k.expand(len(k), -1, -1, -1), k], dim=2),
            torch.cat([first_v.expand(len(v), -1, -1, -1), v], dim=2),
            attn_mask=mask,
            enable_gqa=True,
        )
        result = mixed.transpose(1, 2).flatten(0, 1).flatten(1).index_select(0, batch.back)
        if not batch.prefix:
            return result
        first = F.scaled_dot_product_attention(
            first_q, first_k, first_v, is_causal=True, enable_gqa=True
        )
        return torch.cat([first[0].transpose(0, 1).flatten(1), result])


def attention_mask(batch: Packed) -> Tensor:
    """Who sees whom: all of the prefix, and one's own past; (1, 1, L, P + L)."""
    width = len(batch.spread) // batch.examples
    past = torch.ones((width, width), dtype=torch.bool).tril()
    seen = torch.cat([torch.ones((width, batch.prefix), dtype=torch.bool), past], dim=1)
    return seen[None, None]
