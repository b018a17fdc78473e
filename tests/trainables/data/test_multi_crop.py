"""Views beside torchvision's, image by image, with what the draws are for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torchvision.transforms.v2 import functional as peer

from trainables.data import multi_crop
from trainables.data.colour import blur
from trainables.data.crops import TRIES, resized_boxes, strip_boxes, tiled_boxes
from trainables.data.jitter import ORDERS, jitter
from trainables.data.multi_crop import (
    CIFAR,
    DRAWS,
    NOTES,
    OFFICIAL,
    Values,
    jittered,
    multi_crop_large,
    multi_crop_small,
)
from trainables.data.resampling import resized

LARGE, SMALL = (0.4, 1.0), (0.05, 0.4)
KINDS: dict[str, Callable[..., Tensor]] = {
    "large": partial(multi_crop_large, scale=LARGE),
    "small": partial(multi_crop_small, scale=SMALL),
    "vertical": partial(multi_crop_small, scale=SMALL, local="strip_vertical"),
    "jittered": partial(jittered, scale=(0.2, 1.0)),
}
CHANGES: list[Callable[[Tensor, float], Tensor]] = [
    peer.adjust_brightness,
    peer.adjust_contrast,
    peer.adjust_saturation,
    peer.adjust_hue,
]
PLAIN = replace(OFFICIAL, strength=0.0, blurred=(0.0, 0.0, 0.0), solarised=0.0, flips=False)


def images(count: int = 3, channels: int = 3) -> Tensor:
    return torch.rand(count, channels, 24, 32, generator=torch.Generator().manual_seed(0))


def drawn(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def expected(
    crop: Tensor, draws: list[float], values: Values, blurred: float, sol: float
) -> Tensor:
    """What torchvision makes of a view that is cut out and not yet mirrored."""
    flip, jitters, order, *factors, grey, blurs, bright = draws
    crop = peer.horizontal_flip(crop) if flip < 0.5 else crop
    if jitters < 0.8:
        for number in ORDERS[int(24 * order)]:
            reach = values.jitter[number] * (2 * factors[number] - 1)
            crop = CHANGES[number](crop, reach if number == 3 else 1 + reach)
    crop = peer.rgb_to_grayscale(crop, 3) if grey < 0.2 else crop
    if blurs < blurred:
        least, most = values.deviations
        sigma = least + (most - least) * blurs / blurred
        crop = peer.gaussian_blur(crop, [values.kernel] * 2, [sigma] * 2)
    return peer.solarize(crop, 0.5) if bright < sol else crop


@pytest.mark.parametrize("name", ["official", "notes", "cifar"])
@pytest.mark.parametrize("kind", ["large", "small"])
def test_colour_views_are_torchvisions(kind: str, name: str) -> None:
    values, given, draws = multi_crop.VALUES[name], images(), drawn(3, 4, DRAWS)
    values = replace(values, colours_one_channel=True)
    scale, number = (LARGE, (0, 1, 1, 1)) if kind == "large" else (SMALL, (2, 2, 2, 2))
    draws[:, 1:, -1] = torch.tensor([0.1, 0.19, 0.21])
    found = KINDS[kind](given, draws, 16, values=values)
    boxes = resized_boxes(draws[..., : 4 * TRIES].reshape(-1, TRIES, 4), size=(24, 32), scale=scale)
    crops = resized(given, boxes, 16, kernel=values.resampling).clamp(0, 1).unflatten(0, (3, 4))
    for image in range(3):
        for view in range(4):
            own = draws[image, view, 4 * TRIES :].tolist()
            solarised = values.solarised if kind == "large" and view else 0.0
            share = values.blurred[number[view]]
            made = expected(crops[image, view], own, values, share, solarised)
            torch.testing.assert_close(found[image, view], made, rtol=0, atol=2e-5)


def test_colours_in_each_order_are_torchvisions() -> None:
    given, draws = images(24), drawn(24, 4)
    factors = torch.cat([0.6 + 0.8 * draws[:, :3], 0.2 * draws[:, 3:] - 0.1], 1)
    found = jitter(given, factors, torch.arange(24))
    assert sorted(ORDERS)[0] == (0, 1, 2, 3) and len(set(ORDERS)) == 24
    for number, order in enumerate(ORDERS):
        one = given[number]
        for change in order:
            one = CHANGES[change](one, float(factors[number, change]))
        torch.testing.assert_close(found[number], one, rtol=0, atol=5e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_view_depends_on_its_image_and_its_own_draws_alone(kind: str) -> None:
    make, draws = KINDS[kind], drawn(3, 2, DRAWS)
    whole = make(images(), draws, 16)
    assert whole.shape == (3, 2, 3, 16, 16) and 0 <= whole.min() and whole.max() <= 1
    first = make(images()[1:2], draws[1:2, :1], 16)
    torch.testing.assert_close(first[0, 0], whole[1, 0], rtol=0, atol=2e-6)
    assert torch.equal(make(images(), draws, 16), whole), "the same draws, the same views"


def same(found: Tensor, copied: Tensor) -> None:
    """One channel is each of three; the luma of 1, 1, 1 is 0.9999, as torchvision rounds it."""
    assert found.shape[2] == 1
    off = (found - copied).abs() > 2e-3
    assert float(off.float().mean()) < 1e-3, "solarised at the threshold"


@pytest.mark.parametrize("kind", KINDS)
def test_one_channel_is_what_is_made_of_the_image_copied_three_times(kind: str) -> None:
    draws, grey = drawn(3, 5, DRAWS), images(channels=1)
    found = KINDS[kind](grey, draws, 16)
    same(found, KINDS[kind](grey.expand(-1, 3, -1, -1), draws, 16))


def test_the_notes_leave_the_colour_of_one_channel() -> None:
    draws, grey = drawn(2, 3, DRAWS), images(2, channels=1)
    values = replace(NOTES, blurred=(0.0, 0.0, 0.0))
    found = multi_crop_large(grey, draws, 16, scale=LARGE, values=values)
    plain = replace(PLAIN, flips=True)
    assert torch.equal(found, multi_crop_large(grey, draws, 16, scale=LARGE, values=plain))


def test_the_first_view_is_always_blurred_and_never_solarised() -> None:
    given, draws = images(1).expand(300, -1, -1, -1), drawn(300, 2, DRAWS)
    draws[..., 4 * TRIES + 1] = 0.9  # no colours
    draws[..., 4 * TRIES + 7] = 0.9
    for name, value, shares in (
        ("blurred", (0.0, 0.0, 0.0), (1.0, 0.1)),
        ("solarised", 0.0, (0.0, 0.2)),
    ):
        changes: dict[str, Any] = {name: value}
        without = replace(OFFICIAL, **changes)
        both = [
            multi_crop_large(given, draws, 8, scale=LARGE, values=one)
            for one in (OFFICIAL, without)
        ]
        changed = (both[0] != both[1]).flatten(2).any(-1).float().mean(0)
        assert changed.tolist() == pytest.approx(shares, abs=0.06)


def test_a_blur_is_nearly_pillows() -> None:
    pixels = (255 * torch.rand(32, 32, generator=torch.Generator().manual_seed(2))).byte()
    for deviation in (0.5, 1.0, 2.0):
        shown = Image.fromarray(pixels.numpy()).filter(ImageFilter.GaussianBlur(deviation))
        ours = blur(pixels[None, None].float(), torch.tensor([deviation]), OFFICIAL.kernel)
        inner = (ours[0, 0].numpy() - np.asarray(shown, np.float32))[6:-6, 6:-6]
        assert np.abs(inner).mean() < 255 * 0.02


@pytest.mark.parametrize("is_vertical", [True, False])
def test_strips_reach_from_side_to_side(is_vertical: bool) -> None:
    draws = drawn(1000, 2)
    found = strip_boxes(draws, share=(0.15, 0.4), is_vertical=is_vertical)
    along, across = (
        (slice(0, 4, 2), slice(1, 4, 2)) if is_vertical else (slice(1, 4, 2), slice(0, 4, 2))
    )
    assert torch.equal(found[:, along], torch.tensor([[0.0, 1.0]]).expand(1000, 2))
    place, wide = found[:, across].unbind(1)
    assert 0.15 <= wide.min() < 0.16 and 0.39 < wide.max() < 0.4
    torch.testing.assert_close(place, draws[:, 1] * (1 - wide))


def test_a_strip_is_a_strip_of_the_image() -> None:
    draws, given = drawn(3, 2, DRAWS), images()
    draws[..., 0], draws[..., 1] = 0.5, 0.25  # a quarter of the width, at 6 of 24 free pixels
    draws[..., 7 + 4 * TRIES] = 0.9
    make = partial(multi_crop_small, given, draws, 8, scale=(0.1, 0.4), values=PLAIN)
    bands = peer.resize(given[..., 6:14], [8, 8], peer.InterpolationMode.BICUBIC).clamp(0, 1)
    for view in make(local="strip_vertical").unbind(1):
        torch.testing.assert_close(view, bands, rtol=0, atol=1e-5)


def test_five_and_ten_crops_are_torchvisions() -> None:
    draws, given = drawn(2, 10, DRAWS), images(2)
    draws[..., 7 + 4 * TRIES] = 0.9
    make = partial(multi_crop_small, given, scale=(0.25, 0.25), values=PLAIN)
    crops = torch.stack(peer.five_crop(given, [12, 16]), 1)
    small = peer.resize(crops.flatten(0, 1), [12, 12], peer.InterpolationMode.BICUBIC)
    small = small.clamp(0, 1).unflatten(0, (2, 5))
    five = make(draws[:, :5], 12, local="five")
    torch.testing.assert_close(five, small, rtol=0, atol=1e-5)
    ten = make(draws, 12, local="ten")
    torch.testing.assert_close(ten, torch.cat([small, small.flip(-1)], 1), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="local 'five' needs 5 views, got 10"):
        make(draws, 12, local="five")


def test_corners_touch_the_border_whatever_their_area() -> None:
    found = tiled_boxes(drawn(50, 5), area=(0.09, 0.25))
    side = found[..., 2]
    assert torch.equal(side, found[..., 3]) and 0.3 <= side.min() and side.max() <= 0.5
    torch.testing.assert_close(found[:, 3, :2] + side[:, 3, None], torch.ones(50, 2))
    torch.testing.assert_close(found[:, 4, :2] + side[:, 4, None] / 2, torch.full((50, 2), 0.5))


def test_the_recipe_for_cifar_blurs_and_solarises_nothing() -> None:
    assert CIFAR.blurred == (0, 0, 0) and CIFAR.solarised == 0 and CIFAR.jitter[3] == 0.1
    draws = drawn(2, 4, DRAWS)
    draws[..., 4 * TRIES + 1], draws[..., 4 * TRIES + 7] = 0.8, 0.2
    found = jittered(images(2), draws, 16, scale=(0.2, 1.0))
    plain = replace(PLAIN, resampling="bilinear", flips=True)
    assert torch.equal(found, jittered(images(2), draws, 16, scale=(0.2, 1.0), values=plain))


def test_values_have_names() -> None:
    found = multi_crop.named("official", strength=0.5, blurs=False, flips=False)
    assert found == replace(OFFICIAL, strength=0.5, blurred=(0.0, 0.0, 0.0), flips=False)
    assert multi_crop.named("notes") == NOTES
    with pytest.raises(LookupError, match="values must be one of official, notes, cifar, got 'c'"):
        multi_crop.named("c")
