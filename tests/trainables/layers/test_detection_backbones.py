"""Backbones of detectors: the last map as the libraries have it, and which layers learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import nn

from trainables.layers import pretrained
from trainables.layers.detection_backbones import DEVIATION, MEAN, DetectionBackbone
from trainables.layers.weights import Weights, locate

IMAGES = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def saved_resnet(path: Path) -> tuple[Any, Weights]:
    """torchvision's ResNet-18 with statistics of its own, and a file of it."""
    torch.manual_seed(0)
    network = torchvision.models.resnet18()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    torch.save(network.state_dict(), path / "weights.pth")
    return network.eval(), Weights(path / "weights.pth")


def trained(backbone: DetectionBackbone) -> list[str]:
    named = backbone.network.named_parameters()
    found = (name.partition(".")[0] for name, one in named if one.requires_grad)
    return list(dict.fromkeys(found))


@torch.no_grad()
def test_a_resnet_has_the_map_of_torchvision(tmp_path: Path) -> None:
    network, weights = saved_resnet(tmp_path)
    backbone = DetectionBackbone(name="resnet18", weights=weights)
    body = nn.Sequential(*list(network.children())[:-2])
    found = backbone.double()(IMAGES.double())
    torch.testing.assert_close(found, body.double()(IMAGES.double()))
    assert (backbone.channels, backbone.stride) == (512, 32)


def test_first_layers_are_frozen_unless_stated() -> None:
    with torch.device("meta"):
        assert trained(DetectionBackbone(name="resnet18")) == ["layer2", "layer3", "layer4"]
        assert trained(DetectionBackbone(name="resnet18", trained_layers=["layer4"])) == ["layer4"]
        assert trained(DetectionBackbone(name="resnet18", trained_layers=[])) == []
        assert trained(DetectionBackbone(name="resnet10t", trained_layers=["layer3"])) == ["layer3"]


@pytest.mark.parametrize(("name", "stride"), [("resnet50", 32), ("resnet50.a1_in1k", 32)])
@pytest.mark.parametrize("dilation", [False, True])
def test_dilation_doubles_the_grid(name: str, stride: int, dilation: bool) -> None:
    with torch.device("meta"):
        backbone = DetectionBackbone(name=name, dilation=dilation)
        found = backbone(torch.empty(1, 3, 100, 64))
    assert backbone.stride == (stride // 2 if dilation else stride)
    assert found.shape == (1, 2048, *((7, 4) if dilation else (4, 2)))


@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
def test_basic_blocks_cannot_have_dilation(name: str) -> None:
    with pytest.raises(ValueError, match=f"dilation must be false with {name}, .* take resnet50"):
        DetectionBackbone(name=name, dilation=True)


@torch.no_grad()
def test_a_network_of_timm_has_its_own_map_and_constants() -> None:
    """Of `tf_efficientnet_lite0` with the weights of its package, as images of 0 … 1 have it."""
    weights = locate("tf_efficientnet_lite0", None)
    backbone = DetectionBackbone(name="tf_efficientnet_lite0", weights=weights)
    network: Any = timm.create_model("tf_efficientnet_lite0").eval()
    network.load_state_dict(pretrained.read(weights, "tf_efficientnet_lite0"))
    pixels = torch.rand(2, 3, 64, 64)
    mean, deviation = (torch.tensor(one)[:, None, None] for one in (MEAN, DEVIATION))
    own = network.pretrained_cfg
    expected = (pixels - torch.tensor(own["mean"])[:, None, None]) / own["std"][0]
    for stage in (network.conv_stem, network.bn1, network.blocks):
        expected = stage(expected)
    found = backbone((pixels - mean) / deviation)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert (backbone.channels, backbone.stride) == (320, 32)
    assert backbone.facts() == weights.facts()


def test_maps_of_swin_have_channels_first() -> None:
    with torch.device("meta"):
        backbone = DetectionBackbone(name="swin_tiny_patch4_window7_224")
        found = backbone(torch.randn(1, 3, 224, 224))
    assert found.shape == (1, backbone.channels, 7, 7)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    network, weights = saved_resnet(tmp_path)
    torch.save(dict(list(network.state_dict().items())[:9]), tmp_path / "some.pth")
    with pytest.raises(ValueError, match="weights_file must hold the weights of resnet18, got"):
        DetectionBackbone(name="resnet18", weights=Weights(tmp_path / "some.pth"))
    with pytest.raises(ValueError, match="weights_file must hold the weights of resnet10t, got"):
        DetectionBackbone(name="resnet10t", weights=weights)


def test_names_that_are_not_known_are_said() -> None:
    with torch.device("meta"), pytest.raises(LookupError, match=r"of conv1, layer1, .*'layer5'"):
        DetectionBackbone(name="resnet18", trained_layers=["layer5"])
    with pytest.raises(ValueError, match="name must be"):
        DetectionBackbone(name="resnet1")
