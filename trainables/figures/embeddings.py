"""Pictures of embeddings: how alike positions are, where slots lie, where classes do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trainables.figures.canvas import canvas
from trainables.figures.palette import color
from trainables.figures.panels import legend
from trainables.losses.similarity import normalized
from trainables.metrics.embedding_maps import principal_components


def position_similarity(
    path: Path, embeddings: Tensor, grid: tuple[int, int], *, most: int = 8, title: str = ""
) -> None:
    """The cosine of positional embeddings [P, D] with all others: a heat map for each place shown.

    At most `most` × `most` places of the P = h · w of the grid, evenly spread; each map lies where
    its place is.
    """
    rows = normalized(embeddings.detach().float().cpu())
    cosines = (rows @ rows.T).view(*grid, *grid)
    chosen = [_spread(size, most) for size in grid]
    cosines = cosines[chosen[0]][:, chosen[1]]
    gap = max(1, round(max(grid) / 16))
    tall, wide = grid[0] + gap, grid[1] + gap
    sheet = torch.full((len(chosen[0]) * tall - gap, len(chosen[1]) * wide - gap), torch.nan)
    for y, line in enumerate(cosines):
        for x, one in enumerate(line):
            sheet[y * tall : y * tall + grid[0], x * wide : x * wide + grid[1]] = one
    with canvas(path, 7.4, 6.6) as figure:
        axes = figure.subplots()
        image = axes.imshow(sheet.numpy(), cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        figure.colorbar(image, ax=axes, label="cosine", shrink=0.85)
        across = [place * wide + grid[1] / 2 - 0.5 for place in range(len(chosen[1]))]
        down = [place * tall + grid[0] / 2 - 0.5 for place in range(len(chosen[0]))]
        axes.set_xticks(across, [*map(str, chosen[1])])
        axes.set_yticks(down, [*map(str, chosen[0])])
        axes.tick_params(length=0, labelsize=8)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("column of the place")
        axes.set_ylabel("row of the place")
        axes.set_title(title, fontsize=11)


def slot_scatter(
    path: Path,
    slots: Tensor,
    objects: Tensor,
    *,
    names: Sequence[str] = (),
    title: str = "",
) -> None:
    """Slots [N, S, D] (or vectors [N, D]) along their first two principal components.

    The colour is what a slot shows, `objects` [N, S] (or [N]), 0 the background, −1 nothing; it may
    be the label of an object or one of its properties. `names` are of 0, 1, …
    """
    vectors, labels = slots.reshape(-1, slots.shape[-1]), objects.flatten().long().cpu()
    points, shares = principal_components(vectors)
    with canvas(path, 6.6, 5.0) as figure:
        axes = figure.subplots()
        for label in labels.unique().tolist():
            own = points[labels == label]
            known = label < len(names)
            name = "nothing" if label < 0 else names[label] if known else str(label)
            shade = "0.8" if label < 0 else color(label)
            axes.scatter(*own.T, s=9, color=shade, label=name, linewidths=0, alpha=0.8)
        for axis, share, place in zip((axes.xaxis, axes.yaxis), shares, ("1", "2"), strict=True):
            axis.set_label_text(f"component {place} ({float(share):.0%} of the variance)")
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside right upper", fontsize=8, frameon=False, markerscale=2)
        axes.set_title(title, fontsize=11)


def class_map(
    path: Path,
    points: Tensor,
    labels: Tensor,
    names: Sequence[str],
    *,
    means: Tensor | None = None,
    axes: tuple[str, str] = ("", ""),
    title: str = "",
) -> None:
    """Points [N, 2] of a map in the colours of their classes, labels [N] in 0 … C − 1.

    `names` are of the classes, in the legend those that occur; `means` of these [≤ C, 2], if given,
    are shown as crosses with their names. Without words for the axes they
    have no scale: of t-SNE distances mean little.
    """
    with canvas(path, 6.8, 5.2) as figure:
        panel = figure.subplots()
        _draw_classes(panel, ClassPoints(points, labels, title), names)
        crosses = [] if means is None else means.tolist()
        for label, (x, y) in zip(labels.unique().tolist(), crosses, strict=False):
            panel.scatter(x, y, s=90, color=color(label + 1), marker="X", edgecolors="black")
            panel.annotate(
                str(names[label]), (x, y), (5, 5), textcoords="offset points", fontsize=8
            )
        if any(axes):
            panel.set(xlabel=axes[0], ylabel=axes[1])
            panel.spines[["top", "right"]].set_visible(False)
        else:
            panel.set(xticks=[], yticks=[])
        figure.legend(loc="outside right upper", fontsize=8, frameon=False, markerscale=2)


class ClassPoints(NamedTuple):
    """Points [N, 2] on a map, the labels [N] of their classes, and what is above."""

    points: Tensor
    labels: Tensor
    title: str


def class_maps(path: Path, panels: Sequence[ClassPoints], names: Sequence[str]) -> None:
    """Maps of the same classes side by side, such as those of several networks; without scales."""
    with canvas(path, 5.2 * len(panels) + 1.6, 5.2) as figure:
        drawn = figure.subplots(1, len(panels), squeeze=False)[0]
        for panel, one in zip(drawn, panels, strict=True):
            _draw_classes(panel, one, names)
            panel.set(xticks=[], yticks=[])
        legend(figure, drawn)


def _draw_classes(panel: Any, shown: ClassPoints, names: Sequence[str]) -> None:
    """Points with thin edges, without which yellow is hardly seen; the fewer, the larger."""
    labels = shown.labels.long().cpu()
    given = {"s": min(28.0, max(7.0, 9000 / len(labels))), "linewidths": 0.3, "alpha": 0.85}
    for label in labels.unique().tolist():
        own, shade = shown.points[labels == label], color(label + 1)
        panel.scatter(*own.T, color=shade, label=names[label], edgecolors="0.25", **given)
    panel.set_title(shown.title, fontsize=11)


def _spread(size: int, most: int) -> list[int]:
    """At most so many places of 0 … size − 1, evenly spread, both ends among them."""
    number = min(size, most)
    return torch.linspace(0, size - 1, number).round().long().tolist()
