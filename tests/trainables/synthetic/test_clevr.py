"""Scenes like CLEVR: nothing intersects, all is seen, and records say what is there."""

from __future__ import annotations

import functools
import itertools
import json

import numpy as np
import pytest
from PIL import Image

from trainables.synthetic import clevr, clevr_v1
from trainables.synthetic.writing import write_set

CODES = {"size": 2, "material": 2, "shape": 3, "color": 8}
LAYOUTS = 25


@functools.cache
def scene(index: int) -> dict:
    """A scene of seed 0, 48 × 64 pixels."""
    return dict(clevr.scene(0, index, image_size=48))


@functools.cache
def layout(index: int) -> clevr.Layout:
    """The layout of a scene."""
    return clevr.layout("clevr_with_masks", 0, index, height=48, ratio=4 / 3)


def test_every_number_of_objects_from_three_to_ten_occurs() -> None:
    assert {len(layout(index).size) for index in range(40)} == set(range(3, 11))


def test_masks_are_a_partition_and_visible_is_what_has_pixels() -> None:
    for each in map(scene, range(10)):
        assert each["mask"].shape == (11, 48, 64, 1)
        assert ((each["mask"] == 255).sum(0) == 1).all()
        np.testing.assert_array_equal(each["visibility"], each["mask"].any((1, 2, 3)))


def test_codes_count_from_one_and_are_zero_where_nothing_is() -> None:
    for each in map(scene, range(10)):
        is_object = each["visibility"] * (np.arange(11) > 0) > 0
        for name, most in CODES.items():
            assert each[name].dtype == np.uint8
            assert set(each[name][is_object]) <= set(range(1, most + 1))
            assert not each[name][~is_object].any()
        for name in ("x", "y", "z", "rotation", "pixel_coords"):
            assert not each[name][~is_object].any()


def test_all_values_of_all_attributes_occur() -> None:
    for name, most in CODES.items():
        found = np.concatenate([getattr(layout(index), name) for index in range(LAYOUTS)])
        assert set(found) == set(range(most))


def test_no_two_objects_intersect() -> None:
    for index in range(LAYOUTS):
        made = layout(index)
        reaches = np.array([0.7, 0.35])[made.size]
        for one, other in itertools.combinations(range(len(reaches)), 2):
            away = np.hypot(*(made.places[one] - made.places[other])[:2])
            assert away >= reaches[one] + reaches[other] + 0.25


def test_objects_stand_on_the_floor_and_cubes_are_smaller() -> None:
    for index in range(LAYOUTS):
        made = layout(index)
        for size, shape, place in zip(made.size, made.shape, made.places, strict=True):
            half = (0.7, 0.35)[size] / (2**0.5 if clevr.SHAPES[shape] == "cube" else 1)
            assert place[2] == pytest.approx(half)
            assert abs(place[:2]).max() <= 3


def test_every_object_shows_a_768th_of_the_image() -> None:
    for index in range(LAYOUTS):
        made = layout(index)
        counts = np.bincount(made.shown.ravel() + 1, minlength=1 + len(made.size))[1:]
        assert counts.min() >= 48 * 64 / 768


def test_pixel_coords_are_in_the_middle_of_what_is_not_hidden() -> None:
    checked = 0
    for index in range(LAYOUTS):
        made = layout(index)
        for number, (column, row, depth) in enumerate(made.pixel_coords):
            rows, columns = np.nonzero(made.shown == number)
            alone = clevr.identify(
                clevr.World(
                    made.world.bodies[number : number + 1],
                    made.world.colors[:1],
                    made.world.shine[:1],
                    made.world.light,
                    made.world.backdrop,
                ),
                made.camera,
            )[0]
            if (alone >= 0).sum() == len(rows):
                assert abs(rows.mean() + 0.5 - row) < 1
                assert abs(columns.mean() + 0.5 - column) < 1
                assert 6 < depth < 17
                checked += 1
    assert checked > LAYOUTS


def test_an_image_of_the_published_height_is_a_third_wider() -> None:
    made = clevr.layout("clevr_with_masks", 0, 0, height=240, ratio=4 / 3)
    assert made.shown.shape == (240, 320)


def test_an_image_below_32_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="image_size must be at least 32 for CLEVR, got 31"):
        clevr.scene(0, 0, image_size=31)


def test_the_folder_of_version_one_has_images_and_what_is_in_them(tmp_path) -> None:
    folder = write_set("clevr", tmp_path / "clevr", scenes=5, image_size=32, seed=1)
    said = json.loads((folder / "scenes" / "CLEVR_val_scenes.json").read_text())["scenes"]
    made = clevr_v1.scene(1, 4, image_size=32)
    assert [each["image_filename"] for each in said] == ["CLEVR_val_000000.png"]
    image = Image.open(folder / "images" / "val" / "CLEVR_val_000000.png")
    assert image.size == (48, 32)
    np.testing.assert_array_equal(np.array(image.convert("RGB")), made.image)
    objects = said[0]["objects"]
    np.testing.assert_allclose([each["3d_coords"] for each in objects], made.places)
    assert [clevr.SIZES.index(each["size"]) for each in objects] == made.size.tolist()
    assert [list(clevr.COLORS).index(each["color"]) for each in objects] == made.color.tolist()
