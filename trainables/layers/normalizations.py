"""Normalisations of vectors, each over the last axis, with a finite gradient everywhere."""

# x vectors [..., D], ‖x‖ their length.

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_SMALLEST = 1e-10


def l2(vectors: Tensor) -> Tensor:
    """x / max(‖x‖, 1e-10): of length 1; a vector of zeros stays one."""
    return functional.normalize(vectors, dim=-1, eps=_SMALLEST)


def squash(vectors: Tensor) -> Tensor:
    """‖x‖² / (1 + ‖x‖²) · x / ‖x‖: of a length in 0…1, half for ‖x‖ = 1 (Sabour et al. 2017,
    equation 1)."""
    length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors * (length / (1 + length.square()))


def improved_squash(vectors: Tensor) -> Tensor:
    """(1 − e^(−‖x‖)) · x / ‖x‖: of a length in 0…1 that small vectors keep (Xi et al. 2017)."""
    length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True).clamp_min(_SMALLEST)
    return vectors * (-torch.expm1(-length) / length)


def layer_norm(vectors: Tensor) -> Tensor:
    """(x − mean) / √(variance + 1e-5), without scale and shift: of mean 0 and variance 1."""
    return functional.layer_norm(vectors, vectors.shape[-1:])


NORMALIZATIONS = {
    "l2": l2,
    "squash": squash,
    "improved_squash": improved_squash,
    "layer_norm": layer_norm,
}
"""By name."""
