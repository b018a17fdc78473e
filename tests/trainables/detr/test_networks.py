"""DETR: its size to the unit, what padding changes, and the published names of its weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.trainables.detr.published import published
from trainables.detr.networks import DETR, Count
from trainables.layers.detection_backbones import DetectionBackbone
from trainables.layers.recording import recorded

SIZES = torch.tensor([[64, 96], [40, 50]])
IMAGES = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
IMAGES[1, :, 40:] = IMAGES[1, :, :, 50:] = 0
TRANSFORMER = 17_363_968
"""Parameters of six and six layers, pre-norm, as the published code has them."""


def small(**changes: Any) -> DETR:
    torch.manual_seed(0)
    backbone = DetectionBackbone(name="resnet10t")
    sizes: dict[str, Any] = {"width": 16, "heads": 2, "encoder_layers": 2, "decoder_layers": 2}
    sizes |= {"mlp_ratio": 2, "num_queries": 5, "num_classes": 7}
    return DETR(backbone=backbone, **(sizes | changes))


def counts(name: str, **changes: Any) -> dict[str, Count]:
    with torch.device("meta"):
        network = DETR(backbone=DetectionBackbone(name=name), num_classes=91, **changes)
    return {row.part: row for row in network.describe()}


@pytest.mark.parametrize(
    ("name", "norm", "trainable", "frozen"),
    [
        ("resnet50", "pre", 41_302_880, 222_400),
        ("resnet50", "post", 41_302_368, 222_400),
        ("resnet34", "pre", 38_714_208, 230_592),
        ("resnet18", "pre", 28_687_200, 156_864),
        ("resnet18", "post", 28_686_688, 156_864),
    ],
)
def test_it_has_as_many_parameters_as_the_published_network(
    name: str, norm: Any, trainable: int, frozen: int
) -> None:
    assert counts(name, norm=norm)["whole"] == Count("whole", trainable, frozen)


def test_its_parts_have_as_many_parameters_as_published() -> None:
    found = counts("resnet50", norm="pre")
    assert found["encoder"].trainable + found["decoder"].trainable == TRANSFORMER
    assert {name: row.trainable for name, row in found.items() if "coder" not in name} == {
        "backbone": 23_232_512,
        "projection": 524_544,
        "queries": 25_600,
        "class_head": 23_644,
        "box_head": 132_612,
        "whole": 41_302_880,
    }
    assert found["backbone"].frozen == 222_400


@torch.no_grad()
def test_an_image_is_seen_the_same_without_its_padding_on_the_grid() -> None:
    """A picture of 64 × 64 alone, and with three more columns of cells that are padding.

    The backbone is one that looks at no cell beside another.
    """
    network = small().double().eval()
    network.backbone.forward = lambda images: images[:, :1, ::32, ::32].expand(  # pyright: ignore
        -1, network.backbone.channels, -1, -1
    )
    alone = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    padded = torch.cat([alone, torch.randn(1, 3, 64, 96, dtype=torch.float64)], 3)
    sizes = torch.tensor([[64, 64]])
    found, expected = network(padded, sizes), network(alone, sizes)
    torch.testing.assert_close(found.logits, expected.logits)
    torch.testing.assert_close(found.boxes, expected.boxes)


@torch.no_grad()
def test_all_layers_predict_and_the_heads_are_the_same() -> None:
    network = small().eval()
    seen: list[Any] = []
    network.decoder.register_forward_hook(lambda module, inputs, found: seen.append(found))
    found = network(IMAGES, SIZES)
    assert found.logits.shape == (2, 2, 5, 8)
    for layer in range(2):
        torch.testing.assert_close(network.class_head(seen[0][layer]), found.logits[layer])
        boxes = network.box_head(seen[0][layer]).sigmoid()
        torch.testing.assert_close(boxes, found.boxes[layer])


@torch.no_grad()
def test_no_attention_is_paid_to_padding() -> None:
    network = small().eval()
    with recorded(network) as recording:
        network(IMAGES, SIZES)
        maps = recording.take()
    padding = torch.tensor([[False] * 6, [False, False, True, False, False, True]])
    names = [name for name in maps if "cross" in name or "encoder" in name]
    assert len(names) == 4
    for name in names:
        [weights] = maps[name]
        assert not weights[1][..., padding[1]].any()
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))


def test_every_parameter_that_learns_has_a_gradient() -> None:
    network = small(positions="learned", norm="pre")
    found = network(IMAGES, SIZES)
    (found.logits.square().sum() + found.boxes.sum()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("positions", ["sine", "learned"])
def test_published_weights_load_by_name(positions: Any) -> None:
    first, second = small(positions=positions), small(positions=positions)
    for parameter in first.parameters():
        parameter.data += 1
    second.load_official(published(first))
    for name, one in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], one), name


def test_published_weights_that_do_not_fit_are_said() -> None:
    state = published(small())
    with pytest.raises(ValueError, match="num_classes must be that of the weights, 7, .* got 91"):
        small(num_classes=91).load_official(state)
    with pytest.raises(ValueError, match="num_queries must be that of the weights, 5, .* got 9"):
        small(num_queries=9).load_official(state)
    with pytest.raises(
        ValueError, match="width must be that of the weights, 16, to load them, got 32"
    ):
        small(width=32).load_official(state)
    with pytest.raises(
        ValueError, match="norm must be that of the weights, post, to load them, got pre"
    ):
        small(norm="pre").load_official(state)
    with pytest.raises(ValueError, match="encoder_layers must be that of the weights, 2, to load"):
        small(encoder_layers=1).load_official(state)


def test_positions_that_are_not_known_are_said() -> None:
    with pytest.raises(LookupError, match="positions must be one of sine, learned, got 'none'"):
        small(positions="none")
