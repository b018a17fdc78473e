"""How alike two representations of the same examples are, whatever their widths and axes."""

# N examples, D and E widths of features.

from __future__ import annotations

import torch
from torch import Tensor


def linear_cka(first: Tensor, second: Tensor) -> float:
    """The linear centred kernel alignment of features [N, D] and [N, E], in 0…1, 1: alike.

    ‖YᵀX‖² / (‖XᵀX‖ · ‖YᵀY‖) with Frobenius norms, of features less their means (Kornblith et al.
    2019, equation 4). Turning, mirroring and scaling of either change nothing. Where all vectors of
    one are the same there is nothing to compare: 0. In double precision.

    Raises:
        ValueError: they are not of the same examples, or of fewer than 2.
    """
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(
            f"second must have features of the examples of first, at least 2, got {len(second)} "
            f"and {len(first)}"
        )
    x, y = (one.double() - one.double().mean(0) for one in (first, second.to(first.device)))
    sizes = [torch.linalg.matrix_norm(one.T @ one) for one in (x, y)]
    whole = sizes[0] * sizes[1]
    if not whole > 0:
        return 0.0
    return min(1.0, float(torch.linalg.matrix_norm(y.T @ x).square() / whole))
