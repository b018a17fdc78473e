"""The α of α-entmax as a parameter: how it is held within its range, and how it starts."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from trainables.layers.checks import check_choice

AlphaForm = Literal[
    "smooth", "clamped", "sigmoid", "clamped_sigmoid", "unbounded", "constant", "unused"
]


class LearnedAlpha(nn.Module):
    """One α for each head, or one for all, as a function of the parameter `raw` [H].

    With (lo, hi) the bounds and σ the logistic function:

    - `smooth`: lo + (hi − lo)σ(raw), which has a gradient wherever it is;
    - `clamped`: 1 + σ(raw) clamped to lo…hi, without gradient once it is outside (22 of the 48
      heads of the published model ended there);
    - `sigmoid`: 1 + σ(raw), in 1…2;
    - `clamped_sigmoid`: 1 + (σ(raw) clamped to lo…hi), which is 1 + lo with the usual bounds, and
      never has a gradient;
    - `unbounded`: raw itself; `entmax` takes what is outside of its range as the nearest within;
    - `constant`: as it starts, a buffer instead of a parameter;
    - `unused`: as `smooth`, but attention leaves out the map, and mixes by the scores themselves
      (see `trainables.layers.simplex.Entmax`).

    All but the first repeat a history: erikdao/sparse-detector at 97cb8b5, 95a6a94, f482511,
    d53023f, a0432ff (in effect c2e7396, too) and f2a5d25, in the order above.

    A layer has its own, so that α is learned by head (`heads` as many as attention has) or by layer
    (`heads` 1); the same module in several layers ties them.

    Args:
        heads: H.
        start: α at the start, in all heads, within the bounds but not on them.
        generator: if there is no start, draws raw from the standard normal distribution, or for
            those without a raw of this kind α as `sigmoid` has it.
        form: what α is.
        bounds: (lo, hi), with 1 ≤ lo < hi ≤ 2.

    Raises:
        LookupError: there is no such form.
        ValueError: a number is not as above, or not one of start and generator is given.
    """

    raw: Tensor

    def __init__(
        self,
        heads: int = 1,
        start: float | None = None,
        generator: torch.Generator | None = None,
        *,
        form: AlphaForm = "smooth",
        bounds: tuple[float, float] = (1.01, 2.0),
    ) -> None:
        super().__init__()
        check_choice("form", form, get_args(AlphaForm))
        _check(heads, start, generator, bounds)
        self.form: AlphaForm = form
        self.low, self.high = bounds
        if start is None:
            raw = torch.randn(heads, generator=generator)
            if form in ("unbounded", "constant"):
                raw = 1 + raw.sigmoid()
        else:
            raw = torch.full((heads,), self._raw_of(start))
        if form == "constant":
            self.register_buffer("raw", raw)
        else:
            self.raw = nn.Parameter(raw)

    @property
    def alpha(self) -> Tensor:
        """α as it is now, [H], with its gradient."""
        if self.form in ("unbounded", "constant"):
            return self.raw
        share = self.raw.sigmoid()
        if self.form in ("smooth", "unused"):
            return self.low + (self.high - self.low) * share
        if self.form == "clamped_sigmoid":
            return 1 + share.clamp(self.low, self.high)
        return (1 + share).clamp(self.low, self.high) if self.form == "clamped" else 1 + share

    def extra_repr(self) -> str:
        """How it is printed."""
        return f"heads={len(self.raw)}, form={self.form!r}, bounds=({self.low}, {self.high})"

    def _raw_of(self, start: float) -> float:
        if self.form in ("unbounded", "constant"):
            return start
        is_smooth = self.form in ("smooth", "unused")
        low, high = (self.low, self.high) if is_smooth else (1.0, 2.0)
        share = (start - low) / (high - low)
        return math.log(share / (1 - share))


def _check(
    heads: int,
    start: float | None,
    generator: torch.Generator | None,
    bounds: tuple[float, float],
) -> None:
    low, high = bounds
    if heads < 1:
        raise ValueError(f"heads must be at least 1, got {heads}")
    if not 1 <= low < high <= 2:
        raise ValueError(f"bounds must be (lo, hi) with 1 ≤ lo < hi ≤ 2, got {bounds}")
    if (start is None) == (generator is None):
        given = "neither" if start is None else "both"
        raise ValueError(f"alpha must have either a start or a generator to draw it, got {given}")
    if start is not None and not low < start < high:
        raise ValueError(f"start must be between {low} and {high}, got {start}")
