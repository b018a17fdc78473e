"""Pictures of embeddings: how alike positions are, and where slots lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from trainables.figures.canvas import canvas
from trainables.figures.palette import color
from trainables.losses.similarity import normalized


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


def principal_components(vectors: Tensor, number: int = 2) -> tuple[Tensor, Tensor]:
    """Vectors [N, D] along the directions of most variance, [N, number], and the shares of it.

    Computed in double precision; the entry of a direction that is largest in magnitude is positive.
    """
    centred = vectors.detach().double().cpu()
    centred = centred - centred.mean(0)
    _, values, directions = torch.linalg.svd(centred, full_matrices=False)
    directions = directions[:number]
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    total = values.square().sum()
    share = values[:number].square() / total.where(total > 0, 1.0)
    return centred @ (directions * largest.sign()).T, share


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


def _spread(size: int, most: int) -> list[int]:
    """At most so many places of 0 … size − 1, evenly spread, both ends among them."""
    number = min(size, most)
    return torch.linspace(0, size - 1, number).round().long().tolist()
