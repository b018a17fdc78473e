"""Codes of places from features of a frozen network, and the probes that read classes off them."""

# B images, D width of features, E width of codes, h × w the map, C classes, K clusters.

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class CodeHead(nn.Module):
    """Features [B, D, h, w] → codes [B, E, h, w]: linear, and a two-layer perceptron beside it.

    S = A(drop F) + C ReLU(B(drop F)), each a convolution of 1 × 1, B of width D; whole channels are
    dropped, other ones in each branch (Hamilton et al. 2022, as their code has it).

    Args:
        features: D.
        width: E.
        dropout: rate of channels.
        is_deep: whether there is the perceptron.
    """

    def __init__(self, *, features: int, width: int, dropout: float, is_deep: bool) -> None:
        super().__init__()
        self.drop = nn.Dropout2d(dropout)
        self.linear = nn.Conv2d(features, width, 1)
        self.deep = (
            nn.Sequential(
                nn.Conv2d(features, features, 1), nn.ReLU(), nn.Conv2d(features, width, 1)
            )
            if is_deep
            else None
        )

    def forward(self, features: Tensor) -> Tensor:
        """The codes."""
        found = self.linear(self.drop(features))
        return found if self.deep is None else found + self.deep(self.drop(features))


class LinearProbe(nn.Module):
    """Logits of classes [B, C, h, w], linear in codes [B, E, h, w]."""

    def __init__(self, *, width: int, classes: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(width, classes, 1)

    def forward(self, codes: Tensor) -> Tensor:
        """The logits."""
        return self.layer(codes)


class ClusterProbe(nn.Module):
    """Cosines [B, K, h, w] of codes [B, E, h, w] with K centroids that learn where codes are.

    The loss is that of a k-means of directions: −mean of the largest cosine, −1 at best.
    """

    def __init__(self, *, width: int, clusters: int) -> None:
        super().__init__()
        self.centroids = nn.Parameter(torch.randn(clusters, width))

    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, a scalar, and all cosines."""
        codes = functional.normalize(codes, dim=1)
        centroids = functional.normalize(self.centroids, dim=1)
        found = torch.einsum("behw,ke->bkhw", codes, centroids)
        return -found.amax(1).mean(), found
