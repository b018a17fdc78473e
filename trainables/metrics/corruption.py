"""Accuracy on corrupted images, and errors beside those of a reference."""

# C corruptions, S severities.

from __future__ import annotations

from torch import Tensor

_SMALLEST = 1e-9
"""Sums of errors are above it, or 0: they are counts over a number of images."""


def robustness_accuracy(accuracies: Tensor) -> float:
    """The mean of accuracies [C, S] in 0…1 over corruptions and severities; best 1."""
    return float(_checked("accuracies", accuracies).mean())


def mean_error(accuracies: Tensor) -> float:
    """The unnormalised mean corruption error, 1 − the mean of accuracies [C, S]; best 0."""
    return 1 - robustness_accuracy(accuracies)


def mean_corruption_error(errors: Tensor, reference: Tensor) -> float:
    """mCE: the mean over corruptions c of Σ_s E_{s,c} / Σ_s E^{ref}_{s,c}.

    Errors [C, S] of a network and of a reference on the same images, in 0…1. 0 is best, 1 as good
    as the reference (Hendrycks and Dietterich 2019, section 4.1; there, AlexNet is it, and mCE in
    per cent).

    Raises:
        ValueError: shapes differ, an error is not in 0…1, or the reference has no error under some
            corruption.
    """
    _same(errors, reference)
    return _ratio(errors.double().sum(1), reference.double().sum(1))


def relative_mean_corruption_error(
    errors: Tensor, clean: float, reference: Tensor, reference_clean: float
) -> float:
    """The same of how much errors rise above those on clean images, Σ_s (E_{s,c} − E_clean).

    1 is as the reference; below 0 where corrupted images are easier than clean ones.

    Raises:
        ValueError: as of `mean_corruption_error`; or the reference's error does not rise under some
            corruption, by which nothing can be divided.
    """
    _same(errors, reference)
    own, rise = errors.double().sum(1), reference.double().sum(1)
    number = errors.shape[1]
    return _ratio(own - number * clean, rise - number * reference_clean)


def _ratio(own: Tensor, reference: Tensor) -> float:
    """The mean of quotients; what is 0 but for rounding is no divisor."""
    if (small := reference <= _SMALLEST).any():
        which = int(small.nonzero()[0])
        raise ValueError(
            f"the reference must have errors, or more than on clean images, under each corruption, "
            f"got {max(0.0, float(reference[which])):g} under number {which}"
        )
    return float((own / reference).mean())


def _same(errors: Tensor, reference: Tensor) -> None:
    for name, values in (("errors", errors), ("reference", reference)):
        _checked(name, values)
    if errors.shape != reference.shape:
        raise ValueError(
            f"reference must be of the same corruptions and severities {list(errors.shape)}, got "
            f"{list(reference.shape)}"
        )


def _checked(name: str, values: Tensor) -> Tensor:
    if values.ndim != 2 or not values.numel() or not bool(((values >= 0) & (values <= 1)).all()):
        raise ValueError(f"{name} must be shares in 0…1 [C, S], got {values}")
    return values.double()
