"""Residual networks for small images, and the small ones beside them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from trainables.layers.residual import Block, Residual, scaled
from trainables.layers.shallow import Convolution, Perceptron


@pytest.mark.parametrize(("depth", "number"), [(20, 269_722), (56, 853_018), (110, 1_727_962)])
def test_networks_have_the_parameters_that_were_published(depth: int, number: int) -> None:
    """0.27, 0.85 and 1.7 million for CIFAR-10 (He et al. 2016, table 6)."""
    with torch.device("meta"):
        network = Residual(channels=3, classes=10, depth=depth)
    assert sum(one.numel() for one in network.parameters()) == number


def test_skips_have_no_parameters_and_are_all_that_differs() -> None:
    names = [
        set(Residual(channels=1, classes=4, depth=8, skips=skips).state_dict())
        for skips in (True, False)
    ]
    assert names[0] == names[1]


@pytest.mark.parametrize("skips", [True, False])
def test_a_block_that_computes_nothing_gives_what_it_was_given_if_it_skips(skips: bool) -> None:
    """Positive maps, twice as many channels and half the side: padded with zeros on both sides."""
    block = Block(4, 8, stride=2, skips=skips)
    nn.init.zeros_(block.second[1].weight)  # pyright: ignore[reportArgumentType]
    maps = torch.rand(2, 4, 6, 6)
    expected = torch.zeros(2, 8, 3, 3)
    if skips:
        expected[:, 2:6] = maps[:, :, ::2, ::2]
    assert torch.equal(block(maps), expected)


def test_a_block_is_its_formula() -> None:
    torch.manual_seed(0)
    block: Any = Block(3, 3, stride=1, skips=True).eval()
    maps = torch.randn(2, 3, 5, 5)
    first, second = (part[0].weight for part in (block.first, block.second))
    inner = functional.conv2d(maps, first, padding=1) / (1 + 1e-5) ** 0.5
    outer = functional.conv2d(inner.relu(), second, padding=1) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(block(maps), (maps + outer).relu(), rtol=1e-5, atol=1e-5)


def test_a_depth_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="depth must be 6n . 2, such as 8, 20 or 56, got 54"):
        Residual(channels=1, classes=2, depth=54)


def test_images_are_scaled_up_first() -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 1, 8, 8)
    for network in (
        Residual(channels=1, classes=3, depth=8, width=4, scale_to=16).eval(),
        Convolution(image_size=8, channels=1, classes=3, scale_to=16),
        Perceptron(image_size=8, channels=1, classes=3, scale_to=16),
    ):
        large = functional.interpolate(images, size=(16, 16), mode="bilinear")
        assert torch.equal(network(images), network(large))
    assert scaled(images, None) is images


def test_one_convolution_is_its_formula() -> None:
    torch.manual_seed(0)
    network, images = Convolution(image_size=6, channels=3, classes=4), torch.randn(2, 3, 6, 6)
    kept = network.convolution
    maps = functional.conv2d(images, kept.weight, kept.bias, padding=1).clamp(min=0)
    assert isinstance(network.head, nn.Linear) and kept.out_channels == 10
    expected = maps.reshape(2, 360) @ network.head.weight.T + network.head.bias
    torch.testing.assert_close(network(images), expected)


def test_a_perceptron_has_so_many_hidden_layers() -> None:
    network = Perceptron(image_size=4, channels=2, classes=5, width=7, layers=3)
    shapes = [tuple(one.shape) for one in network.parameters() if one.ndim == 2]
    assert shapes == [(7, 32), (7, 7), (7, 7), (5, 7)]
    assert network.embed(torch.randn(3, 2, 4, 4)).min() >= 0
