"""Matching predictions with targets: costs of pairs, and the assignment that costs least."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

from trainables.losses.similarity import normalized


def huber_cost(predictions: Tensor, targets: Tensor, delta: float = 1.0) -> Tensor:
    """Costs [B, K, O] of pairs: the mean over F numbers of the Huber function of their difference.

    Of `predictions` [B, K, F] and `targets` [B, O, F]; huber(e) = e² / 2 for |e| ≤ δ, beyond
    δ (|e| − δ / 2). At least 0, and 0 for equal ones. Locatello et al. 2020, in their code.
    """
    shape = (*predictions.shape[:2], *targets.shape[1:])
    first = predictions[:, :, None].expand(shape)
    second = targets[:, None].expand(shape)
    return functional.huber_loss(first, second, reduction="none", delta=delta).mean(-1)


def assign(costs: Tensor, *, maximize: bool = False) -> tuple[Tensor, Tensor]:
    """Pairs (rows, columns) of the smallest (largest) total cost, each row and column at most once.

    For `costs` [B, K, O] both are int64 [B, min(K, O)] on the device of the costs, rows rising: of
    the surplus rows or columns the dearest stay alone. The costs travel to the host in one piece
    and no gradient flows. A cost that is not a number counts as 0, so that a diverged loss is
    found where it is computed.
    """
    host = torch.nan_to_num(costs.detach().to("cpu", torch.float64)).numpy()
    size = min(costs.shape[1:])
    pairs = np.empty((2, len(host), size), dtype=np.int64)
    for index, single in enumerate(host):
        pairs[0, index], pairs[1, index] = linear_sum_assignment(single, maximize=maximize)
    rows, columns = torch.from_numpy(pairs).to(costs.device)
    return rows, columns


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
