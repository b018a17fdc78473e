"""Objects Room: the published numbers of objects between a sky, a floor and two walls."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from trainables.synthetic import rooms

COUNTS = {
    "train": (7, {1, 2, 3}),
    "six_objects": (10, {6}),
    "empty_room": (4, {0}),
    "identical_color": (10, {4, 5, 6}),
}


@functools.cache
def scene(variant: str, index: int) -> dict:
    """A scene of seed 0, 32 pixels a side."""
    return dict(rooms.scene(0, index, image_size=32, variant=variant))


@pytest.mark.parametrize("variant", COUNTS)
def test_the_published_numbers_of_objects_occur(variant: str) -> None:
    entities, counts = COUNTS[variant]
    masks = np.stack([scene(variant, index)["mask"] for index in range(14)])
    assert masks.shape == (14, entities, 32, 32, 1)
    assert set(masks[:, 4:].any((2, 3, 4)).sum(1)) == counts


@pytest.mark.parametrize("variant", COUNTS)
def test_masks_are_a_partition_and_no_part_of_the_room_is_missing(variant: str) -> None:
    for index in range(5):
        mask = scene(variant, index)["mask"][..., 0]
        assert ((mask == 255).sum(0) == 1).all()
        assert mask[:4].any((1, 2)).all()


def test_sky_is_above_walls_and_walls_above_the_floor() -> None:
    for index in range(5):
        label = scene("empty_room", index)["mask"][..., 0].argmax(0)
        height = np.array([0, 2, 1, 1])[label]
        assert (np.diff(height, axis=0) >= 0).all()


def test_objects_of_identical_colour_have_one_hue() -> None:
    world = rooms._world(np.random.default_rng(0), 6, one_color=True)
    paints = [color(np.zeros((1, 3)))[0] for color in world.colors]
    assert np.ptp(paints, axis=0).max() == 0
    world = rooms._world(np.random.default_rng(0), 6, one_color=False)
    paints = [color(np.zeros((1, 3)))[0] for color in world.colors]
    assert np.ptp(paints, axis=0).max() > 0.2


def test_an_image_below_32_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="image_size must be at least 32 for objects_room"):
        rooms.scene(0, 0, image_size=31, variant="train")
