"""Every operation gives the gradients that autograd gives; checked in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from helpers.backend.training import kernels


def made(*shape: int, grad: bool = True) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=grad)


class Exact(kernels.FrozenLinear):
    """The frozen layer in float64, which oneDNN does not multiply."""

    def __init__(self, weight: Tensor) -> None:
        self.forward = lambda x: x @ weight.t()
        self.backward = lambda x: x @ weight


def test_lora_linear() -> None:
    layer = Exact(made(9, 5, grad=False))
    inputs = (made(4, 5), made(2, 5), made(6, 2), made(2, 5), made(3, 2))

    def ours(x: Tensor, a1: Tensor, b1: Tensor, a2: Tensor, b2: Tensor) -> Tensor:
        return kernels.lora_linear(x, layer, 1.5, [(a1, b1), (a2, b2)])

    x, a1, b1, a2, b2 = inputs
    expected = layer.forward(x) + 1.5 * torch.cat([x @ a1.t() @ b1.t(), x @ a2.t() @ b2.t()], 1)
    torch.testing.assert_close(ours(*inputs), expected)
    assert gradcheck(ours, inputs)


def test_swiglu() -> None:
    both = made(3, 8)
    gate, up = both.chunk(2, dim=-1)
    torch.testing.assert_close(kernels.swiglu(both), torch.nn.functional.silu(gate) * up)
    assert gradcheck(kernels.swiglu, (both,))


def test_rms_norm() -> None:
    x, weight = made(3, 8), made(8, grad=False)

    def ours(x: Tensor) -> Tensor:
        return kernels.rms_norm(x, weight, 1e-5, torch.float64)

    torch.testing.assert_close(ours(x), torch.nn.functional.rms_norm(x, (8,), weight, 1e-5))
    assert gradcheck(ours, (x,))


def test_rotate_turns_the_first_heads_and_its_gradient_turns_back() -> None:
    x, angle = made(3, 4, 6), made(3, 1, 3, grad=False)

    def ours(x: Tensor) -> Tensor:
        return kernels.rotate(x, angle.cos(), angle.sin(), 3)

    torch.testing.assert_close(ours(x).norm(dim=-1), x.norm(dim=-1))
    torch.testing.assert_close(ours(x)[:, 3:], x[:, 3:])
    assert not torch.allclose(ours(x)[:, :3], x[:, :3])
    assert gradcheck(ours, (x,))


@pytest.mark.parametrize("kept", [0, 1_000_000])
def test_attention(monkeypatch, kept: int) -> None:
    monkeypatch.setattr(kernels, "KEPT_PROBS", kept)
    q, k, v = made(2, 3, 4), made(2, 5, 4), made(2, 5, 4)
    bias = made(3, 5, grad=False)
    bias[0, 4] = float("-inf")

    def ours(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return kernels.attention(q, k, v, bias)

    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    torch.testing.assert_close(ours(q, k, v), expected)
    assert gradcheck(ours, (q, k, v))


def test_spread_gives_padding_no_gradient() -> None:
    x = made(3, 2)
    there, back = torch.tensor([0, 1, 2, 0]), torch.tensor([0, 1, 2])
    result = kernels.spread(x, there, back)
    result.sum().backward()
    torch.testing.assert_close(result, x[there])
    torch.testing.assert_close(x.grad, torch.ones_like(x))


def test_target_losses_in_parts_equal_cross_entropy(monkeypatch) -> None:
    monkeypatch.setattr(kernels, "TARGETS_AT_ONCE", 3)
    torch.manual_seed(0)
    hidden = torch.randn(8, 5, requires_grad=True)
    other = hidden.detach().clone().requires_grad_()
    embedding, labels = torch.randn(11, 5), torch.arange(8)
    weights = torch.rand(8)

    losses, hits = kernels.target_losses(hidden, kernels.FrozenLinear(embedding), labels)
    (losses * weights).sum().backward()
    logits = other @ embedding.t()
    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    (expected * weights).sum().backward()

    torch.testing.assert_close(losses, expected)
    torch.testing.assert_close(hidden.grad, other.grad)
    assert hits.tolist() == (logits.argmax(-1) == labels).tolist()


def test_a_packed_weight_multiplies_any_number_of_rows() -> None:
    weight = torch.randn(40, 24)
    layer = kernels.FrozenLinear(weight)
    for rows in (1, 7, 600):
        x, grad = torch.randn(rows, 24), torch.randn(rows, 40)
        torch.testing.assert_close(layer.forward(x), x @ weight.t(), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(layer.backward(grad), grad @ weight, rtol=1e-4, atol=1e-4)
