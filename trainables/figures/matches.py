"""Pictures of what is like what: two views of images, and slots of two views."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainables.figures.canvas import canvas
from trainables.figures.pictures import cell_size, shown
from trainables.losses.similarity import normalized

_TARGET, _CHOSEN = "black", "#009e73"


def global_matches(
    path: Path,
    projections: Tensor,
    *,
    images: Tensor | None = None,
    temperature: float | None = None,
    title: str = "",
) -> float:
    """Every view beside every other, 2B × 2B: a square is the other view of the image, a dot the
    most similar of all others.

    The shade is the cosine, or the probability of a softmax over all others at a temperature τ.
    Returns the share of views whose most similar one is the other view of their image.

    Args:
        path: of the PNG.
        projections: [B, 2, D].
        images: float 0…1, [B, 2, 3, H, W]; they stand along both axes.
        temperature: τ of the loss.
        title: stands before the accuracy.
    """
    rows = normalized(projections.detach().float().cpu()).flatten(0, 1)
    scores = (rows @ rows.T).fill_diagonal_(-torch.inf)
    targets, chosen = torch.arange(len(rows)) ^ 1, scores.argmax(1)
    accuracy = float((chosen == targets).double().mean())
    name, low = "cosine", -1.0
    if temperature is not None:
        scores, name, low = (scores / temperature).softmax(1), f"probability, τ = {temperature}", 0
    scores.fill_diagonal_(torch.nan)
    side = min(11.0, 3.5 + 0.32 * len(rows))
    with canvas(path, side + 0.6, side) as figure:
        axes = figure.subplots()
        _matrix(figure, axes, scores, name, low)
        places = torch.arange(len(rows))
        axes.scatter(
            targets, places, s=_area(side, len(rows)), marker="s", facecolors="none",
            edgecolors=_TARGET, label="other view",
        )  # fmt: skip
        axes.scatter(
            chosen, places, s=_area(side, len(rows)) / 6, color=_CHOSEN, label="most similar"
        )
        _lines(axes, len(rows), 2)
        if images is not None:
            _along(axes, images.flatten(0, 1))
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
        axes.set_title(f"{title}  accuracy {accuracy:.2f}".strip(), fontsize=11, pad=6)
    return accuracy


def object_matches(
    path: Path, slots: Tensor, partners: Tensor, *, images: Tensor | None = None, title: str = ""
) -> float:
    """Every slot beside every other, 2BS × 2BS: a square is the partner that the loss used.

    The shade is the cosine. Returns the share of slots whose most similar one in the other view is
    their partner, a dot where it is not.

    Args:
        path: of the PNG.
        slots: [B, 2, S, D], those that were matched: features or projections.
        partners: of each slot in the other view, int64 [B, 2, S], as the loss had them; they are
            not found anew.
        images: float 0…1, [B, 2, 3, H, W]; they stand along both axes.
        title: stands before that share.
    """
    batch, _, number, _ = slots.shape
    partners = partners.cpu()
    vectors = normalized(slots.detach().float().cpu())
    rows = vectors.flatten(0, 2)
    nearest = (vectors @ vectors.flip(1).mT).argmax(3)
    start = number * torch.arange(2 * batch).view(batch, 2).flip(1)[..., None]
    is_nearest = nearest == partners
    side = min(12.0, 4.0 + 0.07 * len(rows))
    with canvas(path, side + 0.6, side) as figure:
        axes = figure.subplots()
        scores = (rows @ rows.T).fill_diagonal_(torch.nan)
        _matrix(figure, axes, scores, "cosine", -1.0)
        places = torch.arange(len(rows))
        axes.scatter(
            (start + partners).flatten(), places, s=_area(side, len(rows)), marker="s",
            facecolors="none", edgecolors=_TARGET, linewidths=0.8, label="partner in the loss",
        )  # fmt: skip
        others = ~is_nearest.flatten()
        axes.scatter(
            (start + nearest).flatten()[others], places[others], s=_area(side, len(rows)) / 3,
            color=_CHOSEN, label="most similar, where it is another",
        )  # fmt: skip
        _lines(axes, len(rows), number)
        if images is not None:
            _along(axes, images.flatten(0, 1))
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
        share = float(is_nearest.double().mean())
        axes.set_title(f"{title}  partner is most similar: {share:.2f}".strip(), fontsize=11, pad=6)
    return share


def _matrix(figure: Any, axes: Any, scores: Tensor, name: str, low: float) -> None:
    """The shades of a matrix, what is NaN grey; white is the middle of cosines."""
    colours = "RdBu_r" if low < 0 else "Blues"
    axes.set_facecolor("0.8")
    image = axes.imshow(scores.numpy(), cmap=colours, vmin=low, vmax=1, interpolation="nearest")
    figure.colorbar(image, ax=axes, label=name, shrink=0.8)
    axes.set_xticks([])
    axes.set_yticks([])


def _lines(axes: Any, number: int, group: int) -> None:
    """Between groups of rows and columns thin lines; thick ones would hide what is small."""
    for place in np.arange(group, number, group) - 0.5:
        axes.axhline(place, color="0.35", linewidth=0.5)
        axes.axvline(place, color="0.35", linewidth=0.5)


def _along(axes: Any, images: Tensor) -> None:
    """Images [N, 3, H, W] above and to the left of a matrix, as wide as their rows."""
    height, width = cell_size(images.shape[2], images.shape[3], 48)
    cells = shown(images, (height, width)).numpy()
    part = 1 / len(images)
    for bounds, strip in (
        ((0, 1.005, 1, part), np.concatenate(list(cells), 1)),
        ((-part - 0.005, 0, part, 1), np.concatenate(list(cells), 0)),
    ):
        inset = axes.inset_axes(bounds)
        inset.imshow(strip, aspect="auto")
        inset.set_axis_off()


def _area(side: float, rows: int) -> float:
    """The area in points² of a marker in a cell of a matrix, in a figure of `side` inches."""
    return min(150.0, max(4.0, (0.62 * side * 72 / rows) ** 2))
