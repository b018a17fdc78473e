"""Tetrominoes: three whole pieces of pure colours, never one upon another."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import ndimage

from trainables.synthetic import tetrominoes
from trainables.synthetic.tetrominoes import COLORS, SHAPES


def scenes(count: int, size: int, *, equal_colors: bool = False) -> list:
    """The first scenes of seed 0."""
    return [
        tetrominoes.scene(0, index, image_size=size, equal_colors=equal_colors)
        for index in range(count)
    ]


def test_the_pieces_are_all_nineteen_fixed_tetrominoes() -> None:
    grown = {frozenset({(0, 0)})}
    for _ in range(3):  # every polyomino is a smaller one and a neighbour of it
        grown = {
            shape | {(row + down, column + right)}
            for shape in grown
            for row, column in shape
            for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0))
            if (row + down, column + right) not in shape
        }
    moved = {frozenset((r - min(s)[0], c - min(x for _, x in s)) for r, c in s) for s in grown}
    ours = {frozenset(map(tuple, np.argwhere(shape).tolist())) for shape in SHAPES}
    assert len(SHAPES) == 19
    assert ours == moved


@pytest.mark.parametrize(("size", "cell"), [(35, 5), (28, 4), (14, 2)])
def test_a_piece_has_four_cells_of_a_seventh_of_the_image(size: int, cell: int) -> None:
    for scene in scenes(20, size):
        for mask, code in zip(scene["mask"][1:, ..., 0], scene["shape"][1:], strict=True):
            assert (mask > 0).sum() == 4 * cell**2
            (box,) = (mask[where] > 0 for where in ndimage.find_objects(mask // 255))
            np.testing.assert_array_equal(box[::cell, ::cell], SHAPES[int(code) - 1])


@pytest.mark.parametrize("equal_colors", [False, True])
def test_masks_are_a_partition_and_the_image_is_their_colours(equal_colors: bool) -> None:
    for scene in scenes(50, 28, equal_colors=equal_colors):
        assert set(np.unique(scene["mask"])) == {0, 255}
        assert ((scene["mask"] == 255).sum(0) == 1).all()
        painted = np.einsum("ehwx,ec->hwc", scene["mask"], scene["color"])
        np.testing.assert_array_equal(scene["image"], painted)
        assert not scene["color"][0].any()
        assert {tuple(color) for color in scene["color"][1:]} <= {tuple(each) for each in COLORS}


def test_colours_repeat_as_often_as_independent_draws_do_and_otherwise_never() -> None:
    def share(equal_colors: bool) -> float:
        found = scenes(400, 14, equal_colors=equal_colors)
        return sum(len(np.unique(each["color"][1:], axis=0)) < 3 for each in found) / 400

    assert share(False) == 0
    assert share(True) == pytest.approx(1 - 5 / 6 * 4 / 6, abs=0.07)


def test_two_pieces_of_one_colour_never_touch_and_others_do() -> None:
    touching = {True: 0, False: 0}
    for scene in scenes(200, 28, equal_colors=True):
        masks, colors = scene["mask"][1:, ..., 0] > 0, scene["color"][1:]
        for one, other in itertools.combinations(range(3), 2):
            grown = ndimage.binary_dilation(masks[one], np.ones((3, 3)))
            is_equal = bool((colors[one] == colors[other]).all())
            touching[is_equal] += bool((grown & masks[other]).any())
    assert touching[True] == 0
    assert touching[False] > 20


def test_x_and_y_are_the_centre_of_the_box_of_a_piece() -> None:
    for scene in scenes(20, 35):
        for entity in (1, 2, 3):
            rows, columns, _ = np.nonzero(scene["mask"][entity])
            assert scene["x"][entity] == (columns.min() + columns.max()) / 2
            assert scene["y"][entity] == (rows.min() + rows.max()) / 2


def test_all_shapes_occur_equally_often() -> None:
    codes = np.concatenate([scene["shape"][1:] for scene in scenes(500, 14)]).astype(int)
    counts = np.bincount(codes, minlength=20)[1:]
    assert counts.min() > 0.6 * 1500 / 19
    assert counts.max() < 1.4 * 1500 / 19


def test_an_image_below_fourteen_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="image_size must be at least 14 for tetrominoes, got 13"):
        tetrominoes.scene(0, 0, image_size=13)
