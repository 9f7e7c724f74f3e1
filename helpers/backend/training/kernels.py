"""The operations of the forward pass, each with a backward pass that does only what LoRA needs.

For: `forward.Network`. Autograd alone would keep more, copy more, and pass over the same
memory more often. Every function here gives the gradients that autograd would give, and
has a test that says so.

    layer = FrozenLinear(weight)        # x @ weight.T, packed once
    y = lora_linear(x, layer, scale, [(a, b)])
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import Function, once_differentiable

Product = Callable[[Tensor], Tensor]
Pair = tuple[Tensor, Tensor]
"""A of shape (r, in) and B of shape (out, r)."""

ROWS_HINT = 512
"""Number of rows that packed weights are laid out for; others work as well."""
TARGETS_AT_ONCE = 128
"""Rows of logits held at a time: 25 MB for 49,152 tokens, reused from one part to the next."""


def packed(weight: Tensor) -> Product:
    """A function x -> x @ weight.T. On x86 the weight is laid out once as oneDNN wants it,
    which multiplies by up to a third faster than MKL, most of all with few rows."""
    # A private operation: where a release of PyTorch lacks it, the plain product does the same.
    pack = getattr(torch.ops.mkldnn, "_reorder_linear_weight", None)
    if pack is None or weight.is_cuda or not _can_lay_out(weight.dtype):
        return lambda x: F.linear(x, weight)
    laid_out = pack(weight, ROWS_HINT)
    product = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001
    return lambda x: product(x, laid_out, None, "none", [], "")


def _can_lay_out(dtype: torch.dtype) -> bool:
    """Whether oneDNN is here, and knows the type: it takes bfloat16 only with AVX-512."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001
    return torch.backends.mkldnn.is_available()


KEPT_PROBS = 1_000_000
"""Attention weights of one layer that are kept for the way back: 2 or 4 MB. For long sequences
there are more; keeping those would take more memory than all the rest, so they are worked out
again."""


class FrozenLinear:
    """A linear layer that never changes: forward, and backward to its input alone."""

    def __init__(self, weight: Tensor) -> None:
        self.width = weight.shape[0]
        self.forward: Product = packed(weight)
        # A copy of its own: a packed weight multiplies in one direction alone.
        self.backward: Product = packed(weight.t().contiguous())


def _apply(function: Any, *inputs: Any) -> Any:
    """`Function.apply` has no types."""
    return function.apply(*inputs)


class _LoraLinear(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, layer: FrozenLinear, scale: float, *matrices: Tensor
    ) -> Tensor:
        # The matrices stay in float32 for the optimizer, which adds small steps to them.
        low = [matrix.to(x.dtype) for matrix in matrices]
        joined, ups = torch.cat(low[::2]), low[1::2]
        y = layer.forward(x)
        # All A at once: x is read once for every layer that it feeds.
        down = F.linear(x, joined)
        for part, inner, up in _split(y, down, ups):
            # Into a view of y: the low-rank part never gets a tensor of its own.
            part.addmm_(inner, up.t(), alpha=scale)
        ctx.save_for_backward(x, down, joined, *ups)
        ctx.layer, ctx.scale, ctx.kept = layer, scale, matrices[0].dtype
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, down, joined, *ups = ctx.saved_tensors
        inner_grad = torch.empty_like(down)
        up_grads = []
        for part, out, up in _split(grad, inner_grad, ups):
            torch.mm(part, up, out=out)
        inner_grad.mul_(ctx.scale)
        for part, inner, _ in _split(grad, down, ups):
            up_grads.append((inner.t() @ part).t().mul(ctx.scale).to(ctx.kept))
        down_grads = (inner_grad.t() @ x).to(ctx.kept).chunk(len(ups))
        x_grad = None
        # Below the first block are frozen embeddings, which nobody asks about.
        if ctx.needs_input_grad[0]:
            x_grad = ctx.layer.backward(grad).addmm_(inner_grad, joined)
        return (
            x_grad,
            None,
            None,
            *(g for pair in zip(down_grads, up_grads, strict=True) for g in pair),
        )


def _split(
    wide: Tensor, inner: Tensor, ups: Sequence[Tensor]
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Each joined layer's part of the outputs, its inner values, and its B."""
    widths = [up.shape[0] for up in ups]
    return list(zip(wide.split(widths, 1), inner.chunk(len(ups), 1), ups, strict=True))


def lora_linear(x: Tensor, layer: FrozenLinear, scale: float, pairs: Sequence[Pair]) -> Tensor:
    """Linear layers with the same input, side by side, each with its LoRA pair.

    x is (N, in); the result is (N, sum of out). All pairs have the same rank.
    """
    return _apply(_LoraLinear, x, layer, scale, *(matrix for pair in pairs for matrix in pair))


class _SwiGlu(Function):
    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        gate, up = both.chunk(2, dim=-1)
        active = F.silu(gate)
        ctx.save_for_backward(both, active)
        return active * up

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        both, active = ctx.saved_tensors
        gate, up = both.chunk(2, dim=-1)
        # Written into its two halves: joining them afterwards would copy both.
        result = torch.empty_like(both)
        to_gate, to_up = result.chunk(2, dim=-1)
        torch.mul(grad, active, out=to_up)
        torch.ops.aten.silu_backward(grad * up, gate, grad_input=to_gate)
        return result


def swiglu(both: Tensor) -> Tensor:
    """silu(gate) * up, from gate and up side by side: (N, 2m) to (N, m)."""
    return _apply(_SwiGlu, both)


class _RmsNorm(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        # By the norm, and not by squares that are summed: no tensor as large as x is made for it.
        square = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_()
        inverse = square.div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, inverse)
        return (x * inverse).mul_(weight).to(dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        x, weight, inverse = ctx.saved_tensors
        # With r = (mean x² + eps)^-1/2 and dr/dx = -r³ x / n. The weight is frozen: no gradient.
        weighted = grad * weight
        along = (weighted * x).sum(-1, keepdim=True).mul_(inverse.pow(3)).div_(x.shape[-1])
        return weighted.mul_(inverse).addcmul_(x, along, value=-1), None, None, None


def rms_norm(x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
    """x / sqrt(mean(x²) + eps) * weight (Zhang and Sennrich 2019), worked out in float32."""
    return _apply(_RmsNorm, x, weight, eps, dtype)


class _Rotate(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cosine: Tensor, sine: Tensor, heads: int) -> Tensor:
        ctx.save_for_backward(cosine, sine)
        ctx.heads = heads
        return _rotated(x, cosine, sine, heads)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        cosine, sine = ctx.saved_tensors
        # The transpose of a rotation turns back by the same angle.
        return _rotated(grad, cosine, -sine, ctx.heads), None, None, None


def _rotated(x: Tensor, cosine: Tensor, sine: Tensor, heads: int) -> Tensor:
    result = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    left, right = x[:, :heads].chunk(2, dim=-1)
    # Views of the result: rotating in halves and joining them would pass over the memory twice.
    to_left, to_right = result[:, :heads].chunk(2, dim=-1)
    torch.mul(left, cosine, out=to_left).addcmul_(right, sine, value=-1)
    torch.mul(right, cosine, out=to_right).addcmul_(left, sine)
    # Behind the queries and keys stand the values, which have no place to tell.
    result[:, heads:] = x[:, heads:]
    return result


def rotate(x: Tensor, cosine: Tensor, sine: Tensor, heads: int) -> Tensor:
    """Rotary position embedding (Su et al. 2021) of the first `heads` heads.

    x is (N, all heads, d), the angles' cosine and sine are (N, 1, d / 2).
    """
    return _apply(_Rotate, x, cosine, sine, heads)


class _Attention(Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        probs = _attention_probs(q, k, bias)
        ctx.save_for_backward(q, k, v, bias, probs if probs.numel() <= KEPT_PROBS else None)
        return torch.bmm(probs, v)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, bias, kept = ctx.saved_tensors
        probs = _attention_probs(q, k, bias) if kept is None else kept
        to_v = torch.bmm(probs.transpose(1, 2), grad)
        score_grad = torch.bmm(grad, v.transpose(1, 2))
        score_grad = torch.ops.aten._softmax_backward_data(  # noqa: SLF001
            score_grad, probs, -1, probs.dtype
        )
        # Scaled once here instead of in both products below.
        score_grad.mul_(q.shape[-1] ** -0.5)
        return torch.bmm(score_grad, k), torch.bmm(score_grad.transpose(1, 2), q), to_v, None


def _attention_probs(q: Tensor, k: Tensor, bias: Tensor) -> Tensor:
    scores = torch.baddbmm(bias, q, k.transpose(1, 2), alpha=q.shape[-1] ** -0.5)
    return scores.softmax(-1)


def attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """softmax(q kᵀ / sqrt(d) + bias) v; q (G, R, d), k and v (G, S, d), bias (R, S).

    For the short sequences of a chat this is faster than PyTorch's own on a CPU, in
    bfloat16 by more than three times.
    """
    return _apply(_Attention, q, k, v, bias)


class _Spread(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, there: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(back)
        return x.index_select(0, there)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (back,) = ctx.saved_tensors
        # Each row stands in one place that counts, so no sum over its copies is needed.
        return grad.index_select(0, back), None, None


def spread(x: Tensor, there: Tensor, back: Tensor) -> Tensor:
    """x[there], where row i of x stands at back[i] and any further copies are padding.

    Padding gets no gradient: nothing that counts may look at it.
    """
    return _apply(_Spread, x, there, back)


class _TargetLosses(Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, output: FrozenLinear, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        losses = torch.empty(len(labels), device=hidden.device)
        hits = torch.empty(len(labels), dtype=torch.bool, device=hidden.device)
        hidden_grad = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        for start in range(0, len(labels), TARGETS_AT_ONCE):
            part = slice(start, start + TARGETS_AT_ONCE)
            # In float32: among tens of thousands of summands, bfloat16 would lose the small ones.
            probs = output.forward(hidden[part]).log_softmax(-1, dtype=torch.float32)
            wanted = labels[part, None]
            hits[part] = probs.argmax(-1) == labels[part]
            losses[part] = -probs.gather(1, wanted)[:, 0]
            if hidden_grad is not None:
                # d loss / d logits is softmax minus one-hot; made in place of the logarithms.
                probs.exp_().scatter_add_(1, wanted, probs.new_full(wanted.shape, -1.0))
                hidden_grad[part] = output.backward(probs.to(hidden.dtype))
        ctx.save_for_backward(*([hidden_grad] if hidden_grad is not None else []))
        ctx.mark_non_differentiable(hits)
        return losses, hits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, None, None]:
        (hidden_grad,) = ctx.saved_tensors
        # A loss hangs on its own row alone, so the chain rule is one factor for each row.
        return hidden_grad * grad[:, None].to(hidden_grad.dtype), None, None


def target_losses(hidden: Tensor, output: FrozenLinear, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of each label, and whether it was the likeliest token; both (T,).

    The gradient is worked out on the way forward, a part at a time, so that the logits
    (T, vocabulary) are never held whole.
    """
    return _apply(_TargetLosses, hidden, output, labels)
