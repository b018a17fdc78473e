"""Parts that panels of curves share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from trainables.figures.palette import CURVES


def say(axes: Any, words: str, *, is_alone: bool = True) -> None:
    """Words where there is nothing to draw; `is_alone` without axes around them.

    Panels that share an axis keep theirs: the numbers of all may stand there.
    """
    if is_alone:
        axes.set_axis_off()
    axes.text(
        0.5, 0.5, words, ha="center", va="center", color="0.35", fontsize=10,
        transform=axes.transAxes,
    )  # fmt: skip


def plain(axes: Any) -> None:
    """Horizontal lines in grey behind what is drawn, and no frame at the top and the right."""
    axes.grid(axis="y", color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def legend(figure: Any, panels: Iterable[Any]) -> None:
    """Each name that occurs in panels once, at the right of a figure."""
    found: dict[str, Any] = {}
    for axes in panels:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    if found:
        figure.legend(
            list(found.values()), list(found), loc="outside right upper", fontsize=8, frameon=False
        )


def shade(number: int) -> str:
    """The colour of a curve, from 0; the ninth has that of the first."""
    return CURVES[number % len(CURVES)]


def numbers(values: ArrayLike | Tensor) -> NDArray[np.float64]:
    """Numbers, an array or a tensor on any device as an array of float64."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, np.float64)
