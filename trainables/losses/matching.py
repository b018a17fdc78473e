"""Matching predictions with targets: costs of pairs, and the assignment that costs least."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, overload

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

from trainables.losses.similarity import normalized

_WORTH_THREADS = 2**20
"""From so many costs on they are solved in threads. A solver works without the interpreter's lock,
but to hand out 576 problems of 100 × 7 takes longer than to solve them."""


def huber_cost(predictions: Tensor, targets: Tensor, delta: float = 1.0) -> Tensor:
    """Costs [B, K, O] of pairs: the mean over F numbers of the Huber function of their difference.

    Of `predictions` [B, K, F] and `targets` [B, O, F]; huber(e) = e² / 2 for |e| ≤ δ, beyond
    δ (|e| − δ / 2). At least 0, and 0 for equal ones. Locatello et al. 2020, in their code.
    """
    shape = (*predictions.shape[:2], *targets.shape[1:])
    first = predictions[:, :, None].expand(shape)
    second = targets[:, None].expand(shape)
    return functional.huber_loss(first, second, reduction="none", delta=delta).mean(-1)


class Assigned(NamedTuple):
    """Pairs of `assign` where images have fewer targets than there are columns, each [B, M].

    `matched` says which are pairs, the first ones of an image. The others are rows and columns that
    stay alone, so that in each image all M rows differ, and all M columns: they can be gathered
    and scattered by, and the mask decides what counts.
    """

    rows: Tensor
    columns: Tensor
    matched: Tensor


@overload
def assign(
    costs: Tensor, *, maximize: bool = False, counts: None = None
) -> tuple[Tensor, Tensor]: ...


@overload
def assign(costs: Tensor, *, maximize: bool = False, counts: Tensor) -> Assigned: ...


def assign(
    costs: Tensor, *, maximize: bool = False, counts: Tensor | None = None
) -> tuple[Tensor, Tensor] | Assigned:
    """Pairs (rows, columns) of the smallest (largest) total cost, each row and column at most once.

    For `costs` [B, K, O] both are int64 [B, M], M = min(K, O), on the device of the costs, rows
    rising: of the surplus rows or columns the dearest stay alone. The costs travel to the host in
    one piece and no gradient flows. A cost that is not a number counts as 0, so that a diverged
    loss is found where it is computed.

    With `counts` [B], int64 in 0…O, only the first counts[b] columns of an image are real, and
    no other takes a row from them; see `Assigned`.

    Raises:
        ValueError: there are not as many counts as images, or one is not in 0…O.
    """
    if counts is not None:
        return _assign_real(costs, maximize, counts)
    host = torch.nan_to_num(costs.detach().to("cpu", torch.float64)).numpy()
    size = min(costs.shape[1:])
    pairs = np.empty((2, len(host), size), dtype=np.int64)
    for index, single in enumerate(host):
        pairs[0, index], pairs[1, index] = linear_sum_assignment(single, maximize=maximize)
    rows, columns = torch.from_numpy(pairs).to(costs.device)
    return rows, columns


def _assign_real(costs: Tensor, maximize: bool, counts: Tensor) -> Assigned:
    images, rows, columns = costs.shape
    if counts.shape != (images,):
        raise ValueError(f"counts must be one an image, [{images}], got {list(counts.shape)}")
    # The counts are a column of what travels, so that the device is waited for once.
    kind = torch.promote_types(costs.dtype, torch.float32)
    last = counts[:, None].to(costs.device, kind)
    sent = torch.cat([costs.detach().flatten(1).to(kind), last], 1)
    host = sent.cpu().numpy()
    real = host[:, -1].astype(np.int64)
    if images and not 0 <= real.min() <= real.max() <= columns:
        raise ValueError(f"counts must be in 0…{columns}, got {real.tolist()}")
    values = np.nan_to_num(host[:, :-1]).reshape(images, rows, columns)
    problems = [one[:, :count] for one, count in zip(values, real, strict=True)]
    found = _solved(problems, maximize)
    numbers = np.minimum(real, rows)
    is_pair = np.arange(min(rows, columns)) < numbers[:, None]
    pairs = np.empty((2, *is_pair.shape), dtype=np.int64)
    for side, size in enumerate((rows, columns)):
        taken = np.zeros((images, size), dtype=bool)
        chosen = np.concatenate([one[side] for one in found])
        taken[np.repeat(np.arange(images), numbers), chosen] = True
        alone = np.argsort(taken, axis=1, kind="stable")
        is_left = np.arange(size) < (is_pair.shape[1] - numbers)[:, None]
        pairs[side][is_pair], pairs[side][~is_pair] = chosen, alone[is_left]
    on_device = torch.from_numpy(pairs).to(costs.device)
    limit = counts.to(costs.device).clamp(max=rows)[:, None]
    matched = torch.arange(is_pair.shape[1], device=costs.device) < limit
    return Assigned(on_device[0], on_device[1], matched)


def _solved(problems: list[Any], maximize: bool) -> list[tuple[Any, Any]]:
    """The pairs of each problem; in as many threads as torch has, where that is faster."""

    def solve(problem: Any) -> tuple[Any, Any]:
        return linear_sum_assignment(problem, maximize=maximize)

    threads = torch.get_num_threads()
    if threads == 1 or sum(one.size for one in problems) < _WORTH_THREADS:
        return list(map(solve, problems))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(solve, problems))


def match_views(first: Tensor, second: Tensor, *, one_to_one: bool = True) -> Tensor:
    """The partner of each slot in the other of two views, int64 [B, 2, S].

    By cosine of the slots [B, S, D] of both views, without gradient. `one_to_one`: of the pairs
    whose cosines add up to most, so that the second direction is the inverse of the first
    (Hungarian algorithm); otherwise each takes its nearest, which may be that of several.
    """
    with torch.no_grad():
        cosines = normalized(first) @ normalized(second).mT
    if not one_to_one:
        return torch.stack([cosines.argmax(2), cosines.argmax(1)], 1)
    _, columns = assign(cosines, maximize=True)
    return torch.stack([columns, columns.argsort(1)], 1)


class Matched(NamedTuple):
    """Costs [B, M] of the M = min(K, O) cheapest pairs, and which slots [B, K] have no partner."""

    costs: Tensor
    alone: Tensor


def matched_huber(predictions: Tensor, targets: Tensor, delta: float = 1.0) -> Matched:
    """The costs of `huber_cost` for those pairs of `assign` that cost least together.

    Of `predictions` [B, K, F] and `targets` [B, O, F] with any K and O. Gradients flow through the
    pairs alone: the costs of all others are computed without.
    """
    with torch.no_grad():
        rows, columns = assign(huber_cost(predictions, targets, delta))
    width = predictions.shape[2]
    first = predictions.gather(1, rows[..., None].expand(-1, -1, width))
    second = targets.gather(1, columns[..., None].expand(-1, -1, width))
    costs = functional.huber_loss(first, second, reduction="none", delta=delta).mean(-1)
    alone = torch.ones(predictions.shape[:2], dtype=torch.bool, device=rows.device)
    return Matched(costs, alone.scatter(1, rows, False))
