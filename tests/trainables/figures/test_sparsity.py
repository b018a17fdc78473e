"""Pictures of sparsity: curves, bands and bars stand at their numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainables.figures.canvas import canvas
from trainables.figures.sparsity import (
    Band,
    by_layer,
    by_threshold,
    draw_inside,
    draw_layers,
    draw_thresholds,
    inside_boxes,
)

MEANS, DEVIATIONS = [0.2, 0.9, 0.5], [0.1, 0.3, 0.0]


def texts(axes: Any) -> list[str]:
    return [one.get_text() for one in axes.texts]


def test_layers_have_their_means_and_bands_that_end_at_one(tmp_path: Path) -> None:
    with canvas(tmp_path / "a.png", 3, 2) as figure:
        axes: Any = figure.subplots()
        draw_layers(axes, {"a": Band(torch.tensor(MEANS), DEVIATIONS), "b": Band([0.1])})
        first, second = (one.get_xydata() for one in axes.lines)
        (band,) = axes.collections
        corners, ticks = band.get_paths()[0].vertices, axes.get_xticks()
    assert first == pytest.approx(np.array([[0, 0.2], [1, 0.9], [2, 0.5]]))
    assert second.tolist() == [[0, 0.1]] and ticks.tolist() == [0, 1, 2]
    ends = [corners[corners[:, 0] == layer][:, 1] for layer in (0, 1, 2)]
    assert np.array([[one.min(), one.max()] for one in ends]) == pytest.approx(
        np.array([[0.1, 0.3], [0.6, 1.0], [0.5, 0.5]])
    )


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_thresholds_may_come_in_any_order(tmp_path: Path, order: list[int]) -> None:
    thresholds = [(1e-6, 1e-4, 1e-2)[place] for place in order]
    with canvas(tmp_path / "a.png", 3, 2) as figure:
        axes: Any = figure.subplots()
        draw_thresholds(axes, thresholds, {"a": Band([MEANS[place] for place in order])})
        curve, scale = axes.lines[0].get_xydata(), axes.get_xscale()
    assert scale == "log"
    assert curve == pytest.approx(np.array([[1e-6, 0.2], [1e-4, 0.9], [1e-2, 0.5]]))


def test_exact_zeros_stand_apart(tmp_path: Path) -> None:
    """A decade below the least threshold, with a gap between them."""
    with canvas(tmp_path / "a.png", 3, 2) as figure:
        axes: Any = figure.subplots()
        draw_thresholds(axes, [1e-3, 0, 1e-4], {"a": Band([0.9, 0.2, 0.5], [0.1, 0.1, 0.1])})
        curve = axes.lines[0].get_xydata()
        labels = [one.get_text() for one in axes.get_xticklabels()]
    assert curve[[0, 2, 3]] == pytest.approx(np.array([[1e-5, 0.2], [1e-4, 0.5], [1e-3, 0.9]]))
    assert np.isnan(curve[1]).all()
    assert labels == ["0", "$10^{-4}$", "$10^{-3}$"]


def test_bars_stand_in_groups_by_size_with_chance_across_them(tmp_path: Path) -> None:
    """A size of which a model has nothing is said to have none."""
    models = {"a": {"all": (0.4, 0.1), "small": (0.2, np.nan)}, "b": {"all": (0.6, 0.2)}}
    with canvas(tmp_path / "a.png", 3, 2) as figure:
        axes: Any = figure.subplots()
        draw_inside(axes, models, {"all": 0.3})
        bars = [(one.get_x() + one.get_width() / 2, one.get_height()) for one in axes.patches]
        marks = [one.get_segments() for one in axes.collections]
        ticks = [one.get_text() for one in axes.get_xticklabels()]
        limits, words = axes.get_xlim(), texts(axes)
    assert np.array(bars[:3]) == pytest.approx(np.array([[-0.2, 0.4], [0.8, 0.2], [0.2, 0.6]]))
    assert np.isnan(bars[3][1]) and words == [" none"]
    first = np.array(marks[0][0])
    assert first == pytest.approx(np.array([[-0.2, 0.3], [-0.2, 0.5]]))
    assert np.array(marks[-1][0])[:, 1].tolist() == [0.3, 0.3]
    assert ticks == ["all", "small"] and limits == (-0.5, 1.5)


def test_panels_share_their_axis_unless_told_otherwise(tmp_path: Path) -> None:
    """Nothing to draw is said in a page, and in a panel beside others."""
    panels = {"untrained": {"a": Band(MEANS)}, "trained": {"a": Band(MEANS)}, "none": {}}
    by_layer(tmp_path / "a.png", panels, title="a")
    by_layer(tmp_path / "b.png", panels, shares_axis=False)
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_nothing_at_all_is_a_page_too(tmp_path: Path) -> None:
    by_layer(tmp_path / "a.png", {})
    by_threshold(tmp_path / "b.png", [], {})
    inside_boxes(tmp_path / "c.png", {})
    by_threshold(tmp_path / "d.png", [0.0], {"a": Band([0.5])})
    assert len(list(tmp_path.glob("*.png"))) == 4
    with canvas(tmp_path / "e.png", 3, 2) as figure:
        axes: Any = figure.subplots()
        draw_inside(axes, {"a": {}}, {})
        assert texts(axes) == ["no boxes"]


def test_whole_pages_are_drawn(tmp_path: Path) -> None:
    models = {name: {"all": (0.3, 0.1), "small": (0.1, 0.1)} for name in "ab"}
    inside_boxes(tmp_path / "a.png", models, chance={"all": 0.2}, title="a")
    by_threshold(tmp_path / "b.png", [1e-3, 1e-4, 0], {"a": Band(MEANS, DEVIATIONS)}, title="a")
    assert len(list(tmp_path.glob("*.png"))) == 2
