"""Feature maps from frozen networks, against timm's own and against features of patches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainables.layers.backbones import drawn, normalisation
from trainables.layers.frozen_maps import FrozenMaps, MapShape, map_shape, seen_size
from trainables.layers.patches import PatchFeatures


def images(height: int = 32, width: int = 32) -> Tensor:
    """Two images in 0…1."""
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("layer", [1, 3])
def test_maps_of_a_transformer_are_its_features_of_patches(layer: int) -> None:
    maps = FrozenMaps(name="test_vit", weights=None, image_size=(32, 32), layer=layer)
    patches = PatchFeatures(name="test_vit", weights=None, image_size=32, layer=layer)
    found = maps(images())
    assert found.shape == (2, *maps.shape[2:3], *maps.shape[:2])
    torch.testing.assert_close(found.flatten(2).mT, patches(images() * 2 - 1))


def test_maps_of_a_convolutional_network_are_those_of_its_stages() -> None:
    maps = FrozenMaps(name="test_resnet", weights=None, image_size=(32, 64), layer=2)
    network = drawn("test_resnet", {}).eval()
    mean, deviation = (one[:, None, None] for one in normalisation("test_resnet", 3))
    with torch.no_grad():
        stages = network.forward_intermediates(  # pyright: ignore[reportCallIssue]
            (images(32, 64) - mean) / deviation, intermediates_only=True
        )
    torch.testing.assert_close(maps(images(32, 64)), stages[-2])
    assert maps.shape == MapShape(2, 4, 192, 5)


def test_images_of_another_size_are_scaled_before() -> None:
    maps = FrozenMaps(name="test_vit", weights=None, image_size=(32, 48))
    seen = functional.interpolate(
        images(20, 30), (32, 48), mode="bicubic", align_corners=False, antialias=True
    )
    assert maps(seen).shape[2:] == (2, 3)
    torch.testing.assert_close(maps(images(20, 30)), maps(seen))


def test_proportions_are_kept_in_whole_patches() -> None:
    assert seen_size("test_vit", (50, 80), 32) == (32, 48)
    assert seen_size("test_vit", (64, 64), None)[0] == seen_size("test_vit", (9, 9), None)[1]
    assert seen_size("test_resnet", (512, 640), 64) == (64, 80)


def test_a_layer_that_is_not_there_and_a_size_that_does_not_fit_are_refused() -> None:
    assert map_shape("test_vit", (32, 32), 6).depth == 6
    with pytest.raises(ValueError, match="layer must be at most the 6 maps of test_vit, got 7"):
        map_shape("test_vit", (32, 32), 7)
    with pytest.raises(ValueError, match="maps of images of 8 × 8, got test_vit, which fails"):
        map_shape("test_vit", (8, 8), 1)
    with pytest.raises(ValueError, match="name must be a network of timm"):
        map_shape("test_vitt", (32, 32), 1)


def test_keys_are_what_attention_compares_with() -> None:
    maps = FrozenMaps(name="test_vit", weights=None, image_size=(32, 48), layer=2, kind="keys")
    network: Any = drawn("test_vit", {"img_size": (32, 48)}).eval()
    mean, deviation = (one[:, None, None] for one in normalisation("test_vit", 3))
    seen: list[Tensor] = []
    block = network.blocks[4]
    block.attn.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        network((images(32, 48) - mean) / deviation)
        weight, bias = (one[64:128] for one in (block.attn.qkv.weight, block.attn.qkv.bias))
        expected = (seen[0] @ weight.T + bias)[:, 1:]
    torch.testing.assert_close(maps(images(32, 48)).flatten(2).mT, expected)
    with pytest.raises(ValueError, match="kind must be 'outputs' with test_resnet, whose blocks"):
        map_shape("test_resnet", (32, 32), 1, "keys")
    with pytest.raises(LookupError, match="kind must be"):
        FrozenMaps(name="test_vit", weights=None, image_size=(32, 32), kind="queries")  # pyright: ignore[reportArgumentType]
