"""Landscapes are drawn, also those with gaps; the file for others has what was computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from trainables.figures import landscape

AXIS = torch.linspace(-1, 1, 5, dtype=torch.float64)
BOWL = 40 * (AXIS[:, None] ** 2 + 0.5 * AXIS[None] ** 2) + 0.01
HOLED = BOWL.clone()
HOLED[0, 0], HOLED[4, 1] = torch.nan, torch.inf


def colours(path: Path) -> int:
    with Image.open(path) as image:
        return len(image.convert("RGB").getcolors(1 << 24) or ())


@pytest.mark.parametrize("style", ["contour", "filled", "heat"])
@pytest.mark.parametrize("losses", [BOWL, HOLED, torch.ones(5, 5)], ids=["bowl", "holed", "flat"])
def test_a_plane_is_drawn_in_each_style(style: Any, losses: Tensor, tmp_path: Path) -> None:
    path = tmp_path / "plane.png"
    landscape.plane(path, AXIS, AXIS, losses, style=style, trajectory=torch.eye(2) / 2)
    assert colours(path) > 20


@pytest.mark.parametrize("is_default", [True, False])
def test_a_surface_is_clipped_and_logarithmic_unless_it_is_told_otherwise(
    is_default: bool,
) -> None:
    figure = Figure()
    FigureCanvasAgg(figure)
    axes: Any = figure.add_subplot(projection="3d")
    landscape.draw_surface(axes, AXIS, AXIS, HOLED, logs=is_default, clips=is_default)
    low, high = axes.get_zlim()
    known = HOLED[HOLED.isfinite()]
    expected = (-2.0, 1.0) if is_default else (float(known.min()), float(known.max()))
    assert (low, high) == pytest.approx(expected, abs=1e-9)


def test_a_curve_is_drawn_with_its_gaps(tmp_path: Path) -> None:
    landscape.curve(tmp_path / "a.png", AXIS, HOLED[0], accuracies=AXIS.abs(), title="line")
    assert colours(tmp_path / "a.png") > 20


@pytest.mark.slow
def test_surfaces_are_drawn_alone_and_on_a_sheet(tmp_path: Path) -> None:
    landscape.surface(tmp_path / "b.png", AXIS, AXIS, HOLED, title="surface")
    cells = [[(AXIS, AXIS, BOWL, True), (AXIS, AXIS, HOLED, False)]]
    landscape.sheet(tmp_path / "c.png", ["log", "linear"], ["net"], cells, title="sheet")
    assert all(colours(path) > 20 for path in tmp_path.glob("*.png"))
    assert len(list(tmp_path.iterdir())) == 2


def test_the_file_for_others_has_points_with_the_first_axis_fastest(tmp_path: Path) -> None:
    path, second = tmp_path / "plane.vtk", torch.tensor([-1.0, 0.0, 1.0])
    losses = HOLED[:, :3]
    landscape.vtk(path, AXIS, second, losses)
    lines = path.read_text().splitlines()
    assert lines[0] == "# vtk DataFile Version 3.0" and lines[4] == "DIMENSIONS 5 3 1"
    points = np.array([line.split() for line in lines[6:21]], float).reshape(3, 5, 3)
    assert points[0, :, 0].tolist() == AXIS.tolist() and points[:, 2, 1].tolist() == [-1, 0, 1]
    assert points[1, 2, 2] == pytest.approx(np.log10(min(float(losses[2, 1]), 10)))
    scalars = np.array(lines[24:], float).reshape(3, 5)
    kept = losses.isfinite().numpy()
    np.testing.assert_allclose(scalars.T[kept], losses.numpy()[kept], rtol=1e-8)
    assert (scalars.T[~kept] > 1e38).all() and np.isfinite(scalars).all()


def test_ticks_of_a_narrow_range_tell_their_losses_apart() -> None:
    assert landscape.distinct([0.1, 1.0, 10.0]) == ["0.1", "1", "10"]
    assert landscape.distinct([2.3021, 2.3022, 2.3024]) == ["2.3021", "2.3022", "2.3024"]
    figure = Figure()
    FigureCanvasAgg(figure)
    axes: Any = figure.add_subplot(projection="3d")
    narrow = 2.3 + 1e-3 * BOWL
    landscape.draw_surface(axes, AXIS, AXIS, narrow, logs=True, clips=True)
    labels = axes.zaxis.get_major_formatter().format_ticks(axes.get_zticks())
    assert len(set(labels)) == len(labels) > 2


def test_a_path_lies_on_the_surface_between_its_points() -> None:
    """A plane is bilinear: what is read off it is exact; outside there is nothing."""
    first, second = AXIS, torch.tensor([-2.0, 0.0, 2.0])
    values = 3 * first[:, None] - second[None]
    places = torch.tensor([[0.25, -1.0], [-1.0, 2.0], [1.5, 0.0]])
    found = landscape.interpolated(first, second, values, places)
    assert found[:2].tolist() == pytest.approx([1.75, -5.0]) and found[2].isnan()


def test_a_path_is_drawn_over_a_surface(tmp_path: Path) -> None:
    path = torch.tensor([[0.8, 0.6], [0.4, 0.1], [0.0, 0.0]])
    for name, drawn in (("with", path), ("without", None)):
        landscape.surface(tmp_path / name, AXIS, AXIS, BOWL, trajectory=drawn)
    assert (tmp_path / "with").read_bytes() != (tmp_path / "without").read_bytes()
