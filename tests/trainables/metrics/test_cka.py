"""Representations are alike whatever their axes and their scale."""

from __future__ import annotations

import pytest
import torch

from trainables.metrics.cka import linear_cka

DRAWS = torch.Generator().manual_seed(0)
FIRST = torch.randn(50, 6, generator=DRAWS, dtype=torch.float64)
SECOND = torch.randn(50, 4, generator=DRAWS, dtype=torch.float64)


def test_turned_scaled_and_moved_features_are_alike() -> None:
    turned, _ = torch.linalg.qr(torch.randn(6, 6, generator=DRAWS, dtype=torch.float64))
    assert linear_cka(FIRST, 3 * FIRST @ turned + 7) == pytest.approx(1)


def test_it_is_the_alignment_of_centred_kernels() -> None:
    """⟨HKH, HLH⟩ over their norms, of kernels [N, N] of products."""
    centre = torch.eye(50, dtype=torch.float64) - 1 / 50
    kernels = [centre @ one @ one.T @ centre for one in (FIRST, SECOND)]
    flat = [one.flatten() for one in kernels]
    expected = torch.cosine_similarity(flat[0], flat[1], dim=0)
    assert linear_cka(FIRST, SECOND) == pytest.approx(float(expected))


def test_features_at_right_angles_and_collapsed_ones_have_nothing_in_common() -> None:
    basis = torch.randn(50, 5, generator=DRAWS, dtype=torch.float64)
    basis = basis - basis.mean(0)
    apart, _ = torch.linalg.qr(basis)
    assert linear_cka(apart[:, :2], apart[:, 2:4]) == pytest.approx(0, abs=1e-9)
    assert linear_cka(FIRST, torch.ones(50, 3)) == 0


def test_other_examples_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2, got 4 and 50"):
        linear_cka(FIRST, SECOND[:4])
