"""Intervals of shares, beside SciPy's."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import binomtest

from trainables.metrics.intervals import paired, wilson


@pytest.mark.parametrize(("hits", "number"), [(0, 10), (10, 10), (123, 150), (1, 1), (437, 536)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_wilsons_interval_is_that_of_scipy(hits: int, number: int, confidence: float) -> None:
    theirs = binomtest(hits, number).proportion_ci(confidence, "wilson")
    found = wilson(hits / number, number, confidence)
    assert found == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize("number", [3, 66, 250])
def test_none_and_all_are_ends_exactly(number: int) -> None:
    assert (wilson(0.0, number)[0], wilson(1.0, number)[1]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ((0.5, 0), "number must be at least 1, got 0"),
        ((1.01, 5), "share must be in 0…1, got 1.01"),
        ((0.5, 5, 1.0), "confidence must be between 0 and 1, got 1"),
    ],
)
def test_what_is_no_share_is_refused(values: tuple[float, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        wilson(*values)


def test_a_paired_difference_is_that_of_discordant_pairs() -> None:
    """18 are hit by the second alone, 6 by the first alone, of 100."""
    first = torch.tensor([True] * 50 + [True] * 6 + [False] * 18 + [False] * 26)
    second = torch.tensor([True] * 50 + [False] * 6 + [True] * 18 + [False] * 26)
    half = 1.959964 * (18 + 6 - (18 - 6) ** 2 / 100) ** 0.5 / 100
    assert paired(first, second) == pytest.approx((0.12, 0.12 - half, 0.12 + half), abs=1e-6)
    assert paired(second, first) == pytest.approx((-0.12, -0.12 - half, -0.12 + half), abs=1e-6)
    assert paired(first, first) == (0.0, 0.0, 0.0)


def test_hits_of_other_examples_are_refused() -> None:
    with pytest.raises(ValueError, match="second must be hits of the examples of first"):
        paired(torch.ones(3).bool(), torch.ones(2).bool())
