"""TVMax of maps of attention, forward and backward: all at once beside the package's loop."""

# M maps of h × w cells.

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from benchmarks.beside.pairing import Case, Sides, gradient, original
from trainables.layers.entmax_newton import sparsemax
from trainables.layers.tvmax import smoothed, steps_for

PACKAGE = "core"
WEIGHT = 0.05
SIZES = ((800, 25, 38), (800, 8, 8))
"""Eight heads of a hundred queries, on the grid of a usual and of a small picture."""


def cases() -> list[Case]:
    """Timed alone: the package stops at an error of 10⁻², and rounds regions to one decimal."""
    return [
        Case(
            f"{maps} maps of {height} × {width}",
            partial(_sides, maps, height, width),
            is_compared=False,
            is_timed=True,
        )
        for maps, height, width in SIZES
    ]


def _sides(maps: int, height: int, width: int) -> Sides:
    torch.manual_seed(0)
    first = torch.randn(maps, height, width, requires_grad=True)
    second = first.detach().clone().requires_grad_()
    by_weights = torch.randn(maps, height * width)
    threads = torch.get_num_threads()
    prox = original("model.tv2d_layer", PACKAGE).TV2DFunction
    prox.apply(torch.randn(3, 3, requires_grad=True), 2 * WEIGHT).sum().backward()  # compiles
    torch.set_num_threads(threads)

    def original_step() -> dict[str, Tensor]:
        first.grad = None
        x = torch.stack([prox.apply(one, 2 * WEIGHT) for one in first])
        torch.set_num_threads(threads)  # it sets 8 at each call
        weights = sparsemax(x.flatten(1))
        weights.backward(by_weights)
        torch.set_num_threads(threads)
        return {"weights": weights}

    def our_step() -> dict[str, Tensor]:
        second.grad = None
        weights = sparsemax(smoothed(second, WEIGHT, steps_for(WEIGHT)).flatten(1))
        weights.backward(by_weights)
        return {"weights": weights}

    return Sides(
        original_step,
        our_step,
        lambda: ({"scores": gradient(first)}, {"scores": gradient(second)}),
    )
