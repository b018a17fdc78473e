"""Contrastive losses: their values where all is known, and beside loops over all pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainables.losses.contrastive import (
    Contrast,
    contrast_labels,
    contrast_queue,
    contrast_slots,
    contrast_slots_across,
    contrast_slots_of_image,
    contrast_views,
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


def wave(*shape: int) -> Tensor:
    """sin(n²), n = 1, 2, … in float64."""
    return torch.sin(torch.arange(1, math.prod(shape) + 1).double().square()).view(shape)


LABELS = torch.tensor([0, 1, 0, 2])
OFFICIAL: list[Any] = [
    (
        *(3, LABELS, "all", 0.1, 8.849856548616382),
        [-0.5575633292925124, -0.29426997652202935, 0.5980540065362001]
        + [-0.8645491339746985, 1.0537833186920968, 0.11034364793982154]
        + [0.08318477455709616, 0.11187822424527138, 0.03745615129085966],
    ),
    (
        *(2, LABELS, "one", 0.5, 2.832025285497929),
        [-0.22966831841451124, -0.000902521103321674, 0.4672835671018284]
        + [-0.0792736805081375, 0.04267349577318748, 0.01731761433967027],
    ),
    (
        *(3, None, "all", 0.07, 9.572137556550254),
        [-0.6451560292338137, -0.1425534160188675, 1.0555102813726114]
        + [-0.6257882004676069, 0.5836956987658392, 0.10376643021879872]
        + [-0.03245125411442884, 0.2459043936843075, 0.4083089646593655],
    ),
]
"""HobbitLong/SupContrast, `SupConLoss` of `wave` of 4 images, D = 3; τ_b = 0.07, or τ for `one`."""


@pytest.mark.parametrize(("views", "labels", "anchors", "temperature", "loss", "slope"), OFFICIAL)
def test_loss_and_gradient_are_those_of_the_official_code(
    views: int, labels: Tensor, anchors: Any, temperature: float, loss: float, slope: list[float]
) -> None:
    given = wave(4, views, 3).requires_grad_()
    base = None if anchors == "one" else 0.07
    found = contrast_labels(
        given, labels, temperature=temperature, base_temperature=base, anchors=anchors
    ).loss
    found.backward()
    assert given.grad is not None
    assert found.item() == pytest.approx(loss, rel=1e-6)
    assert given.grad[0].flatten().tolist() == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("anchors", ["all", "one"])
def test_the_loss_of_labels_is_that_of_a_loop(anchors: Any) -> None:
    given = drawn(4, 3, 5).double()
    rows, kinds = functional.normalize(given, dim=-1), LABELS.tolist()
    each: list[Tensor] = []
    hits: list[bool] = []
    places = list(product(range(4), range(3)))
    for anchor in places:
        if anchors == "one" and anchor[1]:
            continue
        scores = {one: rows[anchor] @ rows[one] / TAU for one in places if one != anchor}
        total = torch.logsumexp(torch.stack(list(scores.values())), 0)
        own = [one for one in scores if kinds[one[0]] == kinds[anchor[0]]]
        each.append(torch.stack([total - scores[one] for one in own]).mean())
        hits.append(max(scores, key=lambda one: float(scores[one])) in own)
    found = contrast_labels(given, LABELS, temperature=TAU, anchors=anchors)
    torch.testing.assert_close(found.loss, torch.stack(each).mean())
    assert float(found.accuracy) == pytest.approx(sum(hits) / len(hits))


def test_two_images_of_two_views_by_hand() -> None:
    """Rows at 0°, 60°, 180° and 90°, τ = 1: cosines ½, −1, 0; ½, −½, √3/2; …"""
    angles = torch.tensor([[0.0, 60.0], [180.0, 90.0]]).double().deg2rad()
    given = torch.stack([angles.cos(), angles.sin()], -1)
    root = 3**0.5 / 2
    each = [
        math.log(math.exp(0.5) + math.exp(-1) + math.exp(0)) - 0.5,
        math.log(math.exp(0.5) + math.exp(-0.5) + math.exp(root)) - 0.5,
        math.log(math.exp(-1) + math.exp(-0.5) + math.exp(0)) - 0,
        math.log(math.exp(0) + math.exp(root) + math.exp(0)) - 0,
    ]
    found = contrast_labels(given, None, temperature=1.0)
    assert found.loss.item() == pytest.approx(sum(each) / 4, rel=1e-12)
    torch.testing.assert_close(found.loss, contrast_views(given, 1.0).loss)
    assert float(found.accuracy) == 0.5  # at 0° and at 180°


def test_a_class_for_each_image_is_simclr_in_any_order() -> None:
    given, order = drawn(6, 3, 5), torch.tensor([3, 0, 5, 1, 4, 2])
    alone = contrast_labels(given, None, temperature=TAU).loss
    torch.testing.assert_close(contrast_labels(given, order, temperature=TAU).loss, alone)
    kinds = torch.tensor([0, 1, 0, 2, 1, 0])
    first = contrast_labels(given, kinds, temperature=TAU).loss
    moved = contrast_labels(given[order].flip(1), kinds[order], temperature=TAU).loss
    torch.testing.assert_close(moved, first)


def test_anchors_without_positives_count_zero() -> None:
    given = drawn(3, 1, 5).requires_grad_()
    rows = functional.normalize(given[:, 0], dim=-1)
    found = contrast_labels(given, torch.tensor([0, 1, 0]), temperature=TAU).loss
    first = torch.logsumexp(rows[0] @ rows[1:].T / TAU, 0)
    last = torch.logsumexp(rows[2] @ rows[:2].T / TAU, 0)
    torch.testing.assert_close(found, (first + last - 2 * rows[0] @ rows[2] / TAU) / 3)
    alone = contrast_labels(given, torch.arange(3), temperature=TAU).loss
    alone.backward()
    assert alone.item() == 0 and given.grad is not None and not given.grad.any()


def test_unknown_anchors_are_refused_with_a_sentence() -> None:
    with pytest.raises(LookupError, match="anchors must be one of all, one, got 'two'"):
        contrast_labels(drawn(2, 2, 3), None, temperature=TAU, anchors="two")  # pyright: ignore[reportArgumentType]


def test_the_loss_of_a_queue_is_that_of_a_loop_and_ignores_empty_places() -> None:
    queries, keys = drawn(2, 4, 5).double().requires_grad_()
    queue = functional.normalize(drawn(6, 5, seed=1).double(), dim=-1)
    valid = torch.tensor([True, False, True, True, False, True])
    found = contrast_queue(queries, keys, queue, valid, temperature=TAU)
    each: list[Tensor] = []
    hits: list[bool] = []
    for query, key in zip(queries, keys.detach(), strict=True):
        rows = [key, *queue[valid]]
        scores = torch.stack([functional.cosine_similarity(query, row, 0) / TAU for row in rows])
        each.append(torch.logsumexp(scores, 0) - scores[0])
        hits.append(int(scores.argmax()) == 0)
    torch.testing.assert_close(found.loss, torch.stack(each).mean())
    assert float(found.accuracy) == pytest.approx(sum(hits) / 4)
    mine, theirs = torch.autograd.grad(found.loss, [queries, keys], allow_unused=True)
    assert theirs is None
    torch.testing.assert_close(mine, torch.autograd.grad(torch.stack(each).mean(), queries)[0])


def test_an_empty_queue_has_nothing_to_tell_a_key_from() -> None:
    queries = drawn(4, 5).requires_grad_()
    empty = torch.zeros(6, dtype=torch.bool)
    found = contrast_queue(queries, drawn(4, 5), torch.zeros(6, 5), empty, temperature=TAU)
    found.loss.backward()
    assert found.loss.item() == 0 and queries.grad is not None and not queries.grad.any()
    same = torch.ones(6, 5) / 5**0.5
    whole = contrast_queue(same[:4], same[:4], same, ~empty, temperature=TAU).loss
    assert float(whole) == pytest.approx(math.log(7))
