"""A residual network that becomes ConvNeXt, against both, and the costs that were published."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from trainables.layers.modern_resnet import ChannelNorm, ModernBlock, ModernResNet

RATIO = {"blocks": (3, 3, 9, 3)}
PATCHES = {**RATIO, "stem": "patches"}
DEPTHWISE = {**PATCHES, "depthwise": True}
WIDE = {**DEPTHWISE, "width": 96}
INVERTED = {**WIDE, "inverted": True}
FIRST = {**INVERTED, "depthwise_first": True}
KERNEL = {**FIRST, "kernel_size": 7}
GELU = {**KERNEL, "activation": "gelu"}
ACTIVATIONS = {**GELU, "fewer_activations": True}
NORMS = {**ACTIVATIONS, "fewer_norms": True}
LAYER = {**NORMS, "norm": "layer"}
CONVNEXT: dict[str, Any] = {**LAYER, "separate_downsampling": True, "layer_scale": 1e-6}


def network(channels: int = 3, classes: int = 1000, **values: Any) -> ModernResNet:
    """The network with these choices."""
    return ModernResNet(channels=channels, classes=classes, **values)


def multiplications(values: dict[str, Any]) -> float:
    """By convolutions and the last layer, of 224 × 224 pixels, in thousand millions."""
    found = 0

    def count(module: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal found
        weight = module.get_parameter("weight")
        found += output.numel() * weight[0].numel()

    with torch.device("meta"):
        made = network(**values).eval()
        for part in made.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                part.register_forward_hook(count)
        made(torch.empty(1, 3, 224, 224))
    return found / 1e9


@pytest.mark.parametrize(
    ("values", "published"),
    [
        ({}, 4.09),
        (RATIO, 4.53),
        (PATCHES, 4.42),
        (DEPTHWISE, 2.35),
        (WIDE, 5.27),
        (INVERTED, 4.64),
        (FIRST, 4.07),
        ({**FIRST, "kernel_size": 5}, 4.10),
        (KERNEL, 4.15),
        ({**FIRST, "kernel_size": 9}, 4.21),
        ({**FIRST, "kernel_size": 11}, 4.29),
        (NORMS, 4.15),
        (LAYER, 4.15),
    ],
)
def test_steps_cost_what_was_published(values: dict[str, Any], published: float) -> None:
    """Liu et al. 2022, table 10, in multiplications with additions; norms count nothing here."""
    assert round(multiplications(values), 2) == pytest.approx(published, abs=0.011)


def test_convnext_costs_what_was_published() -> None:
    """4.5 (table 1), with norms."""
    assert round(multiplications(CONVNEXT), 1) == 4.5


@pytest.mark.parametrize(
    ("values", "number"), [({}, 25_557_032), (CONVNEXT, 28_589_128)], ids=["resnet", "convnext"]
)
def test_both_ends_have_the_parameters_that_were_published(
    values: dict[str, Any], number: int
) -> None:
    """25.6 and 28.6 million: those of torchvision's `resnet50` and timm's `convnext_tiny`."""
    with torch.device("meta"):
        made = network(**values)
    assert sum(one.numel() for one in made.parameters()) == number


@torch.no_grad()
def copied(made: nn.Module, weights: list[Tensor]) -> None:
    """Gives a network these weights, in its own order."""
    for own, other in zip(made.parameters(), weights, strict=True):
        own.copy_(other.reshape(own.shape))


def test_without_choices_it_is_torchvisions_resnet() -> None:
    torch.manual_seed(0)
    theirs, ours = (
        ResNet(Bottleneck, [2, 1, 1, 1], num_classes=7),
        network(classes=7, blocks=(2, 1, 1, 1)),
    )
    copied(ours, list(theirs.parameters()))
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-5)


def test_with_all_choices_it_is_timms_convnext() -> None:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"depths": (1, 1, 2, 1), "dims": (8, 16, 32, 64)}
    theirs = timm.create_model("convnext_tiny", num_classes=7, **sizes).eval()
    for one in theirs.parameters():
        nn.init.normal_(one, std=0.3)
    named: dict[str, Any] = {**CONVNEXT, "width": 8, "blocks": (1, 1, 2, 1)}
    ours = network(classes=7, **named).eval()
    copied(ours, [one for _, one in theirs.named_parameters()])
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)


def branch(block: ModernBlock) -> list[str]:
    """The kinds of its layers in their order."""
    return [type(part).__name__ for part in block.branch]


def test_blocks_have_the_layers_that_are_drawn() -> None:
    """Liu et al. 2022, figure 4: of ResNet, and of ConvNeXt."""
    conv, norm = "Conv2d", "BatchNorm2d"
    ends: tuple[dict[str, Any], ...] = ({}, CONVNEXT)
    with torch.device("meta"):
        before, behind = (network(**values).blocks[0] for values in ends)
    assert isinstance(before, ModernBlock) and isinstance(behind, ModernBlock)
    assert branch(before) == [conv, norm, "ReLU", conv, norm, "ReLU", conv, norm]
    assert branch(behind) == [conv, "ChannelNorm", conv, "GELU", conv]
    assert isinstance(before.last, nn.ReLU) and isinstance(behind.last, nn.Identity)


def test_a_norm_of_channels_is_of_each_place() -> None:
    torch.manual_seed(0)
    maps, norm = torch.randn(2, 5, 3, 4), ChannelNorm(5, eps=1e-6)
    nn.init.normal_(norm.weight)
    centred = maps - maps.mean(1, keepdim=True)
    expected = centred / (maps.var(1, unbiased=False, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(norm(maps), expected * norm.weight[:, None, None])


def test_paths_are_dropped_from_the_second_block_on() -> None:
    with torch.device("meta"):
        made = network(blocks=(1, 2, 1, 1), drop_path=0.4)
    rates = [one.drop_path.rate for one in made.blocks if isinstance(one, ModernBlock)]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


def test_what_is_no_choice_is_refused() -> None:
    with pytest.raises(LookupError, match="stem must be one of pool, patches, got 'tiered'"):
        network(stem="tiered")
    with pytest.raises(ValueError, match="kernel_size must be odd, got 4"):
        network(kernel_size=4)
