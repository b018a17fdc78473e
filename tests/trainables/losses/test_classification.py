"""Losses of classifiers beside torch, torchvision and timm, and their formulas by loops."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from timm.loss.cross_entropy import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from torch import Tensor
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from trainables.losses.classification import (
    adjusted,
    class_balanced_weights,
    focal,
    smoothed,
    soft_cross_entropy,
)

LABELS = torch.tensor([2, 0, 3, 2, 1])
LOGITS = 3 * torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).double()
WEIGHTS = torch.tensor([0.5, 1.0, 2.0, 4.0]).double()


def with_gradient(loss: Any, *rest: Any, **named: Any) -> tuple[Tensor, Tensor]:
    """The loss of the logits, and its gradient."""
    logits = LOGITS.clone().requires_grad_()
    found = loss(logits, *rest, **named)
    return found.detach(), torch.autograd.grad(found, logits)[0]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_smoothing_over_all_classes_is_torchs(smoothing: float) -> None:
    targets = smoothed(LABELS, 4, smoothing, dtype=torch.float64)
    found = with_gradient(soft_cross_entropy, targets)
    torch.testing.assert_close(
        found, with_gradient(functional.cross_entropy, LABELS, label_smoothing=smoothing)
    )
    if smoothing == 0.1:
        torch.testing.assert_close(found, with_gradient(LabelSmoothingCrossEntropy(0.1), LABELS))


def test_smoothing_over_the_others() -> None:
    found = smoothed(torch.tensor([1]), 4, 0.3, "others", torch.float64)
    assert found.tolist()[0] == pytest.approx([0.1, 0.7, 0.1, 0.1], rel=1e-12)
    assert smoothed(LABELS, 4, 0.75, "others").unique().tolist() == [0.25]


def test_soft_targets_are_timms() -> None:
    targets = torch.softmax(LOGITS.flip(0), -1)
    found = with_gradient(soft_cross_entropy, targets)
    torch.testing.assert_close(found, with_gradient(SoftTargetCrossEntropy(), targets))


def test_weights_of_classes_weigh_each_example_by_its_label() -> None:
    hard = functional.one_hot(LABELS, 4).double()
    each = functional.cross_entropy(LOGITS, LABELS, reduction="none")
    expected = (each * WEIGHTS[LABELS]).mean()
    torch.testing.assert_close(soft_cross_entropy(LOGITS, hard, WEIGHTS), expected)
    torch.testing.assert_close(focal(LOGITS, LABELS, gamma=0.0, weights=WEIGHTS), expected)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_the_focal_loss_of_two_classes_is_torchvisions(gamma: float) -> None:
    scores, labels = LOGITS[:, 0].clone().requires_grad_(), torch.tensor([1, 0, 1, 1, 0])
    found = focal(torch.stack([torch.zeros(5).double(), scores], 1), labels, gamma=gamma)
    theirs = sigmoid_focal_loss(scores, labels.double(), -1, gamma, "mean")
    torch.testing.assert_close(found, theirs)
    torch.testing.assert_close(
        torch.autograd.grad(found, scores)[0], torch.autograd.grad(theirs, scores)[0]
    )


def test_the_focal_loss_is_its_formula() -> None:
    shares = torch.softmax(LOGITS, -1)
    each = [
        -WEIGHTS[y] * (1 - shares[b, y]) ** 2 * shares[b, y].log()
        for b, y in enumerate(LABELS.tolist())
    ]
    found = focal(LOGITS, LABELS, gamma=2.0, weights=WEIGHTS)
    torch.testing.assert_close(found, torch.stack(each).mean())


def test_without_gamma_the_focal_loss_is_the_cross_entropy() -> None:
    torch.testing.assert_close(
        with_gradient(focal, LABELS, gamma=0.0), with_gradient(functional.cross_entropy, LABELS)
    )


@pytest.mark.parametrize("gamma", [0.1, 2.0])
def test_a_sure_example_has_a_focal_loss_and_a_gradient_of_zero(gamma: float) -> None:
    logits = torch.tensor([[1000.0, 0.0]], requires_grad=True)
    focal(logits, torch.tensor([0]), gamma=gamma).backward()
    assert logits.grad is not None and not logits.grad.any()


def test_adjusted_logits_are_the_balanced_softmax() -> None:
    counts = torch.tensor([500, 100, 20, 4])
    weighed = counts * LOGITS.exp()
    expected = -(weighed[torch.arange(5), LABELS] / weighed.sum(1)).log().mean()
    torch.testing.assert_close(functional.cross_entropy(adjusted(LOGITS, counts), LABELS), expected)
    torch.testing.assert_close(
        adjusted(LOGITS, counts, 0.5), LOGITS + 0.5 * (counts / 624).log(), check_dtype=False
    )


def test_a_class_without_examples_is_never_expected() -> None:
    counts = torch.tensor([1, 1, 0])
    found = torch.softmax(adjusted(torch.zeros(1, 3), counts), -1)
    assert found.tolist() == [[0.5, 0.5, 0.0]]
    assert not adjusted(torch.zeros(1, 3), counts, 0.0).any()


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.999])
def test_weights_of_the_effective_number(beta: float) -> None:
    counts = [5000, 387, 29, 1]
    each = [(1 - beta) / (1 - beta**number) for number in counts]
    expected = [4 * one / sum(each) for one in each]
    found = class_balanced_weights(torch.tensor(counts), beta)
    assert found.tolist() == pytest.approx(expected, rel=1e-9)
    assert float(found.mean()) == pytest.approx(1)


@pytest.mark.parametrize(("beta", "error"), [(1 - 1e-9, 1e-6), (1.0, 1e-15)])
def test_weights_tend_to_one_over_the_number(beta: float, error: float) -> None:
    found = class_balanced_weights(torch.tensor([8, 4, 2]), beta)
    assert found.tolist() == pytest.approx([3 / 7, 6 / 7, 12 / 7], rel=error)


def test_losses_of_examples_have_the_loss_for_a_mean() -> None:
    targets = torch.softmax(LOGITS.flip(0), -1)
    for loss, goal in ((soft_cross_entropy, targets), (focal, LABELS)):
        given: Any = {"weights": WEIGHTS}
        each = loss(LOGITS, goal, **given, reduction="none")
        assert each.shape == (5,)
        torch.testing.assert_close(each.mean(), loss(LOGITS, goal, **given))
        torch.testing.assert_close(each[2:3], loss(LOGITS[2:3], goal[2:3], **given)[None])


def test_equal_logits_have_the_logarithm_of_the_number_of_classes() -> None:
    found = soft_cross_entropy(torch.zeros(5, 4), smoothed(LABELS, 4, 0.1))
    assert float(found) == pytest.approx(math.log(4))


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: smoothed(LABELS, 4, 1.1), ValueError, "smoothing must be in 0…1, got 1.1"),
        (lambda: smoothed(LABELS, 4, -0.1), ValueError, "smoothing must be in 0…1, got -0.1"),
        (lambda: smoothed(LABELS, 4, 0.1, "both"), LookupError, "share must be one of all, others"),  # pyright: ignore[reportArgumentType]
        (lambda: smoothed(LABELS * 0, 1, 0.1, "others"), ValueError, "classes must be at least 2"),
        (lambda: focal(LOGITS, LABELS, gamma=-1), ValueError, "gamma must be at least 0, got -1"),
        (lambda: class_balanced_weights(LABELS), ValueError, "counts must be at least 1 .* got 0"),
        (lambda: class_balanced_weights(LABELS + 1, 1.1), ValueError, "beta must be .* got 1.1"),
        (lambda: class_balanced_weights(LABELS + 1, -0.1), ValueError, "beta must be .* got -0.1"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(
    call: Any, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        call()
