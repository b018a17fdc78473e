"""Crops beside torchvision's, and turned ones beside SciPy's affine transform as Keras calls it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform
from torch import Tensor
from torchvision.transforms.v2 import functional as peer

from trainables.data.affine import cut

WHOLE = torch.tensor([[0.0, 0.0, 1.0, 1.0]])


def images(count: int, height: int = 24, width: int = 32) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "box", [(0, 0, 24, 32), (3, 5, 8, 8), (10, 20, 14, 12), (7, 1, 3, 2), (23, 31, 1, 1)]
)
@pytest.mark.parametrize("size", [4, 16, 31])
def test_a_box_of_whole_pixels_is_resized_as_torchvision_does(
    box: tuple[int, int, int, int], size: int
) -> None:
    given = images(2)
    shares = torch.tensor([box]) / torch.tensor([24, 32, 24, 32])
    found = cut(given, shares.expand(2, -1), size)
    expected = peer.resized_crop(given, *box, [size, size], antialias=False)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("turn", "shear"), [(30.0, 0.0), (0.0, 15.0), (-17.0, 9.0), (0.0, 0.0)])
def test_a_turned_image_is_what_scipy_makes(turn: float, shear: float) -> None:
    given = images(1, 21, 21)
    angles = {"turns": torch.tensor([turn]), "shears": torch.tensor([shear])}
    found = cut(given, WHOLE, 21, **angles)[0]
    a, s = math.radians(turn), math.radians(shear)
    matrix = np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]) @ np.array(
        [[1, -math.sin(s)], [0, math.cos(s)]]
    )
    middle = np.full(2, 10.0)
    for ours, channel in zip(found, given[0].numpy(), strict=True):
        options: dict[str, Any] = {"offset": middle - matrix @ middle, "mode": "nearest"}
        expected = affine_transform(channel, matrix, order=1, **options)
        torch.testing.assert_close(ours, torch.from_numpy(expected), atol=2e-5, rtol=1e-4)


def test_a_turned_crop_shows_nothing_from_outside_it() -> None:
    given = torch.zeros(1, 1, 24, 32)
    given[:, :, 6:18, 8:24] = 1
    box = torch.tensor([[6 / 24, 8 / 32, 12 / 24, 16 / 32]])
    found = cut(given, box, 9, turns=torch.tensor([25.0]), shears=torch.tensor([10.0]))
    torch.testing.assert_close(found, torch.ones_like(found))


def test_each_crop_has_its_own_box_and_angles() -> None:
    given = images(3)
    boxes = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.2, 0.3, 0.4, 0.3], [0.0, 0.0, 1.0, 1.0]])
    angles = {"turns": torch.tensor([0.0, 20.0, -5.0]), "shears": torch.tensor([3.0, 0.0, 1.0])}
    whole = cut(given, boxes, 8, **angles)
    for n in range(3):
        own = {name: value[n : n + 1] for name, value in angles.items()}
        alone = cut(given[n : n + 1], boxes[n : n + 1], 8, **own)
        torch.testing.assert_close(alone[0], whole[n])
