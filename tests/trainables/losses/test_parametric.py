"""PaCo, GPaCo and the two tasks apart: the numbers of the authors' code, and edges."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainables.losses.contrastive import contrast_labels
from trainables.losses.parametric import Candidates, multi_task, parametric_contrast


def wave(*shape: int) -> Tensor:
    """sin(n²), n = 1, 2, … in float64."""
    return torch.sin(torch.arange(1, math.prod(shape) + 1).double().square()).view(shape)


LABELS, COUNTS = torch.tensor([0, 2, 1, 0, 2, 1]), torch.tensor([50, 10, 4])
WEIGHTS = torch.tensor([0.3, 0.9, 1.8]).double()
KEYS = functional.normalize(wave(4, 3) + 0.3, dim=-1)
QUEUE = Candidates(KEYS, torch.tensor([1, 0, 2, 0]), torch.ones(4, dtype=torch.bool))
PACO = (
    6.439699262521569,
    [0.14144040884139808, 0.31188937679094, 0.2839490648602388],
    [-0.2773189645979553, 0.00010255343710055125, 0.0004249345848682679],
)
GPACO = (
    5.823165918381687,
    [0.06132408604216111, 0.11824685838698717, 0.0919324897378195],
    [-0.16878555788975558, -0.03198088080461671, -0.01628628013522952],
)
APART = (
    3.9190355461071293,
    [-0.02638827547920891, -0.0033777761408889384, 0.04767720800325018],
    [-0.006729741997713737, 0.001308386435182926, 0.0054213555625308284],
)
"""dvlab-research/Parametric-Contrastive-Learning, losses of GPaCo/LT/losses.py in float64: loss,
and slopes of the first row and of its logits."""


@pytest.mark.parametrize(
    ("loss", "anchors", "values", "official"),
    [
        (parametric_contrast, 3, {"alpha": 0.05, "counts": COUNTS}, PACO),
        (
            *(parametric_contrast, 6),
            {"alpha": 0.01, "beta": 0.8, "gamma": 0.7, "logit_temperature": 0.5, "smoothing": 0.2},
            GPACO,
        ),
        (multi_task, 6, {"alpha": 0.5, "counts": COUNTS, "weights": WEIGHTS}, APART),
    ],
    ids=["paco", "gpaco", "multi_task"],
)
def test_loss_and_gradient_are_those_of_the_official_code(
    loss: Any, anchors: int, values: dict[str, Any], official: Any
) -> None:
    features, logits = wave(6, 3).requires_grad_(), (2 * wave(anchors, 3)).requires_grad_()
    found = loss(features, LABELS, logits, QUEUE, temperature=0.2, **values)
    found.backward()
    assert features.grad is not None and logits.grad is not None
    assert found.item() == pytest.approx(official[0], rel=1e-6)
    assert features.grad[0].tolist() == pytest.approx(official[1], rel=1e-6)
    assert logits.grad[0].tolist() == pytest.approx(official[2], rel=1e-5, abs=1e-9)


def test_without_rows_it_is_the_cross_entropy() -> None:
    logits = 2 * wave(6, 3)
    found = parametric_contrast(
        wave(6, 3), LABELS, logits, QUEUE, temperature=0.2, alpha=0.0, gamma=0.0
    )
    torch.testing.assert_close(found, functional.cross_entropy(logits, LABELS))


@pytest.mark.parametrize("loss", [parametric_contrast, multi_task])
def test_shares_are_added_so_many_times(loss: Any) -> None:
    given, logits = (wave(6, 3), LABELS), 2 * wave(6, 3)
    shares = 0.3 * (COUNTS / 64).double().log()
    found = loss(*given, logits, temperature=0.2, alpha=0.1, counts=COUNTS, adjustment=0.3)
    torch.testing.assert_close(found, loss(*given, logits + shares, temperature=0.2, alpha=0.1))


@pytest.mark.parametrize("loss", [parametric_contrast, multi_task])
def test_empty_places_of_the_queue_are_ignored(loss: Any) -> None:
    empty = Candidates(100 * KEYS, QUEUE.labels, torch.zeros(4, dtype=torch.bool))
    given = (wave(6, 3), LABELS, 2 * wave(6, 3))
    found = loss(*given, empty, temperature=0.2, alpha=0.1)
    torch.testing.assert_close(found, loss(*given, temperature=0.2, alpha=0.1))
    assert abs(float(found - loss(*given, QUEUE, temperature=0.2, alpha=0.1))) > 1e-3


def test_the_second_task_is_supcon() -> None:
    features, logits = wave(6, 3), 2 * wave(6, 3)
    apart = contrast_labels(features[:, None], LABELS, temperature=0.2).loss
    found = multi_task(features, LABELS, logits, temperature=0.2, alpha=0.5)
    torch.testing.assert_close(found, functional.cross_entropy(logits, LABELS) + 0.5 * apart)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"alpha": -0.1}, "alpha must be at least 0, got -0.1"),
        ({"alpha": 0.0, "gamma": -1.0}, "gamma must be at least 0, got -1"),
        ({"alpha": 0.0, "beta": 0.0}, "alpha or beta must be above 0, got 0 for both"),
    ],
)
def test_weights_out_of_range_are_refused_with_a_sentence(
    values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        parametric_contrast(wave(6, 3), LABELS, wave(6, 3), temperature=0.2, **values)
