"""The decoders: against the same layers, applied one after the other to slots on a grid."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.layers.broadcast import BroadcastDecoder, Drawn, compose

SIDES = {"expanding": 8, "stationary": 7, "up_convolve": 8}
POSITIONS: list[dict[str, Any]] = [
    {},
    {"combines": "concatenate"},
    {"weight": 2.0},
    {"normalizes": True, "weight": 0.5},
    {"learned_width": 2},
    {"learned_width": 3, "combines": "concatenate", "normalizes": True},
]


def decoder(kind: str, **settings: Any) -> BroadcastDecoder:
    """A small one, double precision, with biases that are not 0."""
    torch.manual_seed(0)
    values: dict[str, Any] = {"image_size": SIDES[kind], "slot_width": 3, "channels": 4}
    made = BroadcastDecoder(**{**values, "doublings": 2, **settings}, kind=kind).double()  # pyright: ignore[reportArgumentType]
    for parameter in made.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter)
    return made


def slots(count: int = 2, images: int = 2) -> Tensor:
    """Slots [images, count, 3]."""
    return torch.randn(
        images, count, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    ).requires_grad_()


def turned(weight: Tensor) -> Tensor:
    """The kernel with which a convolution is a transposed one of stride 1, and the other way."""
    return weight.transpose(0, 1).flip(2, 3)


def with_zeros(maps: Tensor) -> Tensor:
    """Maps [M, C, h, w] with zeros put between, [M, C, 2h, 2w]."""
    wide = maps.new_zeros(*maps.shape[:2], 2 * maps.shape[2], 2 * maps.shape[3])
    wide[:, :, ::2, ::2] = maps
    return wide


def slowly(made: BroadcastDecoder, kind: str, given: Tensor) -> Drawn:
    """What slots draw, as the papers say it: a grid of slots, positions, and layer after layer."""
    side = made.positions.size[0]
    maps = made.positions(given.flatten(0, 1)[:, :, None, None].expand(-1, -1, side, side))
    for layer in (made.first.layer, *made.layers):
        assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        weight, bias, padding = layer.weight, layer.bias, layer.kernel_size[0] // 2
        if kind == "up_convolve":
            maps = functional.conv2d(with_zeros(maps), turned(weight), bias, padding=padding)
        elif isinstance(layer, nn.ConvTranspose2d):
            maps = functional.conv_transpose2d(maps, weight, bias, 2, padding, 1)
        else:
            maps = functional.conv_transpose2d(maps, turned(weight), bias, 1, padding)
        maps = maps.relu()
    drawn = functional.conv_transpose2d(maps, turned(made.last.weight), made.last.bias, 1, 1)
    drawn = drawn.unflatten(0, given.shape[:2])
    return Drawn(drawn[:, :, :3], drawn[:, :, 3])


@pytest.mark.parametrize("settings", POSITIONS, ids=str)
@pytest.mark.parametrize("kind", SIDES)
def test_slots_draw_what_the_layers_make_of_a_grid_of_them(
    kind: str, settings: dict[str, Any]
) -> None:
    made, given = decoder(kind, **settings), slots()
    for ours, theirs in zip(made(given), slowly(made, kind, given), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("settings", POSITIONS, ids=str)
@pytest.mark.parametrize("kind", SIDES)
def test_its_gradients_are_those_of_the_layers(kind: str, settings: dict[str, Any]) -> None:
    made, given = decoder(kind, **settings), slots()
    wanted = [given, *made.parameters()]
    found = [
        torch.autograd.grad(compose(drawn)[0].square().sum(), wanted)
        for drawn in (made(given), slowly(made, kind, given))
    ]
    assert all(torch.allclose(*pair, atol=1e-11) for pair in zip(*found, strict=True))


@pytest.mark.parametrize("kernel_size", [1, 3, 7])
@pytest.mark.parametrize("kind", SIDES)
def test_other_kernels_are_as_exact(kind: str, kernel_size: int) -> None:
    made, given = decoder(kind, kernel_size=kernel_size), slots()
    assert torch.allclose(made(given).images, slowly(made, kind, given).images, atol=1e-12)


def test_a_grid_may_be_smaller_than_a_kernel() -> None:
    made, given = decoder("stationary", image_size=2), slots()
    assert torch.allclose(made(given).images, slowly(made, "stationary", given).images, atol=1e-12)


@pytest.mark.parametrize("kind", SIDES)
def test_a_slot_draws_the_same_whatever_stands_beside_it(kind: str) -> None:
    made, given = decoder(kind), slots(3)
    turned_round = made(given.flip(1)).logits.flip(1)
    assert torch.allclose(turned_round, made(given).logits, atol=1e-12)


def test_what_is_drawn_in_half_precision_leaves_in_single() -> None:
    made = decoder("expanding").float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        images, logits = made(slots().float())
    assert (images.dtype, logits.dtype) == (torch.float32, torch.float32)
    assert torch.allclose(images, made(slots().float()).images, atol=0.1)


def test_of_equal_logits_all_slots_are_mixed_equally() -> None:
    images = torch.rand(1, 4, 3, 2, 2)
    whole, masks = compose(Drawn(images, torch.ones(1, 4, 2, 2)))
    assert torch.allclose(whole, images.mean(1))
    assert torch.equal(masks, torch.full((1, 4, 2, 2), 0.25))


def test_a_slot_with_a_far_higher_logit_is_alone_to_be_seen() -> None:
    images, logits = torch.rand(1, 3, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    logits[:, 1] = 200
    whole, masks = compose(Drawn(images, logits))
    assert torch.equal(whole, images[:, 1])
    assert torch.equal(masks.argmax(1), torch.ones(1, 2, 2, dtype=torch.int64))


@pytest.mark.parametrize("kind", SIDES)
def test_it_is_built_without_memory(kind: str) -> None:
    with torch.device("meta"):
        made = BroadcastDecoder(image_size=16, kind=kind)  # pyright: ignore[reportArgumentType]
    assert all(parameter.is_meta for parameter in made.parameters())


def test_a_side_must_be_doubled_to_the_size() -> None:
    assert decoder("expanding", image_size=12).positions.size == (3, 3)
    with pytest.raises(ValueError, match="image_size must be a multiple of 4 .* got 14"):
        decoder("expanding", image_size=14)


def test_a_kernel_must_have_a_middle() -> None:
    with pytest.raises(ValueError, match="kernel_size must be odd, got 4"):
        decoder("stationary", kernel_size=4)


def test_a_misspelt_kind_is_answered_with_those_there_are() -> None:
    with pytest.raises(LookupError, match="expanding, stationary, up_convolve, got 'growing'"):
        BroadcastDecoder(image_size=8, kind="growing")  # pyright: ignore[reportArgumentType]
