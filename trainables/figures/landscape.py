"""Pictures of loss landscapes: curves, contours, heat maps, surfaces; and a file for others."""

# A and B points along the axes.

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import Formatter
from torch import Tensor
from torch.nn import functional

from trainables.core.files import appearing
from trainables.figures.canvas import canvas
from trainables.figures.palette import CURVES
from trainables.metrics.roughness import CEILING, heights

Style = Literal["contour", "filled", "heat"]

_LEVELS = np.arange(0.1, 10.0, 0.5)
"""Those of the contours of Li et al. 2018."""
_SHADES = "viridis"
_ROUNDING = 1e-9
"""So much an end of a trajectory may lie outside of the axes that it was to reach."""
_LARGEST = float(np.finfo(np.float32).max)


def distinct(values: Sequence[float]) -> list[str]:
    """Numbers as texts of two digits, or of as many more as tell those apart that differ."""
    for digits in range(2, 17):
        found = [f"{value:.{digits}g}" for value in values]
        if len(set(found)) == len(set(values)):
            return found
    return [repr(value) for value in values]


class _Losses(Formatter):
    """Losses at ticks that are their logarithms; those of a narrow range stay apart."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{10**x:.2g}"

    def format_ticks(self, values: Any) -> list[str]:
        return distinct([float(10**value) for value in values])


def curve(
    path: Path,
    axis: Tensor,
    losses: Tensor,
    *,
    accuracies: Tensor | None = None,
    title: str = "",
) -> None:
    """Losses [A] along a line, and accuracies [A] on an axis of their own, 0…1.

    Losses up to 10 have a linear axis, larger ones a logarithmic one; gaps are not finite.
    """
    with canvas(path, 5.6, 3.8) as figure:
        axes = figure.subplots()
        axes.plot(axis.numpy(), _numbers(losses), color=CURVES[0])
        axes.set_xlabel("distance, in norms of the weights")
        axes.set_ylabel("loss", color=CURVES[0])
        known = losses[losses.isfinite()]
        if len(known) and known.max() > CEILING and known.min() > 0:
            axes.set_yscale("log")
        if accuracies is not None:
            other = axes.twinx()
            other.plot(axis.numpy(), accuracies.numpy(), color=CURVES[1], linestyle="--")
            other.set_ylabel("accuracy", color=CURVES[1])
            other.set_ylim(-0.02, 1.02)
        axes.set_title(title, fontsize=11)


def plane(
    path: Path,
    first: Tensor,
    second: Tensor,
    losses: Tensor,
    *,
    style: Style = "contour",
    logs: bool = True,
    clips: bool = True,
    trajectory: Tensor | None = None,
    title: str = "",
) -> None:
    """Losses [A, B] over coordinates [A] and [B], the first across; the network is a cross.

    Contours are at 0.1, 0.6 … 9.6 if heights are clipped at 10. What is not finite is white in heat
    maps. A `trajectory` [n, 2] is drawn as a line with its points.
    """
    x, y = first.numpy(), second.numpy()
    with canvas(path, 5.6, 4.6) as figure:
        axes = figure.subplots()
        if style == "heat":
            high = heights(losses, ceiling=CEILING if clips else None, logs=logs)
            shown = np.where(losses.isfinite().numpy(), high.numpy(), np.nan)
            image = axes.pcolormesh(x, y, shown.T, cmap=_SHADES, shading="nearest")
            figure.colorbar(image, ax=axes, label="log₁₀ of the loss" if logs else "loss")
        else:
            _contours(axes, x, y, losses, style=style, clips=clips)
        if trajectory is not None:
            axes.plot(*trajectory.T.numpy(), ".-", color=CURVES[1], linewidth=1, markersize=5)
            axes.set_xlim(x.min(), x.max())
            axes.set_ylim(y.min(), y.max())
        axes.plot(0, 0, "+", color="black", markersize=9)
        axes.set_xlabel("first direction")
        axes.set_ylabel("second direction")
        axes.set_title(title, fontsize=11)


def _contours(
    axes: Axes, x: Any, y: Any, losses: Tensor, *, style: Literal["contour", "filled"], clips: bool
) -> None:
    """Lines with their losses, or areas between them."""
    shown = _numbers(losses).T
    known = shown[np.isfinite(shown)]
    if not len(known) or known.min() == known.max():
        axes.text(0, 0, "flat", ha="center", va="bottom")
        axes.set_xlim(x.min(), x.max())
        axes.set_ylim(y.min(), y.max())
        return
    levels = _LEVELS[(known.min() <= _LEVELS) & (known.max() >= _LEVELS)] if clips else ()
    given = levels if len(levels) > 1 else 12
    if style == "filled":
        found = axes.contourf(x, y, np.ma.masked_invalid(shown), given, cmap=_SHADES, extend="both")
        axes.figure.colorbar(found, ax=axes, label="loss")
        return
    found = axes.contour(x, y, np.ma.masked_invalid(shown), given, cmap=_SHADES, linewidths=1)
    known = [float(level) for level in found.levels]
    axes.clabel(found, fontsize=7, fmt=dict(zip(found.levels, distinct(known), strict=True)))


def surface(
    path: Path,
    first: Tensor,
    second: Tensor,
    losses: Tensor,
    *,
    logs: bool = True,
    clips: bool = True,
    trajectory: Tensor | None = None,
    title: str = "",
) -> None:
    """Losses [A, B] as a surface in space: clipped at 10 and on a logarithmic height by default.

    A `trajectory` [n, 2] is a line on it, as far as it lies within the axes.
    """
    with canvas(path, 6.0, 4.8) as figure:
        axes: Any = figure.add_subplot(projection="3d")
        draw_surface(axes, first, second, losses, logs=logs, clips=clips)
        if trajectory is not None:
            high = heights(losses, ceiling=CEILING if clips else None, logs=logs)
            axes.computed_zorder = False  # a line on a surface is hidden by it otherwise
            there = interpolated(first, second, high, trajectory)
            across, along = trajectory.T.numpy()
            axes.plot(across, along, there.numpy(), ".-", color=CURVES[1], zorder=5)
        axes.set_title(title, fontsize=11)


def draw_surface(
    axes: Any, first: Tensor, second: Tensor, losses: Tensor, *, logs: bool, clips: bool
) -> None:
    """A surface on axes in space, which have the losses as their ticks."""
    high = _numbers(heights(losses, ceiling=CEILING if clips else None, logs=logs))
    x, y = np.meshgrid(first.numpy(), second.numpy(), indexing="ij")
    known = high[np.isfinite(high)]
    low, top = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    span = {"vmin": low, "vmax": top} if top > low else {}
    axes.plot_surface(x, y, high, cmap=_SHADES, rstride=1, cstride=1, linewidth=0, **span)
    axes.set_zlim(low, top if top > low else low + 1)
    axes.tick_params(labelsize=7, pad=0)
    if logs:
        axes.zaxis.set_major_formatter(_Losses())


def interpolated(first: Tensor, second: Tensor, values: Tensor, places: Tensor) -> Tensor:
    """Values [A, B] over even coordinates [A] and [B] at places [n, 2], bilinear; float64 [n].

    What lies outside is NaN.
    """
    axes = [one.double() for one in (first, second)]
    scaled = [
        2 * (places[:, k].double() - one[0]) / (one[-1] - one[0]) - 1 for k, one in enumerate(axes)
    ]
    grid = torch.stack(scaled[::-1], -1)[None, None]  # the last axis of values comes first
    found = functional.grid_sample(
        values.double()[None, None], grid, "bilinear", "border", align_corners=True
    )[0, 0, 0]
    return found.where((grid[0, 0].abs() <= 1 + _ROUNDING).all(-1), torch.nan)


def sheet(
    path: Path,
    columns: Sequence[str],
    rows: Sequence[str],
    cells: Sequence[Sequence[tuple[Tensor, Tensor, Tensor, bool] | None]],
    *,
    title: str = "",
) -> None:
    """Surfaces side by side: of each cell its axes, losses, and whether it is clipped and
    logarithmic, or as it is; None: nothing.
    """
    size = len(rows), len(columns)
    with canvas(path, 1.5 * size[1] + 0.5, 1.4 * size[0] + 0.5) as figure:
        whole = figure.subplots(*size, subplot_kw={"projection": "3d"}, squeeze=False)
        for across, line in zip(whole, cells, strict=True):
            for axes, cell in zip(across, line, strict=True):
                if cell is None:
                    axes.set_axis_off()
                    continue
                first, second, losses, is_log = cell
                draw_surface(axes, first, second, losses, logs=is_log, clips=is_log)
                axes.set_xticklabels([])
                axes.set_yticklabels([])
                axes.tick_params(labelsize=5)
                axes.zaxis.get_offset_text().set_fontsize(5)
        for axes, name in zip(whole[0], columns, strict=True):
            axes.set_title(name, fontsize=7)
        for axes, name in zip(whole[:, 0], rows, strict=True):
            axes.text2D(
                -0.12, 0.5, name, rotation=90, va="center", fontsize=7, transform=axes.transAxes
            )
        figure.suptitle(title, fontsize=10)


def vtk(path: Path, first: Tensor, second: Tensor, losses: Tensor, *, logs: bool = True) -> None:
    """Losses [A, B] as a surface for ParaView and others: a structured grid of VTK, as text.

    Heights are clipped at 10 and, if so, logarithmic; the losses themselves, largest where they are
    not finite, are the scalar `loss`.
    """
    high = heights(losses, logs=logs).numpy()
    kept = losses.double().nan_to_num(_LARGEST).clamp(-_LARGEST, _LARGEST).numpy()
    rows, columns = high.shape
    x, y = np.meshgrid(first.numpy(), second.numpy(), indexing="ij")
    order = [array.T.ravel() for array in (x, y, high)]  # the first axis runs fastest
    lines = ["# vtk DataFile Version 3.0", "loss landscape", "ASCII", "DATASET STRUCTURED_GRID"]
    lines += [f"DIMENSIONS {rows} {columns} 1", f"POINTS {rows * columns} double"]
    lines += [f"{a:.9g} {b:.9g} {c:.9g}" for a, b, c in zip(*order, strict=True)]
    lines += [f"POINT_DATA {rows * columns}", "SCALARS loss double 1", "LOOKUP_TABLE default"]
    lines += [f"{one:.9g}" for one in kept.T.ravel()]
    with appearing(path) as partial:
        partial.write_text("\n".join(lines) + "\n")


def _numbers(values: Tensor) -> Any:
    """Those that are finite; the others are no numbers."""
    return values.where(values.isfinite(), np.nan).double().numpy()
