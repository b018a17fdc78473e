"""Changed pictures, and where their places come from."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms import functional

from trainables.data.aligned import Windows, changed, five_crop, places, windows
from trainables.losses.correspondence import aligned, sampled


@pytest.mark.parametrize("size", [(8, 12), (7, 9)])
def test_five_crops_are_those_of_torchvision(size: tuple[int, int]) -> None:
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    sides = [round(one / 2) for one in size]
    theirs = functional.five_crop(image, sides)
    ours = five_crop(image.expand(5, -1, -1, -1), torch.arange(5), 0.5)
    for own, other in zip(ours, theirs, strict=True):
        assert torch.equal(own, other)


def test_windows_have_their_area_and_stay_inside() -> None:
    draws = torch.rand(500, 4, generator=torch.Generator().manual_seed(0))
    found = windows(draws, 0.5)
    top, left, side = found.corners.T
    assert 0.5 <= float(side.square().min()) < 0.52 and float(side.square().max()) > 0.98
    assert bool(((top >= 0) & (left >= 0) & (top + side <= 1) & (left + side <= 1)).all())
    assert 0.4 < float(found.mirrored.float().mean()) < 0.6


def test_without_a_change_places_and_pictures_stay() -> None:
    whole = Windows(torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([False]))
    codes = torch.rand(1, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    found = sampled(codes, places(whole, (4, 6))).unflatten(2, (4, 6))
    torch.testing.assert_close(found, codes)
    assert float(aligned(codes, codes, places(whole, (4, 6)))) == pytest.approx(-1)
    draws = torch.tensor([[1.0, 0.3, 0.3, 0.9, 0.5, 0.5, 0.5, 0.5, 0.0]])
    torch.testing.assert_close(changed(codes, draws, 0.5, 0.0), codes)
    mirrored = changed(codes, draws * torch.tensor([1, 1, 1, 0.1, 1, 1, 1, 1, 1]), 0.5, 0.0)
    torch.testing.assert_close(mirrored, codes.flip(3))


def test_a_map_that_is_linear_in_places_is_the_same_in_a_window_and_sampled_there() -> None:
    down, right = torch.meshgrid(torch.arange(9.0), torch.arange(7.0), indexing="ij")
    ramp = torch.stack([down / 20, right / 30, 0.1 + down / 30 + right / 40])[None]
    inside = Windows(torch.tensor([[0.2, 0.15, 0.6]]), torch.tensor([True]))
    draws = torch.tensor([[(0.36 - 0.1) / 0.9, 0.5, 0.375, 0.1, 0.5, 0.5, 0.5, 0.5, 0.0]])
    seen = changed(ramp, draws, 0.1, 0.0)
    torch.testing.assert_close(windows(draws[:, :4], 0.1).corners, inside.corners)
    there = sampled(ramp, places(inside, (9, 7))).unflatten(2, (9, 7))
    torch.testing.assert_close(seen, there)
    codes = ramp - 0.2
    assert float(aligned(codes, there - 0.2, places(inside, (9, 7)))) == pytest.approx(-1)
    assert float(aligned(codes, 0.2 - there, places(inside, (9, 7)))) == pytest.approx(1)
