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
    ("size", "rows", "columns"),
    [
        ((240, 320), slice(0, 240), slice(40, 280)),
        ((320, 240), slice(40, 280), slice(0, 240)),
        ((81, 108), slice(0, 81), slice(13, 94)),
        ((64, 64), slice(0, 64), slice(0, 64)),
    ],
)
def test_the_largest_square_in_the_middle(
    size: tuple[int, int], rows: slice, columns: slice
) -> None:
    given = pictures(*size)
    assert np.array_equal(Frame(min(size), "square").pictures(given), given[:, rows, columns])


def test_a_whole_picture_of_its_own_height_is_the_picture() -> None:
    given = pictures(240, 320)
    assert np.array_equal(Frame(240, "whole").pictures(given), given)
    assert np.array_equal(Frame(240, "whole").nearest(given[..., 0]), given[..., 0])


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize(
    ("size", "high", "made"),
    [
        ((240, 320), 128, (128, 171)),
        ((80, 107), 64, (64, 86)),
        ((9, 2), 3, (3, 1)),
        ((9, 1), 3, (3, 1)),
    ],
)
def test_a_whole_picture_keeps_its_proportions(
    size: tuple[int, int], high: int, made: tuple[int, int], interpolation: str
) -> None:
    given = pictures(*size)
    options = {} if interpolation == "nearest" else {"align_corners": False}
    planes = torch.from_numpy(given).permute(0, 3, 1, 2).float()
    expected = interpolate(planes, made, mode=interpolation, **options).permute(0, 2, 3, 1)
    found = Frame(high, "whole", interpolation).pictures(given)
    assert found.shape[1:3] == made == Frame(high, "whole").size(*size)
    assert np.abs(found.astype(int) - expected.numpy()).max() <= (interpolation != "nearest") * 0.51


def test_the_squares_of_square_pictures_are_those_without_a_crop() -> None:
    given = pictures(35, 35)
    found = [Frame(28, crop).pictures(given) for crop in ("none", "square", "whole")]
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


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
        ({"crop": "center"}, "of none, centre, google, square, whole, got 'center'"),
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
