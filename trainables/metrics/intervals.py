"""How sure a share is that was counted on some examples, and a difference of two."""

from __future__ import annotations

import math
from statistics import NormalDist

from torch import Tensor


def wilson(share: float, number: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of a share in 0…1 of `number` examples, such as an accuracy; within 0…1.

    Wilson 1927: the shares p that agree with it by the normal approximation, |share − p| ≤
    z·√(p(1 − p)/number); z is 1.96 for 95 %. 0.8 of 150 is 0.729…0.856.

    Raises:
        ValueError: there are no examples, or `share` or `confidence` is out of range.
    """
    if number < 1:
        raise ValueError(f"number must be at least 1, got {number}")
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in 0…1, got {share:g}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence:g}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    whole = 1 + z**2 / number
    middle = (share + z**2 / (2 * number)) / whole
    half = z / whole * math.sqrt(share * (1 - share) / number + z**2 / (4 * number**2))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return 0.0 if share == 0 else low, 1.0 if share == 1 else high  # without rounding


def paired(first: Tensor, second: Tensor, confidence: float = 0.95) -> tuple[float, float, float]:
    """The second share less the first, and the interval of this difference, of the same examples.

    With hits `first` and `second` [N], bool: mean d of their differences in {−1, 0, 1}, and d ±
    z·√((mean of squares − d²)/N), the normal approximation for matched pairs (Agresti 2002,
    Categorical Data Analysis, equation 10.1). An interval that holds 0 does not tell them apart.

    Raises:
        ValueError: there are no examples, or not as many of both.
    """
    if first.shape != second.shape or not first.numel():
        raise ValueError(
            f"second must be hits of the examples of first, at least 1, got {len(second)} and "
            f"{len(first)}"
        )
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    differences = second.double() - first.double()
    mean = float(differences.mean())
    half = z * math.sqrt(float(differences.var(correction=0)) / differences.numel())
    return mean, mean - half, mean + half
