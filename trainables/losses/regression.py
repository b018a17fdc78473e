"""Regression of the direction of another network's projections (BYOL)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from trainables.layers.checks import check_choice
from trainables.losses.similarity import distance, views_alike


def regress_views(
    predictions: Tensor, targets: Tensor, reduction: Literal["mean", "none"] = "mean"
) -> Tensor:
    """The mean over images of Σ_v 2 − 2·cos(p_v, t_w), w the other view; a scalar in 0…8.

    Grill et al. 2020 (BYOL), equation 2 and the sum of both views behind it. Predictions of the
    network and projections of its moving average are [B, 2, D], of any length; no gradient flows
    through the latter. 4 for orthogonal directions. With the `reduction` `none` those of all
    images, [B].
    """
    check_choice("reduction", reduction, ("mean", "none"))
    if reduction == "none":
        return 8 * distance(predictions, targets.detach().flip(1)).mean(1)
    return 8 * views_alike(predictions, targets)
