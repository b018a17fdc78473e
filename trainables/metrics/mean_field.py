"""A fully connected conditional random field, its mean field computed exactly."""

# C classes, H × W pixels, N = H · W of them.

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_AT_ONCE = 1 << 24  # entries of the kernel that are there at a time


class Field(NamedTuple):
    """Weights and widths of the two kernels: distances in pixels, colours in 0…255.

    The defaults are those of the code of Hamilton et al. (2022).
    """

    smooth: float = 3.0
    smooth_width: float = 1.0
    alike: float = 4.0
    alike_width: float = 67.0
    colour_width: float = 3.0


@torch.no_grad()
def mean_field(
    images: Tensor, logits: Tensor, field: Field | None = None, *, iterations: int = 10
) -> Tensor:
    """Probabilities [B, C, H, W] of classes, of logits [B, C, H, W] and images [B, 3, H, W] in 0…1.

    Q ← softmax(log p + Σ w K̂ Q) with p = softmax of logits, as often as said; kernels
    exp(−Δxy² / 2σ²), times exp(−Δrgb² / 2σ²) for the other one, K̂ = D^(−½) K D^(−½) with D the sums
    of its rows, each pixel with itself too (Krähenbühl and Koltun 2011, as their code has it; which
    adds up over a lattice what is exact here). Time grows as N²: a picture of 64² pixels has a
    kernel of 16.8 million entries.
    """
    given = field or Field()
    return torch.stack(
        [
            _of_one(image, one, given, iterations)
            for image, one in zip(images, logits.float(), strict=True)
        ]
    )


def _of_one(image: Tensor, logits: Tensor, field: Field, iterations: int) -> Tensor:
    unary = logits.log_softmax(0).flatten(1)
    kernels = _Kernels(image, field)
    found = unary.exp()
    for _ in range(iterations):
        found = (unary + kernels(found)).softmax(0)
    return found.view_as(logits)


class _Kernels:
    """The sum of both normalised kernels times their weights, of one image."""

    def __init__(self, image: Tensor, field: Field) -> None:
        height, width = image.shape[1:]
        self._size, self._field = (height, width), field
        rows, columns = (torch.arange(n, device=image.device).float() for n in (height, width))
        self._rows, self._columns = (_gaussian(one, field.smooth_width) for one in (rows, columns))
        ones = image.new_ones(1, height * width)
        self._smooth_scale = self._smooth(ones).rsqrt()
        places = torch.cartesian_prod(rows, columns) / field.alike_width
        colours = 255 * image.float().flatten(1).T / field.colour_width
        self._features = torch.cat([places, colours], 1)
        number = len(self._features)
        self._parts = self._features.split(max(1, _AT_ONCE // number))
        self._kept = _alike(self._features, self._features) if len(self._parts) == 1 else None
        self._alike_scale = self._alike(ones).rsqrt()

    def __call__(self, found: Tensor) -> Tensor:
        """[C, N] → [C, N]."""
        smooth = self._smooth_scale * self._smooth(found * self._smooth_scale)
        alike = self._alike_scale * self._alike(found * self._alike_scale)
        return self._field.smooth * smooth + self._field.alike * alike

    def _smooth(self, found: Tensor) -> Tensor:
        """The kernel of places is that of rows times that of columns."""
        return (self._rows @ found.view(-1, *self._size) @ self._columns).flatten(1)

    def _alike(self, found: Tensor) -> Tensor:
        if self._kept is not None:
            return found @ self._kept
        return torch.cat([found @ _alike(self._features, part) for part in self._parts], 1)


def _gaussian(places: Tensor, width: float) -> Tensor:
    return torch.exp(-(places[:, None] - places).square() / (2 * width**2))


def _alike(features: Tensor, part: Tensor) -> Tensor:
    """exp(−½ squared distance) [N, n]."""
    return torch.cdist(features, part).square_().div_(-2).exp_()
