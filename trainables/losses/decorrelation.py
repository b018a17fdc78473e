"""Variance and covariance of features, which keep them from collapsing (VICReg).

Bardes et al. 2022. Of vectors [..., n, D] the n of each group are centred by their mean; Cov =
XᵀX / (n − 1). With fewer vectors than dimensions the rank of Cov is n − 1 at most.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_SMALLEST = 1e-4
"""ε of the paper's equation 1: under the root, whose slope at 0 is infinite."""


class Decorrelation(NamedTuple):
    """Two terms, scalars: `variance` in 0…1, 0 where no dimension varies less than 1; `covariance`
    at least 0, 0 where no two dimensions vary together."""

    variance: Tensor
    covariance: Tensor


def decorrelation(features: Tensor) -> Decorrelation:
    """Both terms of vectors [..., n, D], n ≥ 2 and D ≥ 2; means over the groups.

    variance: mean over d of max(0, 1 − √(Cov_dd + 1e-4)), equations 1 and 2; covariance: Σ_{i≠j}
    Cov_ij² / (D(D − 1)), which divides equation 4 by D − 1 too, so that the width does not matter.
    """
    count, width = features.shape[-2:]
    centred = features - features.mean(-2, keepdim=True)
    spread = centred.square().sum(-2) / (count - 1)
    variance = torch.relu(1 - (spread + _SMALLEST).sqrt()).mean()
    # ‖XᵀX‖ = ‖XXᵀ‖: the smaller of both.
    product = centred @ centred.mT if count < width else centred.mT @ centred
    whole = product.square().sum((-2, -1)) / (count - 1) ** 2
    covariance = (whole - spread.square().sum(-1)) / (width * (width - 1))
    return Decorrelation(variance, torch.relu(covariance).mean())
