"""Intervals of shares, beside SciPy's."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from trainables.metrics.intervals import wilson


@pytest.mark.parametrize(("hits", "number"), [(0, 10), (10, 10), (123, 150), (1, 1), (437, 536)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_wilsons_interval_is_that_of_scipy(hits: int, number: int, confidence: float) -> None:
    theirs = binomtest(hits, number).proportion_ci(confidence, "wilson")
    found = wilson(hits / number, number, confidence)
    assert found == pytest.approx((theirs.low, theirs.high), abs=1e-12)


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
