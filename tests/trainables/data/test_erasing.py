"""Random erasing and cutout against loops over single images, with torchvision's own erasing."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from trainables.core.randomness import uniform
from trainables.data.erasing import ERASE, cutout, erase


def pictures(count: int) -> Tensor:
    """Images without a zero."""
    made = torch.rand(count, 3, 12, 17, generator=torch.Generator().manual_seed(0))
    return made + 0.5


def draws(count: int, number: int) -> Tensor:
    """Their draws."""
    return uniform(0, "erasing", 1, torch.arange(count), number)


def rectangle(row: list[float], area: tuple[float, float]) -> tuple[int, int, int, int] | None:
    """The first of ten tries that fits, as torchvision's `RandomErasing` draws them."""
    for of_area, of_ratio, of_top, of_left in (row[k : k + 4] for k in range(1, 41, 4)):
        pixels = 12 * 17 * (area[0] + (area[1] - area[0]) * of_area)
        ratio = math.exp(math.log(0.3) + (math.log(3.3) - math.log(0.3)) * of_ratio)
        height, width = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        if height < 12 and width < 17:
            return int(of_top * (13 - height)), int(of_left * (18 - width)), height, width
    return None


@pytest.mark.parametrize("area", [(0.02, 0.33), (0.5, 1.0)])
def test_erasing_is_torchvisions(area: tuple[float, float]) -> None:
    batch, drawn = pictures(200), draws(200, ERASE)
    found, erased = erase(batch, drawn, rate=0.6, area=area, value=-1.0), 0
    for image, row, made in zip(batch, drawn.tolist(), found, strict=True):
        place = rectangle(row, area)
        if row[0] < 0.6 and place is not None:
            image, erased = functional.erase(image, *place, torch.tensor(-1.0)), erased + 1
        assert torch.equal(made, image)
    assert 80 < erased < 160


def test_what_never_fits_is_not_erased() -> None:
    batch = pictures(3)
    assert torch.equal(
        erase(batch, draws(3, ERASE), rate=1.0, area=(1.0, 1.0), ratio=(1, 1)), batch
    )


@pytest.mark.parametrize("side", [1, 4, 5, 40])
def test_a_cutout_is_a_square_that_the_border_cuts(side: int) -> None:
    batch, drawn = pictures(50), draws(50, 2)
    found = cutout(batch, drawn, side=side)
    for image, (down, right), made in zip(batch, drawn.tolist(), found, strict=True):
        top, left = int(12 * down) - side // 2, int(17 * right) - side // 2
        expected = image.clone()
        expected[:, max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = 0
        assert torch.equal(made, expected)


def test_nothing_is_covered_by_no_square() -> None:
    batch = pictures(2)
    assert torch.equal(cutout(batch, draws(2, 2), side=0), batch)
    assert torch.equal(erase(batch, draws(2, ERASE), rate=0.0), batch)


def test_draws_at_their_end_stay_in_the_image() -> None:
    batch, most = pictures(1), torch.full((1, ERASE), 1 - 2.0**-24)
    assert (erase(batch, most, rate=1.0, area=(0.1, 0.1), ratio=(1, 1))[0, 0] == 0).sum() == 25
    assert (cutout(batch, most[:, :2], side=1)[0, 0] == 0).nonzero().tolist() == [[11, 16]]
