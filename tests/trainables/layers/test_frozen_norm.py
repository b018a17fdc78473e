"""A frozen batch norm is torch's as it is evaluated, and nothing changes it."""

from __future__ import annotations

import timm
import torch
from torch import nn

from trainables.layers.frozen_norm import FrozenBatchNorm, freeze_norms

IMAGES = torch.randn(4, 6, 5, 7, generator=torch.Generator().manual_seed(0))


def trained() -> nn.BatchNorm2d:
    """A norm with statistics, scale and shift of its own."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(6)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    norm(3 + 2 * torch.randn(64, 6, 3, 3))
    return norm.eval()


def test_it_is_the_norm_as_it_is_evaluated() -> None:
    norm = trained()
    found = FrozenBatchNorm.of(norm).train()(IMAGES)
    torch.testing.assert_close(found, norm(IMAGES).detach(), rtol=0, atol=1e-6)


def test_it_is_the_formula_and_its_gradient_the_scale() -> None:
    norm = trained().double()
    frozen = FrozenBatchNorm.of(norm)
    scale = norm.weight.detach() * (frozen.running_var + 1e-5).rsqrt()
    shift = norm.bias.detach() - frozen.running_mean * scale
    images = IMAGES.double().requires_grad_()
    found = frozen(images)
    expected = images * scale[:, None, None] + shift[:, None, None]
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    assert images.grad is not None
    torch.testing.assert_close(images.grad, scale[:, None, None].expand_as(images))


def test_training_changes_nothing_of_it() -> None:
    frozen = FrozenBatchNorm.of(trained()).train()
    before = {name: one.clone() for name, one in frozen.state_dict().items()}
    frozen(10 * IMAGES)
    assert all(torch.equal(before[name], one) for name, one in frozen.state_dict().items())
    assert not list(frozen.parameters())


def test_a_batch_norms_weights_load_by_name() -> None:
    norm = trained()
    frozen = FrozenBatchNorm(6)
    frozen.load_state_dict(norm.state_dict())
    torch.testing.assert_close(frozen(IMAGES), norm(IMAGES).detach(), rtol=0, atol=1e-6)


def test_a_frozen_network_of_timm_computes_the_same() -> None:
    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnet_lite0", num_classes=3).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = network(images)
        found = freeze_norms(network)(images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert not any(isinstance(one, nn.BatchNorm2d) for one in network.modules())
