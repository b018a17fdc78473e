"""Boxes at another size: torchvision's, box by box."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as peer

from trainables.data.affine import cut
from trainables.data.resampling import resized

BOXES = [(0, 0, 24, 32), (3, 5, 7, 9), (10, 20, 12, 12), (1, 2, 1, 2), (0, 0, 20, 13)]


def images(count: int = 1) -> Tensor:
    return torch.rand(count, 3, 24, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [5, 16, 40])
@pytest.mark.parametrize("kernel", ["bicubic", "bilinear"])
def test_a_box_of_whole_pixels_is_torchvisions(
    kernel: Literal["bicubic", "bilinear"], size: int
) -> None:
    given, boxes = images(2), torch.tensor(BOXES) / torch.tensor([24, 32, 24, 32])
    flips = torch.tensor([False, True, False, True, False]).repeat(2)
    found = resized(given, boxes.repeat(2, 1), size, mirrored=flips, kernel=kernel)
    for number, view in enumerate(found):
        whole, mode = given[number // 5], InterpolationMode(kernel)
        box = BOXES[number % 5]
        expected = peer.resized_crop(whole, *box, [size, size], mode, antialias=True)
        expected = expected.flip(-1) if flips[number] else expected
        torch.testing.assert_close(view, expected, rtol=0, atol=5e-6)


def test_enlarged_bilinearly_it_is_a_plain_crop() -> None:
    boxes = torch.tensor([[0.25, 0.125, 0.5, 0.375]])
    found = resized(images(), boxes, 20, kernel="bilinear")
    torch.testing.assert_close(found, cut(images(), boxes, 20), rtol=0, atol=1e-5)


def test_of_one_colour_each_box_has_that_colour() -> None:
    draws = torch.rand(500, 4, generator=torch.Generator().manual_seed(1))
    sides = 0.001 + 0.9 * draws[:, 2:] ** 4  # some of far less than a pixel
    boxes = torch.cat([draws[:, :2] * (1 - sides), sides], 1)
    found = resized(torch.full((1, 1, 24, 32), 0.7), boxes, 6)
    torch.testing.assert_close(found, torch.full_like(found, 0.7), rtol=0, atol=1e-5)


def test_a_box_between_pixels_lies_between_its_neighbours() -> None:
    ramp = torch.arange(32.0).expand(1, 1, 24, 32)
    boxes = torch.tensor([[0.2, (8 + shift) / 32, 0.5, 8 / 32] for shift in (0.0, 0.3, 0.9)])
    found = resized(ramp, boxes, 8)[:, 0, 0, 3]
    torch.testing.assert_close(found - found[0], torch.tensor([0.0, 0.3, 0.9]), rtol=0, atol=0.05)
