"""Multi-dSprites: the published numbers of sprites, later ones before earlier ones."""

from __future__ import annotations

import numpy as np
import pytest

from trainables.synthetic import dsprites

COUNTS = {"binarized": (2, 3), "colored_on_grayscale": (2, 5), "colored_on_colored": (1, 4)}
VARIANTS = pytest.mark.parametrize("variant", COUNTS)


def scenes(variant: str, count: int = 60) -> list:
    """The first scenes of seed 0, 32 pixels a side."""
    return [dsprites.scene(0, index, image_size=32, variant=variant) for index in range(count)]


@VARIANTS
def test_every_published_number_of_sprites_occurs_and_no_other(variant: str) -> None:
    least, most = COUNTS[variant]
    found = [int(scene["visibility"][1:].sum()) for scene in scenes(variant)]
    assert set(found) == set(range(least, most + 1))
    assert all(len(scene["visibility"]) == 1 + most for scene in scenes(variant, 3))


@VARIANTS
def test_masks_are_a_partition_and_the_image_is_their_colours(variant: str) -> None:
    for scene in scenes(variant):
        assert ((scene["mask"] == 255).sum(2) == 1).all()
        painted = ((scene["mask"] > 0) * scene["color"]).sum(2) * 255
        np.testing.assert_allclose(scene["image"], painted, atol=0.501)


@VARIANTS
def test_visible_is_what_has_pixels_and_the_rest_is_zero(variant: str) -> None:
    for scene in scenes(variant):
        has_pixels = scene["mask"].any((0, 1, 3))
        np.testing.assert_array_equal(scene["visibility"], has_pixels)
        for name in ("x", "y", "scale", "orientation", "shape", "color"):
            assert not scene[name][~has_pixels].any()


def test_binarized_sprites_are_white_on_black() -> None:
    scene = scenes("binarized", 1)[0]
    assert scene["image"].shape == (32, 32, 1)
    np.testing.assert_array_equal(scene["image"][..., 0], 255 - scene["mask"][:, :, 0, 0])


def test_the_background_is_grey_where_the_name_says_so() -> None:
    for scene in scenes("colored_on_grayscale"):
        assert np.ptp(scene["color"][0]) == 0
        assert np.ptp(scene["color"][1], axis=-1) > 0


@pytest.mark.parametrize(("code", "area"), [(1, 1.7**2), (2, 1.2 * np.pi / 2)])
def test_a_sprite_has_the_area_of_its_formula(code: int, area: float) -> None:
    for side, scale in ((128, 0.5), (128, 1.0)):
        one = {"shape": [code], "scale": [scale], "orientation": [0.7], "x": [0.5], "y": [0.5]}
        drawn = dsprites._sprites(side=side, **{k: np.array(v) for k, v in one.items()})
        assert drawn.sum() == pytest.approx(area * (scale * side * 11 / 64) ** 2, rel=0.02)


def test_an_image_below_sixteen_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="image_size must be at least 16 for multi_dsprites"):
        dsprites.scene(0, 0, image_size=15, variant="binarized")
