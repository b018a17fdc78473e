"""Convolutions of small maps have the values and gradients of torch's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from trainables.layers.small_maps import Convolution, with_small_maps


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 3, "padding": 1, "stride": 2},
        {"kernel_size": 3, "padding": 2, "dilation": 2, "bias": False},
        {"kernel_size": 1, "stride": 2, "bias": False},
        {"kernel_size": (2, 3), "padding": (0, 2), "stride": (1, 3), "dilation": (3, 1)},
    ],
    ids=str,
)
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last], ids=str)
def test_gradients_are_those_of_torch(settings: dict[str, Any], memory: Any) -> None:
    torch.manual_seed(0)
    theirs = nn.Conv2d(5, 4, **settings, dtype=torch.float64).to(memory_format=memory)  # pyright: ignore
    ours = Convolution.of(theirs)
    images = torch.randn(2, 5, 7, 8, dtype=torch.float64).contiguous(memory_format=memory)
    images.requires_grad_()
    leaves = [images, *theirs.parameters()]
    expected, found = theirs(images), ours(images)
    assert type(found.grad_fn) is not type(expected.grad_fn)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    for one, other in zip(
        torch.autograd.grad((found * weights).sum(), leaves),
        torch.autograd.grad((expected * weights).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_gradients_come_in_the_memory_of_their_weights() -> None:
    ours = Convolution(4, 4, 3, padding=1).to(memory_format=torch.channels_last)  # pyright: ignore
    ours(torch.randn(2, 4, 6, 6)).sum().backward()
    assert ours.weight.grad is not None
    assert ours.weight.grad.stride() == ours.weight.stride()


@pytest.mark.parametrize(("side", "is_own"), [(16, True), (17, False)])
def test_only_small_maps_are_computed_so(side: int, is_own: bool) -> None:
    ours = Convolution(1, 1, 3, padding=1, bias=False)
    found = ours(torch.randn(1, 1, side, side))
    assert ("_Convolved" in type(found.grad_fn).__name__) is is_own
    assert Convolution(2, 2, 3, groups=2)(torch.randn(1, 2, 4, 4)).grad_fn is not None


def test_a_network_keeps_its_names_and_parameters() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.Conv2d(4, 4, 1, bias=False)))
    named = dict(network.named_parameters())
    changed = with_small_maps(network)
    assert all(one is named[name] for name, one in changed.named_parameters())
    assert [type(one) for one in changed.modules()].count(Convolution) == 2
