"""Maps to the simplex, forward and backward: a large map of attention, and one of a small run."""

# B · H maps, Q queries, K keys.

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.beside.pairing import Case, Sides, gradient, original
from trainables.layers.entmax_newton import entmax

PACKAGE = "entmax"
SHAPES = ((128, 100, 1024), (16, 100, 64))
ALPHAS = (1.05, 1.37, 1.9)

_Map = Callable[[Tensor, Tensor | None], Tensor]


def cases() -> list[Case]:
    """Each map at both sizes, compared and timed; that of the package sorts all keys, or bisects.

    `part of keys` is its sort of the 32 largest, doubled where the support is larger, which is not
    its default. A learned α is one for each of the first axis.
    """
    names = {
        "sparsemax": 2.0,
        "sparsemax, part of keys": 2.0,
        "entmax15": 1.5,
        "entmax15, part of keys": 1.5,
    }
    names |= {f"entmax {alpha}": alpha for alpha in ALPHAS}
    names["entmax, learned"] = 0.0
    return [
        Case(f"{name}, {shape}", partial(_sides, name, alpha, shape), is_timed=True)
        for shape in SHAPES
        for name, alpha in names.items()
    ]


def _sides(name: str, alpha: float, shape: tuple[int, int, int]) -> Sides:
    torch.manual_seed(0)
    scores, by_weights = torch.randn(shape), torch.randn(shape)
    alphas = 1.05 + 0.9 * torch.rand(shape[0], 1, 1) if alpha == 0 else None
    theirs, ours = _of_package(name, alpha), _ours(alpha)
    inputs = [
        {"scores": scores.clone()} | ({} if alphas is None else {"alpha": alphas.clone()})
        for _ in range(2)
    ]

    def step(function: _Map, given: dict[str, Tensor]) -> dict[str, Tensor]:
        for one in given.values():
            one.requires_grad_()
            one.grad = None
        weights = function(given["scores"], given.get("alpha"))
        weights.backward(by_weights)
        return {"weights": weights}

    def gradients() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        first, second = ({name: gradient(one) for name, one in part.items()} for part in inputs)
        return first, second

    return Sides(partial(step, theirs, inputs[0]), partial(step, ours, inputs[1]), gradients)


def _ours(alpha: float) -> _Map:
    return lambda scores, learned: entmax(scores, alpha if learned is None else learned)


def _of_package(name: str, alpha: float) -> _Map:
    sort, bisect = original("activations", PACKAGE), original("root_finding", PACKAGE)
    size = 32 if "part" in name else None
    if alpha in (1.5, 2):
        function = sort.sparsemax if alpha == 2 else sort.entmax15
        return lambda scores, _: function(scores, dim=-1, k=size)
    return lambda scores, learned: bisect.entmax_bisect(
        scores, alpha if learned is None else learned
    )
