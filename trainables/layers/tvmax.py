"""TVMax: weights of attention that are alike in neighbouring cells, and their gradient."""

# M maps, h × w cells, K = h · w; D takes differences over edges between neighbouring cells.

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from trainables.layers.entmax_newton import sparsemax

MOST_WEIGHT = 1000.0
"""λ at most: long before it maps are uniform, whatever the scores."""
_CHUNK = 2**17
"""How many cells are worked on at once on a CPU, so that they stay in its cache."""
_FUSED_BELOW = 1 - 1e-3
"""An edge is fused if its dual variable is this part of λ at most."""
_CUT = 2
"""The sign that an edge to a missing cell has."""


class TVMax(nn.Module):
    """argmin over the simplex of ½‖p − z‖² + λ·TV(p), the sum of differences between neighbours of
    the grid (Martins et al. 2020, who call it TVmax).

    It is the sparsemax of the prox of λ·TV (their proposition 1), which is found as `smoothed` has
    it: for each image, head and query on the true grid of its keys.

    Args:
        weight: λ, above 0 and at most 1000.
        learned: whether ln λ is a parameter (`log_weight`) that starts there.
        steps: of the prox; None: as many as `steps_for` says for the λ of the start.

    Raises:
        ValueError: a number is out of its range.
    """

    def __init__(
        self, weight: float = 0.05, learned: bool = False, steps: int | None = None
    ) -> None:
        super().__init__()
        if not 0 < weight <= MOST_WEIGHT:
            raise ValueError(f"weight must be above 0 and at most {MOST_WEIGHT:g}, got {weight}")
        if steps is not None and steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        self.steps = steps_for(weight) if steps is None else steps
        self._weight = weight
        if learned:
            self.log_weight = nn.Parameter(torch.tensor(math.log(weight)))
        else:
            self.log_weight = None

    @property
    def weight(self) -> float | Tensor:
        """λ as it is now; a tensor, with its gradient, if it is learned."""
        return self._weight if self.log_weight is None else self.log_weight.exp()

    def forward(
        self, scores: Tensor, padding: Tensor | None = None, grid: tuple[int, int] | None = None
    ) -> Tensor:
        """[B, H, Q, K] → [B, H, Q, K], of keys on a grid (h, w), row by row.

        `padding` is bool [B, K], True where there is no key: no edge leads there.

        Raises:
            ValueError: there is no grid, or one of another number of cells.
        """
        return sparsemax(
            smoothed(self._on_grid(scores, padding, grid), self.weight, self.steps).flatten(-2)
        )

    def error(
        self, scores: Tensor, padding: Tensor | None = None, grid: tuple[int, int] | None = None
    ) -> Tensor:
        """How far weights are from the exact ones at most, [B, H, Q]: see `smoothed_error`."""
        return smoothed_error(self._on_grid(scores, padding, grid), self.weight, self.steps)

    @staticmethod
    def _on_grid(scores: Tensor, padding: Tensor | None, grid: tuple[int, int] | None) -> Tensor:
        keys = scores.shape[-1]
        if grid is None or grid[0] * grid[1] != keys:
            raise ValueError(f"grid must be (h, w) of the {keys} keys for TVMax, got {grid}")
        if padding is not None:
            scores = scores.masked_fill(padding[:, None, None], -torch.inf)
        return scores.unflatten(-1, grid)


def steps_for(weight: float) -> int:
    """Steps of the prox: 50 at λ = 0.05, as λ^¾, 30 to 1000, as a larger λ joins larger regions.

    For standard normal scores on 25 × 38 cells the largest error of a cell is then about 10⁻⁵ in
    most maps, and in few up to 10⁻³; `smoothed_error` says it of any.
    """
    return min(max(round(50 * (weight / 0.05) ** 0.75), 30), 1000)


def smoothed(scores: Tensor, weight: float | Tensor, steps: int) -> Tensor:
    """The prox of λ·TV: argmin over x of ½‖x − z‖² + λ Σ|differences of neighbours|.

    By accelerated projected gradient on the dual, min ½‖z − Dᵀu‖² with |u| ≤ λ on the edges, which
    starts again where it goes uphill (O'Donoghue and Candès 2015); x = z − Dᵀu. The gradient is the
    mean over fused regions: cells that are joined by edges with |u| < λ. It can be differentiated
    once, not twice.

    Args:
        scores: z, [..., h, w]; −inf is a cell that is not there, to which no edge leads.
        weight: λ, above 0; a tensor of one number may have a gradient.
        steps: of the dual.

    Returns:
        [..., h, w], −inf where the scores are. In single precision if they are in half.
    """
    if scores.dtype not in (torch.float32, torch.float64):
        scores = scores.float()
    return _Smoothed.apply(scores, weight, steps)


def smoothed_error(scores: Tensor, weight: float | Tensor, steps: int) -> Tensor:
    """How far `smoothed` is from the exact one at most, [...], in the Euclidean norm of a map.

    √(2 · duality gap), as the primal is strongly convex; sparsemax brings points no further apart.
    """
    with torch.no_grad():
        number = _number(weight, scores)
        maps = _Maps.of(scores.reshape(-1, *scores.shape[-2:]).double())
        dual = _solved(maps, number, steps)
        gaps = torch.zeros_like(maps.cells[0, 0])
        edges = zip(_differences(_primal(maps, dual)), dual, (maps.down, maps.right), strict=True)
        for differences, duals, joins in edges:
            most = number if joins is None else joins * number
            gaps += (most * differences.abs() - duals * differences).sum((0, 1))
        return gaps.clamp_min(0).mul(2).sqrt().view(scores.shape[:-2])


class _Maps(NamedTuple):
    """Cells [h, w, M], 0 where none is; if any is missing, which are there, and which edges join
    two of them."""

    cells: Tensor
    is_there: Tensor | None = None
    down: Tensor | None = None
    right: Tensor | None = None

    @classmethod
    def of(cls, scores: Tensor) -> _Maps:
        """Of scores [M, h, w]."""
        cells = scores.permute(1, 2, 0).contiguous()
        there = cells != -torch.inf
        if cells.device.type == "cpu" and bool(there.all()):
            return cls(cells)
        cells = cells.masked_fill(~there, 0)
        return cls(cells, there, there[1:] & there[:-1], there[:, 1:] & there[:, :-1])


class _Smoothed(torch.autograd.Function):
    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, scores: Tensor, weight: float | Tensor, steps: int
    ) -> Tensor:
        number = _number(weight, scores)
        flat = scores.reshape(-1, *scores.shape[-2:])
        found, signs = torch.empty_like(flat), []
        for part in _parts(flat):
            maps = _Maps.of(flat[part])
            dual = _solved(maps, number, steps)
            values = _primal(maps, dual)
            if maps.is_there is not None:
                values.masked_fill_(~maps.is_there, -torch.inf)
            found[part] = values.permute(2, 0, 1)
            signs += [_signs(edges, maps, number, axis) for axis, edges in enumerate(dual)]
        ctx.save_for_backward(*signs)
        ctx.weight = weight
        return found.view(scores.shape)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        signs = ctx.saved_tensors
        gradient = gradients[0]
        flat = gradient.reshape(-1, *gradient.shape[-2:])
        found, of_weight = torch.empty_like(flat), flat.new_zeros(())
        for index, part in enumerate(_parts(flat)):
            down, right = signs[2 * index : 2 * index + 2]
            values = flat[part].permute(1, 2, 0).contiguous()
            means = _means(values, _regions(down, right))
            found[part] = means.permute(2, 0, 1)
            if ctx.needs_input_grad[1]:
                of_weight -= _signed_sum(means, down, right)
        if not ctx.needs_input_grad[1]:
            return found.view(gradient.shape), None, None
        weight = ctx.weight
        return found.view(gradient.shape), of_weight.reshape(weight.shape).to(weight.dtype), None


def _solved(maps: _Maps, weight: float | Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The dual variables of the edges, u, [h − 1, w, M] down and [h, w − 1, M] to the right."""
    bounds: list[Any] = [
        weight if joins is None else joins * weight for joins in (maps.down, maps.right)
    ]
    now = _differences(torch.zeros_like(maps.cells))
    ahead = [edges.clone() for edges in now]
    x = torch.empty_like(maps.cells)
    age = x.new_ones(x.shape[2])
    for _ in range(steps):
        _primal(maps, ahead, out=x)
        following = _differences(x)
        uphill = torch.zeros_like(age)
        for edges, ahead_of, before, most in zip(following, ahead, now, bounds, strict=True):
            torch.add(ahead_of, edges, alpha=1 / 8, out=edges)  # 8 ≥ ‖D‖², as cells have 4 edges
            torch.clamp(edges, -most, most, out=edges)
            torch.sub(edges, before, out=before)
            uphill += ahead_of.sub_(edges).mul_(before).sum((0, 1))
        age *= uphill <= 0  # a map that goes uphill is 1 step old next, without momentum
        older = (1 + (1 + 4 * age.square()).sqrt()) / 2
        momentum = ((age - 1) / older).clamp_min_(0)
        age = older
        for edges, ahead_of, moved in zip(following, ahead, now, strict=True):
            torch.addcmul(edges, moved, momentum, out=ahead_of)
        now = following
    return now[0], now[1]


def _differences(x: Tensor) -> tuple[Tensor, Tensor]:
    """Dx over edges down and to the right."""
    return x[1:] - x[:-1], x[:, 1:] - x[:, :-1]


def _primal(maps: _Maps, dual: Sequence[Tensor], out: Tensor | None = None) -> Tensor:
    """z − Dᵀu."""
    x = maps.cells.clone() if out is None else out.copy_(maps.cells)
    x[:-1] += dual[0]
    x[1:] -= dual[0]
    x[:, :-1] += dual[1]
    x[:, 1:] -= dual[1]
    return x


def _signs(edges: Tensor, maps: _Maps, weight: float | Tensor, axis: int) -> Tensor:
    """int8 of edges: 0 if fused, else the sign of u, or `_CUT`."""
    signs = edges.sign().mul_(edges.abs() >= _FUSED_BELOW * weight).to(torch.int8)
    joins = maps.down if axis == 0 else maps.right
    return signs if joins is None else signs.masked_fill_(~joins, _CUT)


def _regions(down: Tensor, right: Tensor) -> Tensor:
    """int64 [K, M]: for each cell the first of those that fused edges join it to.

    The least label of neighbours spreads along edges, and from the cell that it names in turn, so
    that labels jump over regions instead of crossing them cell by cell.
    """
    height, width, maps = right.shape[0], down.shape[1], down.shape[2]
    keys = height * width
    numbers = torch.arange(keys, dtype=torch.int32, device=down.device)
    labels = numbers[:, None].expand(-1, maps).contiguous()
    cells = labels.view(height, width, maps)
    far = [(signs != 0).to(torch.int32).mul_(keys) for signs in (down, right)]
    while True:
        before = labels.clone()
        for axis in (0, 1):
            size = cells.shape[axis] - 1
            first, second = cells.narrow(axis, 0, size), cells.narrow(axis, 1, size)
            torch.minimum(first, second + far[axis], out=first)
            torch.minimum(second, first + far[axis], out=second)
        if torch.equal(labels, before):
            return labels.long()
        for _ in range(2):
            labels.copy_(labels.gather(0, labels.long()))


def _means(values: Tensor, regions: Tensor) -> Tensor:
    """The mean of each cell's region, [h, w, M]."""
    flat = values.view(regions.shape)
    sums = torch.zeros_like(flat).scatter_add_(0, regions, flat)
    counts = torch.zeros_like(flat).scatter_add_(0, regions, torch.ones_like(flat))
    return sums.div_(counts.clamp_min_(1)).gather(0, regions).view(values.shape)


def _signed_sum(values: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """⟨D values, sign u⟩ over the edges where |u| = λ: −∂/∂λ of ⟨values, x⟩."""
    pairs = zip(_differences(values), (down, right), strict=True)
    return torch.stack(
        [(edges * signs.masked_fill(signs == _CUT, 0)).sum() for edges, signs in pairs]
    ).sum()


def _number(weight: float | Tensor, like: Tensor) -> float | Tensor:
    """λ without gradient; a number on a CPU, where it costs nothing to have it."""
    if not isinstance(weight, Tensor):
        return weight
    return float(weight.detach()) if like.device.type == "cpu" else weight.detach().to(like)


def _parts(maps: Tensor) -> list[slice]:
    """The maps in turn: all at once but on a CPU."""
    size = len(maps) if maps.device.type != "cpu" else _CHUNK // max(maps.shape[1:].numel(), 1)
    size = max(size, 1)
    return [slice(start, start + size) for start in range(0, len(maps), size)]
