"""The model's forward pass over a packed batch, with LoRA.

For: training fast on a CPU. The result equals transformers' with peft to rounding;
the work is less: no padding, the shared prefix once, logits only at the targets.

    net = Network(peft_model, precision=torch.float32)
    losses = net.token_losses(pack(examples))      # shape (T,)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.backend.training.kernels import (
    FrozenLinear,
    Pair,
    attention,
    lora_linear,
    rms_norm,
    rotate,
    spread,
    swiglu,
    target_losses,
)
from helpers.backend.training.packing import PackedBatch

if TYPE_CHECKING:
    from peft import PeftModel


@dataclass(frozen=True)
class Noise:
    """NEFTune (Jain et al. 2023): even noise on the embeddings, so that no single word decides.

    Its size is alpha / sqrt(L * width), with L the length of the longest example.
    """

    alpha: float
    draw: torch.Generator

    def on(self, embedded: Tensor, longest: int) -> Tensor:
        """The embeddings (N, width) with noise added."""
        # Drawn on the CPU, so that a seed gives the same noise on every device.
        noise = torch.rand(embedded.shape, generator=self.draw).mul_(2).sub_(1)
        size = self.alpha / (longest * embedded.shape[1]) ** 0.5
        return embedded.add(noise.to(embedded.device), alpha=size)


class AdaptedNetwork(Protocol):
    """What a reference needs of a network."""

    def parameters(self) -> list[Tensor]: ...
    def token_losses(self, batch: PackedBatch, *, adapted: bool = True) -> Tensor: ...


class Reference:
    """What preferences are measured against: the base, or a parent as it was when it was kept."""

    def __init__(self, network: AdaptedNetwork) -> None:
        self._network = network
        self._kept: list[Tensor] = []

    def keep(self) -> None:
        """Remember the present matrices: training goes on from a parent."""
        self._kept = self._present()

    @torch.no_grad()
    def losses(self, batch: PackedBatch) -> Tensor:
        """Cross-entropy of each target in nats, shape (T,)."""
        if not self._kept:
            # Without its matrices the network is the base, so no second model is held for it.
            return self._network.token_losses(batch, adapted=False)
        present = self._present()
        self._load(self._kept)
        try:
            return self._network.token_losses(batch)
        finally:
            self._load(present)

    def _present(self) -> list[Tensor]:
        return [matrix.detach().clone() for matrix in self._network.parameters()]

    def _load(self, values: Sequence[Tensor]) -> None:
        # Into the same tensors: the optimiser and the peft model hold these, not copies.
        for matrix, value in zip(self._network.parameters(), values, strict=True):
            matrix.data.copy_(value)


@dataclass(frozen=True)
class JoinedBatch:
    """Linear layers with the same input, done as one product, each with its LoRA pair."""

    layer: FrozenLinear
    pairs: tuple[Pair, ...]
    scale: float

    def __call__(self, x: Tensor, *, adapted: bool) -> Tensor:
        if not adapted:
            return self.layer.forward(x)
        return lora_linear(x, self.layer, self.scale, self.pairs)


def joined(modules: Sequence[Any], dtype: torch.dtype, *, release: bool) -> JoinedBatch:
    """Join peft's LoRA layers; their matrices stay the same objects.

    `release` frees the layers' own frozen weights, which the product no longer needs.
    """
    weight = torch.cat([module.base_layer.weight.data for module in modules]).to(dtype)
    if release:
        for module in modules:
            module.base_layer.weight.data = torch.empty(0)
    # peft keeps alpha / rank for each layer; a product of several can have but one factor.
    scales = {module.scaling["default"] for module in modules}
    assert len(scales) == 1
    return JoinedBatch(
        FrozenLinear(weight),
        tuple((m.lora_A["default"].weight, m.lora_B["default"].weight) for m in modules),
        scales.pop(),
    )


@dataclass(frozen=True)
class Block:
    """One layer of the network."""

    norm1: Tensor
    qkv: JoinedBatch
    out: JoinedBatch
    norm2: Tensor
    gate_up: JoinedBatch
    down: JoinedBatch


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
        base: Any = model.get_base_model()
        self.config: Any = base.config
        self.dtype = precision
        inner: Any = base.model
        self.device: torch.device = inner.embed_tokens.weight.device
        self.embedding = inner.embed_tokens.weight.data.to(precision)
        tied = base.lm_head.weight is inner.embed_tokens.weight
        self.output = FrozenLinear(self.embedding if tied else base.lm_head.weight.to(precision))
        if release:
            # The converted table is shared with the peft model: otherwise there would be two of
            # them.
            inner.embed_tokens.weight.data = self.embedding
            if not tied:
                base.lm_head.weight.data = torch.empty(0)
        # Norms stay in float32: they are small, and are multiplied with the residual stream.
        self.norm = inner.norm.weight.data
        self.frequencies = inner.rotary_emb.inv_freq
        self.blocks = [self._block(layer, release) for layer in inner.layers]
        self.reference = Reference(self)

    def parameters(self) -> list[Tensor]:
        """All LoRA matrices, in one fixed order."""
        return [
            matrix
            for block in self.blocks
            for group in (block.qkv, block.out, block.gate_up, block.down)
            for a, b in group.pairs
            for matrix in (a, b)
        ]

    def _block(self, layer: Any, release: bool) -> Block:
        attention, mlp = layer.self_attn, layer.mlp

        def join(*modules: Any) -> JoinedBatch:
            return joined(modules, self.dtype, release=release)

        return Block(
            layer.input_layernorm.weight.data,
            join(attention.q_proj, attention.k_proj, attention.v_proj),
            join(attention.o_proj),
            layer.post_attention_layernorm.weight.data,
            join(mlp.gate_proj, mlp.up_proj),
            join(mlp.down_proj),
        )

    def token_losses(self, batch: PackedBatch, *, adapted: bool = True) -> Tensor:
        """Cross-entropy of each target in nats, shape (T,). `adapted=False`: the base model."""
        losses, _ = self.losses_and_hits(batch, adapted=adapted)
        return losses

    def losses_and_hits(
        self, batch: PackedBatch, *, adapted: bool = True, noise: Noise | None = None
    ) -> tuple[Tensor, Tensor]:
        """Cross-entropy of each target, and whether it was the likeliest token; both (T,)."""
        hidden = self._hidden(batch, adapted, noise)
        return target_losses(hidden, self.output, batch.labels)

    def _hidden(self, batch: PackedBatch, adapted: bool, noise: Noise | None) -> Tensor:
        """Final hidden states of the rows that predict a target, shape (T, width)."""
        # A sum over all layers: in bfloat16 it would lose what the later ones add.
        stream = F.embedding(batch.ids, self.embedding).float()
        angles = self._angles(batch.positions)
        # L, the length to which each example's own rows are padded.
        own = len(batch.spread) // batch.examples
        if noise:
            stream = noise.on(stream, batch.prefix + own)
        # One mask for all: padding stands behind an example's own rows, where "not yet" hides it
        # already.
        bias = causal_bias(own, batch.prefix, self.embedding)
        for block in self.blocks:
            qkv = block.qkv(self._normed(stream, block.norm1), adapted=adapted)
            mixed = self._attend(qkv, batch, angles, bias)
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
        self, qkv: Tensor, batch: PackedBatch, angles: tuple[Tensor, Tensor], bias: Tensor
    ) -> Tensor:
        """Attention inside each example, over the shared prefix and its own tokens; (N, width)."""
        heads, groups = self.config.num_attention_heads, self.config.num_key_value_heads
        # (N, query heads + key groups + value groups, d), in the order in which they were joined.
        rows = qkv.view(len(qkv), heads + 2 * groups, -1)
        rows = rotate(rows, *angles, heads + groups)
        shared, own = rows.split([batch.prefix, len(rows) - batch.prefix])
        # (n, L, heads + 2 * groups, d): each example's own rows, padded to the longest.
        laid = spread(own, batch.spread, batch.back).unflatten(0, (batch.examples, -1))
        q, k, v = laid.split([heads, groups, groups], dim=2)
        first_q, first_k, first_v = shared[None].split([heads, groups, groups], dim=2)
        # An example's rows look at the shared ones and at their own, and at no other example's.
        mixed = grouped_attention(q, _behind(first_k, k), _behind(first_v, v), bias)
        result = mixed.flatten(0, 1).index_select(0, batch.back)
        if not batch.prefix:
            return result
        # The shared rows look at themselves alone, so their result holds for every example.
        first = grouped_attention(first_q, first_k, first_v, causal_bias(batch.prefix, 0, bias))
        return torch.cat([first[0], result])


def _behind(shared: Tensor, own: Tensor) -> Tensor:
    """What every example sees: the shared rows, then its own; (n, P + L, groups, d)."""
    return torch.cat([shared.expand(len(own), -1, -1, -1), own], dim=1)


def grouped_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Attention where several query heads read one key head (Ainslie et al. 2023).

    q is (n, L, heads, d), k and v are (n, S, groups, d); the result is (n, L, heads * d).
    """
    n, length, heads, size = q.shape
    groups = k.shape[2]
    # The query heads of a group stand below each other, so that a group is one product.
    # Shape (n * groups, heads / groups * L, d).
    asked = q.unflatten(2, (groups, -1)).permute(0, 2, 3, 1, 4).reshape(n * groups, -1, size)
    keys, values = (t.transpose(1, 2).reshape(n * groups, -1, size) for t in (k, v))
    # Repeated in the order of `asked`: all L rows of a query head, then those of the next.
    mixed = attention(asked, keys, values, bias.repeat(heads // groups, 1))
    return mixed.view(n, heads, length, size).transpose(1, 2).flatten(2)


def causal_bias(own: int, prefix: int, like: Tensor) -> Tensor:
    """0 where a row may look, -inf at what comes after it; (own, prefix + own)."""
    # All of the shared part comes before a row's own, so nothing of it is hidden.
    hidden = like.new_full((own, own), float("-inf")).triu(1)
    return torch.cat([like.new_zeros((own, prefix)), hidden], dim=1)
