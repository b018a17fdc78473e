"""Contrastive losses: their values where all is known, and beside loops over all pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainables.losses.contrastive import (
    Contrast,
    contrast_slots,
    contrast_slots_across,
    contrast_slots_of_image,
    contrast_views,
    positives,
)
from trainables.losses.matching import match_views

TAU, BATCH, SLOTS = 0.1, 16, 11
Loss = Callable[[Tensor, Tensor, float], Contrast]
OF_SLOTS: list[Loss] = [contrast_slots, contrast_slots_of_image, contrast_slots_across]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def identity(batch: int, slots: int) -> Tensor:
    return torch.arange(slots).expand(batch, 2, slots)


def orthogonal(batch: int, slots: int) -> Tensor:
    """Slots [B, 2, S, B·S]: those of one object are equal in both views, others orthogonal."""
    basis = torch.eye(batch * slots).view(batch, 1, slots, batch * slots)
    return basis.expand(-1, 2, -1, -1)


@pytest.mark.parametrize(
    ("loss", "collapsed", "best"),
    [
        (contrast_slots, 5.8608, 0.0158),
        (contrast_slots_of_image, 3.0445, 0.0009),
        (contrast_slots_across, math.log(11), math.log1p(10 * math.exp(-10))),
    ],
)
def test_collapsed_and_best_values_of_slots(loss: Loss, collapsed: float, best: float) -> None:
    partners = identity(BATCH, SLOTS)
    same = torch.ones(BATCH, 2, SLOTS, 8)
    assert float(loss(same, partners, TAU).loss) == pytest.approx(collapsed, abs=5e-5)
    apart = loss(orthogonal(BATCH, SLOTS), partners, TAU)
    assert float(apart.loss) == pytest.approx(best, abs=5e-5)
    assert float(apart.accuracy) == 1


def test_collapsed_and_best_values_of_views() -> None:
    same = contrast_views(torch.ones(BATCH, 2, 8), TAU)
    apart = contrast_views(orthogonal(BATCH, 1)[:, :, 0], TAU)
    assert float(same.loss) == pytest.approx(3.4340, abs=5e-5)
    assert float(apart.loss) == pytest.approx(0.0014, abs=5e-5)
    assert float(apart.accuracy) == 1


def test_the_loss_of_views_is_that_of_a_loop() -> None:
    views = drawn(5, 2, 7)
    rows = functional.normalize(views, dim=-1).flatten(0, 1)
    each: list[Tensor] = []
    for n in range(10):
        scores = {m: rows[n] @ rows[m] / TAU for m in range(10) if m != n}
        each.append(torch.logsumexp(torch.stack(list(scores.values())), 0) - scores[n ^ 1])
    found = contrast_views(views, TAU)
    torch.testing.assert_close(found.loss, torch.stack(each).mean())


def test_cosines_of_rows_of_the_gram_matrix_are_another_loss() -> None:
    """A fault that was published: its accuracy too was always 1 / (2B)."""
    views = drawn(8, 2, 32)
    rows = functional.normalize(views, dim=-1).flatten(0, 1)
    gram = functional.normalize(rows @ rows.T, dim=-1)
    wrong = functional.cross_entropy(
        (gram @ gram.T / TAU).masked_fill(torch.eye(16, dtype=torch.bool), -torch.inf),
        torch.arange(16) ^ 1,
    )
    assert abs(float(wrong - contrast_views(views, TAU).loss)) > 0.1
    assert float(contrast_views(orthogonal(8, 1)[:, :, 0], TAU).accuracy) == 1


def candidates(loss: Loss, b: int, a: int, s: int) -> Iterator[tuple[int, int, int]]:
    """The slots that a slot is compared with, in the words of the docstrings."""
    for other in product(range(3), range(2), range(4)):
        is_alike = other[0] == b
        is_in = (
            loss is contrast_slots
            or is_alike
            and (loss is contrast_slots_of_image or other[1] != a)
        )
        if is_in and other != (b, a, s):
            yield other


@pytest.mark.parametrize("loss", OF_SLOTS)
def test_the_loss_of_slots_is_that_of_a_loop(loss: Loss) -> None:
    slots = drawn(3, 2, 4, 6)
    partners = match_views(slots[:, 0], slots[:, 1])
    rows = functional.normalize(slots, dim=-1)
    each: list[Tensor] = []
    hits: list[bool] = []
    for b, a, s in product(range(3), range(2), range(4)):
        partner = (b, 1 - a, int(partners[b, a, s]))
        scores = {at: rows[b, a, s] @ rows[at] / TAU for at in candidates(loss, b, a, s)}
        each.append(torch.logsumexp(torch.stack(list(scores.values())), 0) - scores[partner])
        hits.append(max(scores, key=lambda at: float(scores[at])) == partner)
    found = loss(slots, partners, TAU)
    torch.testing.assert_close(found.loss, torch.stack(each).mean())
    assert float(found.accuracy) == pytest.approx(sum(hits) / len(hits))


@pytest.mark.parametrize("loss", OF_SLOTS)
def test_the_views_are_symmetric(loss: Loss) -> None:
    slots = drawn(3, 2, 4, 6)
    partners = match_views(slots[:, 0], slots[:, 1])
    swapped = loss(slots.flip(1), partners.flip(1), TAU)
    torch.testing.assert_close(swapped.loss, loss(slots, partners, TAU).loss)


def test_negatives_of_the_image_do_not_depend_on_the_batch() -> None:
    slots = drawn(4, 2, 5, 8)
    partners = match_views(slots[:, 0], slots[:, 1])
    whole = contrast_slots_of_image(slots, partners, TAU).loss
    halves = [contrast_slots_of_image(slots[p], partners[p], TAU).loss for p in ([0, 1], [2, 3])]
    torch.testing.assert_close(whole, torch.stack(halves).mean())
    assert contrast_slots(slots, partners, TAU).loss > whole


def test_gradients_are_those_of_double_precision_differences() -> None:
    slots = drawn(2, 2, 3, 4).double().requires_grad_()
    partners = match_views(slots[:, 0], slots[:, 1])

    def losses(given: Tensor) -> tuple[Tensor, ...]:
        return tuple(loss(given, partners, TAU).loss for loss in OF_SLOTS)

    assert torch.autograd.gradcheck(losses, slots)


def test_positives_are_cosines_of_partners() -> None:
    slots = drawn(3, 2, 4, 6)
    partners = match_views(slots[:, 0], slots[:, 1])
    expected = functional.cosine_similarity(
        slots[1, 0, 2], slots[1, 1, int(partners[1, 0, 2])], dim=0
    )
    torch.testing.assert_close(positives(slots, partners)[1, 0, 2], expected)
