"""Crops keep the rows and columns that were published; resizing follows torch's rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from trainables.data.scenes.frames import Frame


def pictures(height: int, width: int, channels: int = 3) -> Any:
    shape = (2, height, width, channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(("crop", "top"), [("centre", 24), ("google", 29)])
def test_a_crop_keeps_192_rows_and_columns_of_clevr(crop: str, top: int) -> None:
    given = pictures(240, 320)
    assert np.array_equal(
        Frame(192, crop).pictures(given), given[:, top : top + 192, 64 : 64 + 192]
    )


@pytest.mark.parametrize(
    ("size", "box"), [((320, 480), (32, 112, 256, 256)), ((80, 107), (8, 21, 64, 64))]
)
def test_a_crop_is_in_proportion_to_the_height(
    size: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    assert Frame(64, "centre").box(*size) == box


@pytest.mark.parametrize(("side", "size"), [(192, 128), (35, 28), (64, 64), (20, 48), (51, 7)])
def test_nearest_takes_the_pixels_that_torch_takes(side: int, size: int) -> None:
    given = pictures(side, side)
    expected = interpolate(
        torch.from_numpy(given).permute(0, 3, 1, 2).float(), size, mode="nearest"
    )
    assert np.array_equal(Frame(size).pictures(given), expected.permute(0, 2, 3, 1).numpy())


@pytest.mark.parametrize(("side", "size"), [(192, 128), (35, 28), (20, 48)])
def test_bilinear_is_torchs_without_a_filter(side: int, size: int) -> None:
    given = pictures(side, side)
    planes = torch.from_numpy(given).permute(0, 3, 1, 2).float()
    expected = interpolate(planes, size, mode="bilinear", align_corners=False)
    found = Frame(size, interpolation="bilinear").pictures(given).astype(int)
    difference = np.abs(found - expected.permute(0, 2, 3, 1).numpy())
    assert difference.max() <= 0.5 + 1e-3


def test_labels_are_nearest_whatever_the_interpolation() -> None:
    given = pictures(192, 192)[..., 0]
    frame = Frame(128, interpolation="bilinear")
    assert np.array_equal(frame.nearest(given), Frame(128).nearest(given))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"crop": "center"}, "crop must be one of none, centre, google, got 'center'"),
        ({"interpolation": "cubic"}, "interpolation must be one of nearest, bilinear, got 'cubic'"),
        ({"image_size": 0}, "image_size must be at least 1, got 0"),
    ],
)
def test_what_is_not_known_is_refused(options: dict[str, Any], words: str) -> None:
    chosen: dict[str, Any] = {"image_size": 8, **options}
    with pytest.raises(ValueError, match=words):
        Frame(**chosen)


def test_a_narrow_picture_cannot_be_cropped() -> None:
    assert Frame(8, "centre").box(10, 8) == (1, 0, 8, 8)
    with pytest.raises(ValueError, match="crop must be 'none' for pictures of 10 × 7 pixels"):
        Frame(8, "centre").box(10, 7)
