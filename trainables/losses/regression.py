"""Regression of the direction of another network's projections (BYOL)."""

from __future__ import annotations

from torch import Tensor

from trainables.losses.similarity import views_alike


def regress_views(predictions: Tensor, targets: Tensor) -> Tensor:
    """The mean over images of Σ_v 2 − 2·cos(p_v, t_w), w the other view; a scalar in 0…8.

    Grill et al. 2020 (BYOL), equation 2 and the sum of both views behind it. Predictions of the
    network and projections of its moving average are [B, 2, D], of any length; no gradient flows
    through the latter. 4 for orthogonal directions.
    """
    return 8 * views_alike(predictions, targets)
