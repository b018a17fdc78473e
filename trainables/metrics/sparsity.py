"""How sparse attention is: Gini index, share of zeros, size of the support.

B images, Q queries, K keys, h × w the grid of keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from trainables.metrics.precision import unreduced

Rows = Literal["rows_a", "rows_b", "rows_c"]
EPSILON = torch.finfo(torch.float32).eps
"""Added to sums of rows in the second of the published protocols, where an empty row is −1.06."""
_SPARSE = 10
"""Keys by the largest support from which on to take the largest weights is faster than to sort."""


@unreduced
def gini(weights: Tensor, padding: Tensor | None = None) -> Tensor:
    """The Gini index of maps over their last axis: 0 is uniform, 1 − 1/n one-hot.

    G = Σ_k (2k − n − 1)·c₍k₎ / (n·‖c‖₁) with weights c ≥ 0 in ascending order (Hurley and Rickard
    2009, table I), over the n keys that are no padding. Never below the share of zeros among them.

    Args:
        weights: [..., K], at least 0; whatever they add up to.
        padding: bool that broadcasts to the weights, True where there is no key.

    Returns:
        [...]; NaN where there are no keys, or nothing but zeros. In single precision if the weights
        are in half.
    """
    weights = weights if weights.dtype == torch.float64 else weights.float()
    total = weights.shape[-1]
    number = torch.full((), total, device=weights.device)
    if padding is not None:
        weights = weights.masked_fill(padding, 0)
        number = (~padding).sum(-1)
    place = torch.arange(1, total + 1, dtype=weights.dtype, device=weights.device)
    ordered = _ascending(weights)
    sums = ordered.sum(-1)
    # padding comes first, as zeros, which count for nothing: places begin behind it
    return (2 * (ordered @ place) / sums - (2 * total - number + 1)) / number


def zeros(
    weights: Tensor, thresholds: Sequence[float] = (0.0,), padding: Tensor | None = None
) -> Tensor:
    """The share of weights that are at most each of some thresholds, [..., T] in 0…1.

    Of the keys that are no padding; NaN where there are none.

    Args:
        weights: [..., K].
        thresholds: T of them; 0 counts exact zeros.
        padding: bool that broadcasts to the weights, True where there is no key.
    """
    if padding is not None:
        weights = weights.masked_fill(padding, torch.inf)
    number = weights.shape[-1] if padding is None else (~padding).sum(-1)
    shares = [_at_most(weights, one).sum(-1, dtype=torch.int32) / number for one in thresholds]
    return torch.stack(shares, -1)


def support(weights: Tensor, padding: Tensor | None = None) -> Tensor:
    """How many weights [..., K] are above 0, int64 [...]: 1 for one-hot maps, n for softmax.

    Of the keys that are no padding. (In single precision a softmax, too, has zeros, of scores about
    a hundred below the largest.)
    """
    is_above = weights > 0
    return (is_above if padding is None else is_above & ~padding).sum(-1)


@unreduced
def row_gini(maps: Tensor, protocol: Rows, *, is_sparse: bool = True) -> Tensor:
    """What three published protocols call the Gini index of maps [..., h, w]; [...].

    Each views the numbers of a map in their order as w rows of h, so that rows wrap around lines of
    the image, and takes the mean over rows; a sparse map has many that are empty. `rows_a`: the
    index of a row × n/(n − 1), 0 if it is empty. `rows_b`: the same, −(n + 1)/(n − 1) if it is
    empty. `rows_c`: as `rows_a` for maps that are sparse, and the index itself for others. A row of
    one number (h = 1), where n/(n − 1) is no number, has 0 in all of them: it is uniform.

    They repeat published figures, no more: 1 does not mean sparse, and neither does 0.

    Raises:
        LookupError: the protocol is not known.
    """
    if protocol not in get_args(Rows):
        raise LookupError(f"protocol must be one of {', '.join(get_args(Rows))}, got {protocol!r}")
    height, width = maps.shape[-2:]
    if height == 1:
        return 0 * maps.sum((-2, -1))  # NaN of what is no map
    rows = maps.double().flatten(-2).unflatten(-1, (width, height)).sort(-1).values
    place = torch.arange(1, height + 1, dtype=rows.dtype, device=rows.device)
    sums, weighted = rows.sum(-1), rows @ place
    is_empty = sums == 0
    over = height if protocol == "rows_c" and not is_sparse else height - 1
    if protocol == "rows_b":
        found = (2 * weighted / (sums + EPSILON) - (height + 1)) / over
    else:
        found = (2 * weighted / sums.masked_fill(is_empty, 1) - (height + 1)) / over
        found = found.masked_fill(is_empty, 0)
    return found.mean(-1).to(maps.dtype)


def _ascending(weights: Tensor) -> Tensor:
    """Sorted along the last axis; by NumPy on a CPU, which is eight times faster.

    Of maps whose supports are small the largest weights alone are sorted, behind zeros.
    """
    if not _is_array(weights):
        return weights.sort(-1).values
    array = weights.numpy()
    supports = np.greater(array, 0).view(np.uint8).sum(-1, dtype=np.int32)
    largest = int(supports.max(initial=0))
    if _SPARSE * largest > weights.shape[-1]:
        return torch.from_numpy(np.sort(array, -1))
    ordered = torch.zeros_like(weights)
    ordered[..., weights.shape[-1] - largest :] = weights.topk(largest, -1).values.flip(-1)
    return ordered


def _at_most(weights: Tensor, threshold: float) -> Tensor:
    """Which weights are at most that, uint8; by NumPy on a CPU, which compares many at once."""
    if _is_array(weights):
        return torch.from_numpy(np.less_equal(weights.numpy(), threshold)).view(torch.uint8)
    return (weights <= threshold).view(torch.uint8)


def _is_array(weights: Tensor) -> bool:
    """Whether NumPy can have it as it is."""
    is_exact = weights.dtype in (torch.float32, torch.float64)
    return is_exact and weights.device.type == "cpu" and not weights.requires_grad


def mean_over_queries(values: Tensor, counts: Tensor) -> Tensor:
    """Means over the queries that count: [B, H, Q] and bool [B, Q] → [B, H]; NaN where none does.

    Values that are not a number are left out.
    """
    is_taken = counts[:, None] & ~values.isnan()
    return values.where(is_taken, 0).sum(-1) / is_taken.sum(-1)
