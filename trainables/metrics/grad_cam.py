"""Where in an image a score comes from: class activation maps by gradients (Grad-CAM)."""

# B images, K channels, h × w places.

from __future__ import annotations

from torch import Tensor


def grad_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Maps [B, h, w] of at least 0: ReLU(Σ_k w_k A^k), w_k = mean over places of ∂y/∂A^k.

    Selvaraju et al. 2017, equations 1 and 2: `activations` A [B, K, h, w] of a layer, `gradients`
    of the score y with respect to them, of the same shape. 0 where nothing speaks for the score.
    """
    weights = gradients.mean((-2, -1), keepdim=True)
    return (weights * activations).sum(-3).relu()
