"""Clips like MOVi: object i has id i + 1, positions are where it is seen."""

from __future__ import annotations

import functools
import io

import numpy as np
import pytest
from PIL import Image

from trainables.synthetic import movi

COUNTS = {"c": (3, 10), "d": (11, 23), "e": (11, 23)}
VARIANTS = pytest.mark.parametrize("variant", COUNTS)


@functools.cache
def clip(variant: str) -> dict:
    """A clip of seed 1, of 3 frames of 32 pixels a side."""
    return dict(movi.clip(1, 0, image_size=32, variant=variant, frames=3))


def pictures(name: str, variant: str) -> np.ndarray:
    """The frames of a clip [F, 32, 32] or [F, 32, 32, 3]."""
    return np.stack([np.array(Image.open(io.BytesIO(each))) for each in clip(variant)[name]])


@VARIANTS
def test_a_clip_has_a_published_number_of_objects_and_ids_up_to_it(variant: str) -> None:
    least, most = COUNTS[variant]
    count = int(clip(variant)["metadata/num_instances"][0])
    assert least <= count <= most
    assert pictures("video", variant).shape == (3, 32, 32, 3)
    assert set(np.unique(pictures("segmentations", variant))) <= set(range(count + 1))


@VARIANTS
def test_visibility_counts_the_pixels_of_id_one_more(variant: str) -> None:
    labels = pictures("segmentations", variant)
    for number, seen in enumerate(clip(variant)["instances/visibility"]):
        np.testing.assert_array_equal(seen, (labels == number + 1).sum((1, 2)))


@VARIANTS
def test_an_object_of_many_pixels_is_seen_around_its_image_position(variant: str) -> None:
    labels, checked = pictures("segmentations", variant), 0
    for number, places in enumerate(clip(variant)["instances/image_positions"]):
        for frame, (x, y) in enumerate(places):
            rows, columns = np.nonzero(labels[frame] == number + 1)
            if len(rows) > 25:
                assert abs(columns.mean() / 32 - x) < 0.12
                assert abs(rows.mean() / 32 - y) < 0.12
                checked += 1
    assert checked > 2


def test_the_camera_moves_in_e_alone() -> None:
    paths = {variant: np.ptp(clip(variant)["camera/positions"], axis=0) for variant in COUNTS}
    assert paths["c"].max() == paths["d"].max() == 0
    assert paths["e"].max() > 0.5


def test_one_to_three_objects_of_d_fall_and_all_of_c() -> None:
    assert 1 <= clip("d")["instances/is_dynamic"].sum() <= 3
    assert clip("c")["instances/is_dynamic"].all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"image_size": 15}, "image_size must be at least 16 for MOVi, got 15"),
        ({"image_size": 16, "frames": 0}, "frames must be at least 1, got 0"),
    ],
)
def test_a_clip_without_pixels_or_frames_is_refused(options: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        movi.clip(0, 0, variant="c", **options)
