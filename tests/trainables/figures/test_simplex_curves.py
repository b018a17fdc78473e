"""Curves of maps to the simplex are those of their closed forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from entmax import entmax_bisect

from trainables.figures.canvas import canvas
from trainables.figures.simplex_curves import draw_simplex, first_share, simplex_curves

SCORES = torch.linspace(-3, 3, 61, dtype=torch.float64)


def test_softmax_is_logistic_and_sparsemax_linear_between_minus_one_and_one() -> None:
    assert first_share(SCORES, 1.0).numpy() == pytest.approx(SCORES.sigmoid().numpy())
    linear = ((SCORES + 1) / 2).clamp(0, 1)
    assert first_share(SCORES, 2.0).numpy() == pytest.approx(linear.numpy())


def test_entmax_has_roots_that_differ_by_half_the_scores_up_to_two() -> None:
    """√p − √(1 − p) = t / 2, of p = [t/2 − τ]₊² and 1 − p = [−τ]₊²."""
    share = first_share(SCORES, 1.5)
    difference = share.sqrt() - (1 - share).clamp(min=0).sqrt()
    # a root of what rounding leaves of 0 is 1e-8
    assert difference.numpy() == pytest.approx((SCORES / 2).clamp(-1, 1).numpy(), abs=1e-7)


def test_a_curve_is_drawn_for_each_alpha(tmp_path: Path) -> None:
    with canvas(tmp_path / "a.png", 3, 2) as figure:
        axes: Any = figure.subplots()
        draw_simplex(axes, [1.25, 1.5], 2.0)
        curves = [one.get_xydata() for one in axes.lines]
        labels = [one.get_text() for one in axes.get_legend().get_texts()]
    for curve, alpha in zip(curves, (1.25, 1.5), strict=True):
        scores = torch.tensor(np.stack([curve[:, 0], np.zeros(len(curve))], 1))
        expected = entmax_bisect(scores, alpha)[:, 0].numpy()
        assert curve[:, 1] == pytest.approx(expected, abs=1e-9)
    assert labels == ["α = 1.25", "α = 1.5, entmax 1.5"]


def test_an_alpha_out_of_range_leaves_no_picture(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="alpha must be in 1…2.05, got 0.9"):
        simplex_curves(tmp_path / "a.png", alphas=[0.9])
    assert not list(tmp_path.iterdir())
    simplex_curves(tmp_path / "a.png", alphas=[])
    assert len(list(tmp_path.iterdir())) == 1
