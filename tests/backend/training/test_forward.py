"""The lean forward pass gives what transformers and peft give, and the same gradients."""

from __future__ import annotations

import pytest
import torch

from helpers.backend.training.forward import Network
from helpers.backend.training.packing import pack
from tests.backend.training.tiny import plain_losses, random_examples, tiny_model


def gradients(network: Network) -> list[torch.Tensor]:
    found = [matrix.grad.clone() for matrix in network.parameters()]
    for matrix in network.parameters():
        matrix.grad = None
    return found


@pytest.mark.parametrize("shared", [0, 1, 17])
def test_losses_and_gradients_equal_transformers_with_peft(shared: int) -> None:
    model = tiny_model()
    network = Network(model)
    examples = random_examples(5, shared=shared)
    batch = pack(examples)
    assert batch.prefix == shared

    expected = plain_losses(model, examples)
    expected.mean().backward()
    wanted = gradients(network)
    found = network.token_losses(batch)
    found.mean().backward()

    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(gradients(network), wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)


def test_a_batch_gives_each_example_the_loss_it_has_alone() -> None:
    network = Network(tiny_model())
    examples = random_examples(4, shared=9)
    together = network.token_losses(pack(examples))
    alone = torch.cat([network.token_losses(pack([example])) for example in examples])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_sharing_the_prefix_changes_no_loss() -> None:
    network = Network(tiny_model())
    examples = random_examples(4, shared=9)
    shared, apart = pack(examples), pack(examples, share=False)
    assert len(shared.ids) == len(apart.ids) - 3 * 9
    torch.testing.assert_close(
        network.token_losses(shared), network.token_losses(apart), rtol=1e-4, atol=1e-5
    )


def test_without_the_adapter_the_losses_are_the_base_models() -> None:
    model = tiny_model()
    examples = random_examples(3, shared=4)
    with model.disable_adapter(), torch.no_grad():
        expected = plain_losses(model, examples)
    found = Network(model).token_losses(pack(examples), adapted=False)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_reference_of_a_parent_is_the_parent_itself() -> None:
    model = tiny_model()
    network = Network(model)
    batch = pack(random_examples(3, shared=4))
    before = network.token_losses(batch).detach()
    network.reference.keep()
    for matrix in network.parameters():
        matrix.data.mul_(1.5)
    now = network.token_losses(batch).detach()
    torch.testing.assert_close(network.reference.losses(batch), before)
    torch.testing.assert_close(network.token_losses(batch).detach(), now)
    assert not torch.allclose(now, before)


def test_bfloat16_stays_close() -> None:
    model = tiny_model()
    examples = random_examples(5, shared=7)
    with torch.no_grad():
        expected = plain_losses(model, examples)
        found = Network(model, precision=torch.bfloat16).token_losses(pack(examples))
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.1)


def test_released_weights_are_gone_and_the_losses_stay() -> None:
    examples = random_examples(3, shared=4)
    expected = Network(tiny_model()).token_losses(pack(examples))
    model = tiny_model()
    network = Network(model, release=True)
    assert model.get_base_model().model.layers[0].mlp.up_proj.base_layer.weight.numel() == 0
    torch.testing.assert_close(network.token_losses(pack(examples)), expected)
