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

from helpers.backend.training.packing import Packed


@dataclass(frozen=True)
class Projection:
    """Linear layers with the same input, done as one product, each with its LoRA pair."""

    weight: torch.Tensor
    """Frozen weights, one above the other, shape (out, in)."""
    pairs: tuple[tuple[torch.nn.Parameter, torch.nn.Parameter, float], ...]
    """A (r, in), B (out_i, r) and the scaling of each layer."""

    def __call__(self, x: torch.Tensor, *, adapted: bool) -> torch.Tensor:
        frozen = F.linear(x, self.weight)
        if not adapted:
            return frozen
        down = F.linear(x, torch.cat([a for a, _, _ in self.pairs]).to(x.dtype))
        parts = down.split([a.shape[0] for a, _, _ in self.pairs], dim=-1)
        added = [
            F.linear(part, (b * scale).to(x.dtype))
            for part, (_, b, scale) in zip(parts, self.pairs, strict=True)
        ]
        return frozen + (added[0] if len(added) == 1 else torch.cat(added, dim=-1))


def projection(modules: Sequence[Any], dtype: torch.dtype) -> Projection:
    """Join peft's LoRA layers. Their weights become views of the joined one: no copy is kept."""
    joined = torch.cat([module.base_layer.weight.data for module in modules]).to(dtype)
    start = 0
    for module in modules:
        rows = module.base_layer.weight.shape[0]
        module.base_layer.weight.data = joined[start : start + rows]
        start += rows
    return Projection(
        joined,
        tuple(
            (m.lora_A["default"].weight, m.lora_B["default"].weight, m.scaling["default"])
            for m in modules
        ),
    )


@dataclass(frozen=True)
class Block:
    """One layer of the network."""

    norm1: torch.Tensor
    qkv: Projection
    out: Projection
    norm2: torch.Tensor
    gate_up: Projection
    down: Projection


class Network:
    """The same parameters as the peft model, seen through a leaner forward pass."""

    def __init__(self, model: PeftModel, *, precision: torch.dtype = torch.float32) -> None:
        base = model.get_base_model()
        self.config: Any = base.config
        self.dtype = precision
        inner: Any = base.model
        self.embedding = inner.embed_tokens.weight.data.to(precision)
        inner.embed_tokens.weight.data = self.embedding
        self.norm = inner.norm.weight.data
        self.frequencies = inner.rotary_emb.inv_freq
        self.blocks = [self._block(layer) for layer in inner.layers]
        self._start: list[torch.Tensor] | None = None

    def parameters(self) -> list[torch.nn.Parameter]:
        """All LoRA matrices, in one fixed order."""
        return [
            matrix
            for block in self.blocks
            for joined in (block.qkv, block.out, block.gate_up, block.down)
            for a, b, _ in joined.pairs
            for matrix in (a, b)
        ]

    def keep_start(self) -> None:
        """Remember the present matrices as the reference, for preferences after a parent."""
        self._start = [matrix.detach().clone() for matrix in self.parameters()]

    @torch.no_grad()
    def reference_losses(self, batch: Packed) -> torch.Tensor:
        """Losses of the model that training started from: the base, or what was kept."""
        if self._start is None:
            return self.token_losses(batch, adapted=False)
        present = [matrix.detach().clone() for matrix in self.parameters()]
        self._load(self._start)
        losses = self.token_losses(batch)
        self._load(present)
        return losses

    def _load(self, values: Sequence[torch.Tensor]) -> None:
        for matrix, value in zip(self.parameters(), values, strict=True):
            matrix.data.copy_(value)

    def _block(self, layer: Any) -> Block:
        attention, mlp = layer.self_attn, layer.mlp
        return Block(
            layer.input_layernorm.weight.data,
            projection([attention.q_proj, attention.k_proj, attention.v_proj], self.dtype),
            projection([attention.o_proj], self.dtype),
            layer.post_attention_layernorm.weight.data,
            projection([mlp.gate_proj, mlp.up_proj], self.dtype),
            projection([mlp.down_proj], self.dtype),
        )

    def token_losses(self, batch: Packed, *, adapted: bool = True) -> torch.Tensor:
        """Cross-entropy of each target in nats, shape (T,). `adapted=False`: the base model."""
        losses, _ = self.losses_and_hits(batch, adapted=adapted)
        return losses

    def losses_and_hits(
        self, batch: Packed, *, adapted: bool = True
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross-entropy of each target, and whether it was the likeliest token; both (T,)."""
        hidden = self._hidden(batch, adapted)
        logits = F.linear(hidden, self.embedding).float()
        hits = logits.detach().argmax(-1) == batch.labels
        return F.cross_entropy(logits, batch.labels, reduction="none"), hits

    def _hidden(self, batch: Packed, adapted: bool) -> torch.Tensor:
        """Final hidden states of the rows that predict a target, shape (T, width)."""
        stream = F.embedding(batch.ids, self.embedding).float()
        rotation = self._rotation(batch.positions)
        mask = attention_mask(batch)
        for block in self.blocks:
            qkv = block.qkv(self._normed(stream, block.norm1), adapted=adapted)
            mixed = self._attend(qkv, batch, rotation, mask)
            stream = stream + block.out(mixed, adapted=adapted)
            gate, up = block.gate_up(self._normed(stream, block.norm2), adapted=adapted).chunk(
                2, dim=-1
            )
            stream = stream + block.down(F.silu(gate) * up, adapted=adapted)
        return self._normed(stream[batch.predict], self.norm)

    def _normed(self, stream: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        eps = self.config.rms_norm_eps
        return F.rms_norm(stream, weight.shape, weight, eps).to(self.dtype)

    def _rotation(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosine and sine of the rotary angles, each (N, 1, d)."""
        angles = positions[:, None].float() * self.frequencies[None, :]
        both = torch.cat([angles, angles], dim=-1)[:, None, :]
        return both.cos().to(self.dtype), both.sin().to(self.dtype)

    def _attend(
        self,
        qkv: torch.Tensor,
        batch: Packed,
        rotation: tuple[torch.Tensor, torch.Tensor],
        mask: torch.Tensor,
    ) -> torch.Tensor:
        """Attention inside each example, over the shared prefix and its own tokens; (N, width)."""
        config, rows = self.config, qkv.shape[0]
        heads, groups = config.num_attention_heads, config.num_key_value_heads
        size = config.hidden_size // heads
        q, k, v = qkv.view(rows, -1, size).split([heads, groups, groups], dim=1)
        q, k = rotate(q, rotation), rotate(k, rotation)
        p = batch.prefix
        n, width = batch.gather.shape
        own_q, own_k, own_v = (
            t[batch.gather.flatten()].view(n, width, -1, size).transpose(1, 2) for t in (q, k, v)
        )
        pre_q, pre_k, pre_v = (t[:p].transpose(0, 1)[None] for t in (q, k, v))
        keys = torch.cat([pre_k.expand(n, -1, -1, -1), own_k], dim=2)
        values = torch.cat([pre_v.expand(n, -1, -1, -1), own_v], dim=2)
        mixed = F.scaled_dot_product_attention(own_q, keys, values, attn_mask=mask, enable_gqa=True)
        own = mixed.transpose(1, 2).reshape(n, width, -1)[batch.real]
        if not p:
            return own
        first = F.scaled_dot_product_attention(pre_q, pre_k, pre_v, is_causal=True, enable_gqa=True)
        return torch.cat([first[0].transpose(0, 1).reshape(p, -1), own])


def rotate(x: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Rotary position embedding (Su et al. 2021); x is (N, heads, d)."""
    cosine, sine = rotation
    left, right = x.chunk(2, dim=-1)
    return x * cosine + torch.cat([-right, left], dim=-1) * sine


def attention_mask(batch: Packed) -> torch.Tensor:
    """Who sees whom: all of the prefix, and one's own past; (1, 1, L, P + L)."""
    width = batch.gather.shape[1]
    past = torch.ones((width, width), dtype=torch.bool).tril()
    seen = torch.cat([torch.ones((width, batch.prefix), dtype=torch.bool), past], dim=1)
    return seen[None, None]
