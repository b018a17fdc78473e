"""Boxes, maps and labels on a picture have one scale, and stay within it."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.text import Text

from trainables.figures.canvas import canvas
from trainables.figures.outlines import PREDICTED, PictureAxes

IMAGE = torch.full((3, 40, 80), 0.5)
"""Of 80 × 40 pixels."""


def rectangles(axes: Any) -> list[tuple[float, ...]]:
    """Left, top, right and bottom in data coordinates."""
    return [(*one.get_xy(), one.get_x() + one.get_width(), one.get_y() + one.get_height())
            for one in axes.patches]  # fmt: skip


def test_boxes_lie_at_their_pixels_and_move_no_limit(tmp_path: Path) -> None:
    boxes = torch.tensor([[0.5, 0.5, 0.5, 0.5], [0.95, 0.1, 0.3, 0.4]])
    with canvas(tmp_path / "a.png", 3, 2) as figure:
        picture = PictureAxes(figure.subplots(), IMAGE)
        picture.outline(boxes, PREDICTED)
        found = rectangles(picture.axes)
        limits = (*picture.axes.get_xlim(), *picture.axes.get_ylim())
        extent = picture.axes.images[0].get_extent()
    assert np.array(found) == pytest.approx(np.array([[20, 10, 60, 30], [64, -4, 88, 12]]))
    assert limits == tuple(extent) == (0, 80, 40, 0)


def test_what_is_not_finite_is_not_drawn(tmp_path: Path) -> None:
    boxes = torch.tensor([[torch.nan] * 4, [0.5, 0.5, torch.inf, 1], [0.5, 0.5, 0.1, 0.1]])
    with canvas(tmp_path / "a.png", 3, 2) as figure:
        picture = PictureAxes(figure.subplots(), IMAGE)
        picture.outline(boxes, PREDICTED)
        for box in boxes:
            picture.label(box, "word", PREDICTED)
        assert len(picture.axes.patches) == len(picture.axes.texts) == 1


def test_a_weight_covers_the_square_that_it_looks_at(tmp_path: Path) -> None:
    """Three columns of 32 pixels overhang a picture of 80; what is on padding is cut off."""
    weights = torch.tensor([[0.0, 0.0, 0.4], [0.6, 0.0, 0.0]])
    with canvas(tmp_path / "a.png", 3, 2) as figure:
        picture = PictureAxes(figure.subplots(), IMAGE)
        picture.attention(weights, 32)
        drawn = picture.axes.images[1]
        extent, values, limits = drawn.get_extent(), drawn.get_array(), picture.axes.get_xlim()
        opacity = drawn.get_alpha()
    assert tuple(extent) == (0, 96, 64, 0)
    assert limits == (0, 80)
    assert np.asarray(values) == pytest.approx(weights.numpy())
    assert opacity[1, 0] == opacity.max() and opacity[0, 0] == opacity.min()


def placed(path: Path, boxes: list[list[float]], words: str) -> tuple[Any, list[Any], list[Text]]:
    """The frame, where labels are, and the labels, of a picture of 240 × 120 pixels on paper."""
    with canvas(path, 2.2, 1.4) as figure:
        picture = PictureAxes(figure.subplots(), IMAGE)
        for box in boxes:
            picture.label(torch.tensor(box), words, PREDICTED)
        figure.draw_without_rendering()
        picture.place_labels()
        labels = list(picture.axes.texts)
        return picture.axes.bbox.frozen(), [one.get_window_extent() for one in labels], labels


@pytest.mark.parametrize("x", [-0.2, 0.0, 0.5, 1.0, 1.3])
@pytest.mark.parametrize("y", [-0.2, 0.02, 0.5, 1.0, 1.3])
def test_labels_never_leave_the_picture(tmp_path: Path, x: float, y: float) -> None:
    frame, (label,), _ = placed(tmp_path / "a.png", [[x, y, 0.3, 0.2]], "traffic light 0.98")
    assert frame.x0 <= label.x0 and label.x1 <= frame.x1
    assert frame.y0 <= label.y0 and label.y1 <= frame.y1


def test_labels_of_one_place_do_not_hide_one_another(tmp_path: Path) -> None:
    _, labels, _ = placed(tmp_path / "a.png", [[0.5, 0.5, 0.4, 0.5]] * 4, "cat 0.9")
    assert not any(one.overlaps(other) for one, other in combinations(labels, 2))


def test_a_label_that_is_wider_than_the_picture_loses_letters(tmp_path: Path) -> None:
    frame, (label,), (text,) = placed(tmp_path / "a.png", [[0.5, 0.5, 0.1, 0.1]], "word " * 30)
    assert label.width <= frame.width
    assert text.get_text().endswith("…") and text.get_text().startswith("word word")
