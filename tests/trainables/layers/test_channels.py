"""One channel for weights of three: each mode against its formula, on a whole network."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from trainables.layers.backbones import Backbone, normalisation, takes
from trainables.layers.channels import ChannelMode, take_one_channel
from trainables.layers.weights import Weights, locate

SMALL = "test_resnet"
IMAGES = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
"""Pixels, 0…1."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "weights.pth"
    torch.save(timm.create_model(SMALL).state_dict(), path)
    return locate(SMALL, str(path))


def network(weights: Weights, mode: ChannelMode, channels: int = 1, **more: Any) -> Backbone:
    """In evaluation mode, for pixels as they are."""
    sizes: dict[str, Any] = {"image_size": 32, "channels": channels, "classes": 2, **more}
    found = Backbone(name=SMALL, weights=weights, channel_mode=mode, **sizes).eval()
    found.standardised_by(0.0, 1.0)
    return found


def normalised(mode: ChannelMode = "sum") -> Tensor:
    mean, deviation = normalisation(SMALL, 1, mode)
    return (IMAGES - mean) / deviation


def of_three(colours: Tensor, weights: Weights) -> Tensor:
    """What the network of three channels finds in images that are normalised [B, 3, H, W]."""
    return network(weights, "sum", channels=3).body(colours)


@pytest.mark.parametrize("mode", ["copy3", "sum", "stem1to3"])
def test_copies_the_sum_and_a_stem_at_its_start_are_one(
    mode: ChannelMode, weights: Weights
) -> None:
    copied = normalised().expand(-1, 3, -1, -1)
    found = network(weights, mode).embed(IMAGES)
    torch.testing.assert_close(found, of_three(copied, weights), rtol=1e-5, atol=1e-5)


def test_the_mean_is_a_third_of_the_copies(weights: Weights) -> None:
    copied = normalised().expand(-1, 3, -1, -1)
    found = network(weights, "mean").embed(IMAGES)
    torch.testing.assert_close(found, of_three(copied / 3, weights), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("place", "mode"), list(enumerate(["red", "green", "blue"])))
def test_a_colour_is_that_colour_alone(place: int, mode: Any, weights: Weights) -> None:
    colours = torch.zeros(3, 3, 32, 32)
    colours[:, place] = normalised(mode)[:, 0]
    found = network(weights, mode).embed(IMAGES)
    torch.testing.assert_close(found, of_three(colours, weights), rtol=1e-5, atol=1e-5)


def test_pixels_are_normalised_as_those_of_the_colour_or_as_they_are_on_average() -> None:
    means = {"red": 0.485, "green": 0.456, "blue": 0.406, "copy3": 0.449}
    deviations = {"red": 0.229, "green": 0.224, "blue": 0.225, "copy3": 0.226}
    modes: list[ChannelMode] = ["red", "green", "blue", "copy3"]
    for mode in modes:
        found = normalisation("resnet18", 1, mode)
        assert [float(one) for one in found] == pytest.approx([means[mode], deviations[mode]])


def test_a_stem_learns_and_what_is_frozen_does_not(weights: Weights) -> None:
    learning = network(weights, "stem1to3")
    learning.embed(IMAGES).square().sum().backward()
    assert learning.front is not None
    [weight] = learning.front.parameters()
    assert weight.shape == (3, 1, 1, 1) and weight.grad is not None and weight.grad.abs().min() > 0
    frozen = network(weights, "stem1to3", is_frozen=True)
    assert [name for name, one in frozen.named_parameters() if one.requires_grad] == [
        "head.weight",
        "head.bias",
    ]


def test_where_there_is_nothing_to_take_the_mode_changes_nothing(weights: Weights) -> None:
    for given, channels in ((weights, 3), (None, 1)):
        torch.manual_seed(0)
        plain = Backbone(
            name=SMALL, image_size=32, channels=channels, classes=2, weights=given
        ).state_dict()
        torch.manual_seed(0)
        red = Backbone(
            name=SMALL,
            image_size=32,
            channels=channels,
            classes=2,
            weights=given,
            channel_mode="red",
        ).state_dict()
        assert plain.keys() == red.keys() and all(torch.equal(plain[n], red[n]) for n in plain)


@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "test_efficientnet"])
def test_first_layers_of_other_networks_are_found_by_timms_name(name: str) -> None:
    body: Any = timm.create_model(name).eval()
    first = str(body.pretrained_cfg["first_conv"])
    side = 160
    images = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(2))
    images[:, ::2] = 0
    expected = body(images)
    take_one_channel(body, first, "green")
    torch.testing.assert_close(body(images[:, 1:2]), expected, rtol=1e-4, atol=1e-5)


def test_a_network_without_such_a_layer_is_refused() -> None:
    for layer in (nn.Linear(3, 2), nn.Conv2d(4, 2, 1)):
        with pytest.raises(ValueError, match="channel_mode must be copy3, stem1to3 or sum"):
            take_one_channel(nn.Sequential(layer), "0", "blue")


def test_a_network_says_from_which_side_on_it_takes_images() -> None:
    assert not takes("test_convnext", 16) and takes("test_convnext", 32)
