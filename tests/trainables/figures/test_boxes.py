"""Pictures of detectors: boxes are where they are, and empty input is said, not an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from PIL import Image

from trainables.figures.boxes import (
    Labelled,
    above,
    area_histogram,
    detection_table,
    draw_areas,
    draw_detections,
    draw_matches,
    draw_precision,
    matched_boxes,
    precision_recall,
)
from trainables.figures.canvas import canvas
from trainables.figures.outlines import OTHER, PREDICTED, TRUE, PictureAxes
from trainables.metrics.boxes import BoxScores, DetectionRecords, Truth, average_precision

IMAGE = torch.full((3, 50, 100), 0.5)
TRUTH = Labelled(torch.tensor([[0.5, 0.5, 0.2, 0.4]]), torch.tensor([3]))
FOUND = Labelled(
    torch.tensor([[0.1, 0.1, 0.1, 0.1], [0.5, 0.5, 0.2, 0.2], [0.9, 0.9, 0.1, 0.1]]),
    torch.tensor([1, 3, 3]),
    torch.tensor([0.7, 0.8, 0.95]),
)
NOTHING = Labelled(torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0))


def rectangles(axes: Any, color: str) -> list[list[float]]:
    """Left, top, width and height in data coordinates of the boxes of a colour."""
    return [
        [*one.get_xy(), one.get_width(), one.get_height()]
        for one in axes.patches
        if to_hex(one.get_edgecolor()) == color
    ]


def texts(axes: Any) -> list[str]:
    return [one.get_text() for one in axes.texts]


def green(path: Path) -> int:
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    return int((np.abs(pixels - list(bytes.fromhex(TRUE[1:]))).max(-1) < 6).sum())


def test_found_and_true_boxes_lie_at_the_pixels_of_the_picture(tmp_path: Path) -> None:
    with canvas(tmp_path / "a.png", 3, 2) as figure:
        picture = PictureAxes(figure.subplots(), IMAGE)
        draw_detections(picture, FOUND, TRUTH, {3: "cat"}, 0.7)
        found, true = (rectangles(picture.axes, color) for color in (PREDICTED, TRUE))
        words, title = texts(picture.axes), picture.axes.get_title()
    assert np.array(found) == pytest.approx(np.array([[85, 42.5, 10, 5], [40, 20, 20, 10]]))
    assert np.array(true) == pytest.approx(np.array([[40, 15, 20, 20]]))
    assert words == ["cat 0.95", "cat 0.80", "cat"] and title == "2 found, 1 true"


def test_a_score_at_the_threshold_is_not_above_it() -> None:
    assert above(FOUND, 0.7).classes.tolist() == [3, 3]
    assert above(FOUND, 0.69).classes.tolist() == [3, 3, 1]
    assert above(TRUTH, 0.7) is TRUTH


def test_a_picture_says_that_nothing_was_found(tmp_path: Path) -> None:
    with canvas(tmp_path / "a.png", 3, 2) as figure:
        picture = PictureAxes(figure.subplots(), IMAGE)
        draw_detections(picture, FOUND, None, {}, 0.95)
        assert texts(picture.axes) == ["nothing found with a\nscore above 0.95"]


def test_pictures_of_any_sizes_stand_on_one_page(tmp_path: Path) -> None:
    images = [torch.zeros(3, *size) for size in ((50, 100), (90, 30), (20, 20), (9, 9), (5, 9))]
    detection_table(tmp_path / "a.png", images=images, true=[TRUTH] * 5, title="a")
    detection_table(tmp_path / "b.png", images=images[:1], true=[TRUTH])
    assert green(tmp_path / "a.png") > 3 * green(tmp_path / "b.png") > 300


def test_nothing_at_all_is_a_page_too(tmp_path: Path) -> None:
    detection_table(tmp_path / "a.png", images=[])
    detection_table(tmp_path / "b.png", images=[IMAGE], found=[NOTHING], true=[NOTHING])
    none = torch.zeros(0).long()
    matched_boxes(
        tmp_path / "c.png", image=IMAGE, boxes=FOUND.boxes, true=NOTHING, queries=none, objects=none
    )
    precision_recall(tmp_path / "d.png", {})
    area_histogram(tmp_path / "e.png", {"none": torch.zeros(0)})
    assert len(list(tmp_path.glob("*.png"))) == 5


def test_matches_are_red_true_objects_green_and_all_others_grey(tmp_path: Path) -> None:
    """A line joins the centres of a pair."""
    boxes = torch.rand(6, 4, generator=torch.Generator().manual_seed(0))
    true = Labelled(boxes[[4, 2]] + 0.1, torch.tensor([1, 2]))
    with canvas(tmp_path / "a.png", 3, 2) as figure:
        picture = PictureAxes(figure.subplots(), IMAGE)
        draw_matches(picture, boxes, true, torch.tensor([2, 4]), torch.tensor([1, 0]), {2: "cat"})
        axes = picture.axes
        counts = [len(rectangles(axes, color)) for color in (PREDICTED, TRUE, OTHER)]
        line, words = axes.lines[0].get_xydata(), texts(axes)
    assert counts == [2, 2, 4]
    size = np.array([100, 50])
    pair = np.stack([boxes[2, :2].numpy() * size, true.boxes[1, :2].numpy() * size])
    assert line == pytest.approx(pair)
    assert words == ["query 2", "query 4", "class 1", "cat"]


def scores() -> BoxScores:
    """Of two classes in twenty pictures, found about where they are."""
    draws = np.random.default_rng(0)
    boxes = np.concatenate([draws.uniform(0, 50, (20, 2)), draws.uniform(20, 60, (20, 2))], 1)
    classes, ids = np.arange(20) % 2, np.arange(20)
    truth = Truth(ids, classes, boxes, boxes[:, 2:].prod(1), np.zeros(20, bool))
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
    records = DetectionRecords()
    records.add(
        torch.from_numpy(ids),
        torch.from_numpy(draws.uniform(0, 1, (20, 1))),
        torch.from_numpy(classes)[:, None],
        torch.from_numpy(corners + draws.normal(0, 4, (20, 4)))[:, None],
    )
    return average_precision(truth, records.table())


@pytest.mark.parametrize("overlaps, name", [([0], "AP50"), ([5], "AP75"), (list(range(10)), "mAP")])
def test_the_mean_of_a_curve_is_its_average_precision(
    tmp_path: Path, overlaps: list[int], name: str
) -> None:
    """What is not known, large objects here, has no curve."""
    found = scores()
    assert np.isnan(found.precision[..., 3]).all()
    with canvas(tmp_path / "a.png", 3, 2) as figure:
        axes: Any = figure.subplots()
        chosen = found.precision[overlaps]
        draw_precision(axes, {"all": chosen[..., 0], "large": chosen[..., 3]})
        curve, none = (one.get_xydata() for one in axes.lines)
        labels = [one.get_text() for one in axes.get_legend().get_texts()]
    assert curve[:, 1].mean() == pytest.approx(found.figures[name])
    assert curve[:, 0] == pytest.approx(np.linspace(0, 1, 101)) and not len(none)
    assert labels == [f"all  {found.figures[name]:.3f}", "large  no objects"]


def test_curves_of_perfect_detections_go_through_the_corner(tmp_path: Path) -> None:
    precision = np.ones((10, 101, 2, 4))
    precision_recall(tmp_path / "a.png", {"a": precision, "b": precision * 0.5}, title="a")
    with Image.open(tmp_path / "a.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    is_blue = np.abs(pixels - [0, 114, 178]).max(-1) < 10
    assert is_blue[:100].sum() > 3 * 300


def test_every_area_is_counted_once_with_the_shares_of_sizes(tmp_path: Path) -> None:
    areas = torch.tensor([1.0, 1023.9, 1024.0, 9215.9, 9216.0, 1e6, 4.0, 4.0])
    with canvas(tmp_path / "a.png", 3, 2) as figure:
        axes: Any = figure.subplots()
        draw_areas(axes, {"a": areas, "none": torch.zeros(0)}, (32.0**2, 96.0**2))
        counts, edges, _ = axes.patches[0].get_data()
        labels = [one.get_text() for one in axes.get_legend().get_texts()]
    assert counts.sum() == 8 and edges[0] <= 1 and edges[-1] >= 1e6
    assert labels == ["a: 50% small, 25% medium, 25% large"]
