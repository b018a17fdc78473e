"""Errors under corruption by hand."""

from __future__ import annotations

import pytest
import torch

from trainables.metrics.corruption import (
    mean_corruption_error,
    mean_error,
    relative_mean_corruption_error,
    robustness_accuracy,
)

ERRORS = torch.tensor([[0.2, 0.4], [0.3, 0.6]])
REFERENCE = torch.tensor([[0.4, 0.8], [0.5, 0.4]])


def test_a_constant_answer_is_right_on_one_image_in_ten() -> None:
    labels = torch.arange(10).repeat(20)
    accuracies = (torch.zeros(19, 5, len(labels)) == labels).double().mean(2)
    assert robustness_accuracy(accuracies) == pytest.approx(0.1)
    assert mean_error(accuracies) == pytest.approx(0.9)


def test_the_reference_is_as_good_as_itself() -> None:
    assert mean_corruption_error(REFERENCE, REFERENCE) == 1
    assert relative_mean_corruption_error(REFERENCE, 0.1, REFERENCE, 0.1) == 1


def test_errors_are_summed_over_severities_first() -> None:
    # 0.6 / 1.2 and 0.9 / 0.9
    assert mean_corruption_error(ERRORS, REFERENCE) == pytest.approx(0.75)


def test_relative_errors_are_above_those_on_clean_images() -> None:
    # (0.1 + 0.3) / (0.2 + 0.6) and (0.2 + 0.5) / (0.3 + 0.2)
    found = relative_mean_corruption_error(ERRORS, 0.1, REFERENCE, 0.2)
    assert found == pytest.approx((0.5 + 1.4) / 2)


@pytest.mark.parametrize(
    ("errors", "reference", "sentence"),
    [
        (ERRORS, REFERENCE[:1], r"reference must be of the same .* \[2, 2\], got \[1, 2\]"),
        (
            ERRORS,
            torch.zeros(2, 2),
            "must have errors, or more .* under each corruption, got 0 under number 0",
        ),
        (ERRORS + 0.5, REFERENCE, "errors must be shares in 0…1"),
        (ERRORS, REFERENCE - 0.5, "reference must be shares in 0…1"),
    ],
)
def test_what_is_no_error_is_said(
    errors: torch.Tensor, reference: torch.Tensor, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        mean_corruption_error(errors, reference)


@pytest.mark.parametrize("others", [[0.25] * 5, [0.5, 0.5, 0.5, 0.7, 0.8], [0.1] * 5])
def test_a_reference_whose_error_does_not_rise_is_none(others: list[float]) -> None:
    """The second rises by 0 but for rounding: (0.5 + 0.5 + 0.5 + 0.7 + 0.8) / 5 is 0.6."""
    clean = 0.6 if others[0] == 0.5 else 0.25
    reference = torch.tensor([others, [0.9] * 5], dtype=torch.float64)
    with pytest.raises(ValueError, match="more than on clean images, .* got 0 under number 0"):
        relative_mean_corruption_error(torch.full((2, 5), 0.5), 0.1, reference, clean)
