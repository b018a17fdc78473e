"""Which terms make the loss of views, with what weights, and what has a gradient."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.losses.contrastive import contrast_slots_of_image, contrast_views
from trainables.losses.decorrelation import decorrelation
from trainables.losses.similarity import slots_alike, small_slots_alike, views_alike
from trainables.osc.losses import Predictors, Seen, Total, compare
from trainables.osc.model import Outputs
from trainables.osc.objectives import Loss, Regularization

B, S, C = 3, 4, 6
ALONE = Predictors(nn.Identity(), nn.Identity())


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def views(number: int = 2, seed: int = 0) -> Outputs:
    shapes = ((B, number, 5, C), (B, number, C), (B, number, C), *2 * ((B, number, S, C),))
    return Outputs(*(drawn(*shape, seed=seed + place) for place, shape in enumerate(shapes)))


def compared(seen: Seen, **values: Any) -> Total:
    return compare(Loss(**values), seen, ALONE, lambda one: one)


def best(first: Tensor, second: Tensor) -> Tensor:
    """Partners by trying all permutations, [B, 2, S]."""
    found: list[list[tuple[int, ...]]] = []
    for one, other in zip(first, second, strict=True):
        cosines = functional.cosine_similarity(one[:, None], other[None], dim=-1)
        scores = {p: float(cosines[range(S), p].sum().detach()) for p in permutations(range(S))}
        chosen = max(scores, key=lambda p: scores[p])
        found.append([chosen, tuple(chosen.index(slot) for slot in range(S))])
    return torch.tensor(found)


@pytest.mark.parametrize(
    ("objects", "matched"), [("ctr_img", "slot_projections"), ("sim_img", "slots")]
)
def test_contrasts_match_projections_and_similarities_match_features(
    objects: str, matched: str
) -> None:
    seen = views()
    vectors = getattr(seen, matched)
    found = compared(Seen(seen), objects=objects)
    assert found.partners is not None
    assert torch.equal(found.partners, best(vectors[:, 0], vectors[:, 1]))


def test_the_loss_is_the_weighted_sum_of_its_terms() -> None:
    large, small = views(), views(3, seed=9)
    found = compared(
        Seen(large, small=small),
        images="ctr",
        objects="sim_img",
        global_weight=0.7,
        object_weight=0.3,
        of_images=Regularization(variance=0.5, covariance=0.2),
        of_slots=Regularization(variance=0.4, covariance=0.1),
        small_crops=2.0,
    )
    assert large.slots is not None and large.slot_projections is not None
    assert small.slot_projections is not None and found.partners is not None
    of_images, of_slots = decorrelation(large.features.transpose(0, 1)), decorrelation(large.slots)
    images = contrast_views(large.projections, 0.1).loss
    images = images + 0.5 * of_images.variance + 0.2 * of_images.covariance
    objects = slots_alike(large.slot_projections, large.slots, found.partners)
    objects = objects + 0.4 * of_slots.variance + 0.1 * of_slots.covariance
    objects = objects + 2.0 * small_slots_alike(small.slot_projections, large.slots).loss
    torch.testing.assert_close(found.loss, 0.7 * images + 0.3 * objects)
    torch.testing.assert_close(found.terms["images/total"], images.detach())
    torch.testing.assert_close(found.terms["objects/total"], objects.detach())


def test_a_term_of_weight_0_is_computed_and_has_no_gradient() -> None:
    seen, alone = views(), views()
    found = compared(Seen(seen), object_weight=0.0)
    assert math.isfinite(float(found.terms["objects/ctr_img"]))
    found.loss.backward()
    assert seen.slot_projections is not None and seen.slot_projections.grad is None
    compared(Seen(alone), objects="none").loss.backward()
    assert seen.projections.grad is not None and alone.projections.grad is not None
    assert torch.equal(seen.projections.grad, alone.projections.grad)


def test_objects_only_leave_projections_of_images_alone() -> None:
    seen = views()
    compared(Seen(seen), global_weight=0.0).loss.backward()
    assert seen.projections.grad is None
    assert seen.slot_projections is not None and seen.slot_projections.grad is not None


def test_small_crops_that_keep_nothing_leave_loss_and_gradient_numbers() -> None:
    """0 / 0 has a gradient of NaN, even where the quotient is left out of the sum."""
    large, small = views(), views(2, seed=5)
    none = small._replace(slot_projections=torch.empty(B, 0, S, C, requires_grad=True))
    found = compared(Seen(large, small=none), objects="sim_img", small_crops=1.0)
    assert math.isnan(float(found.terms["objects/small"])) and math.isfinite(
        float(found.loss.detach())
    )
    found.loss.backward()
    assert large.slot_projections is not None and large.slot_projections.grad is not None
    assert torch.isfinite(large.slot_projections.grad).all()


def test_a_teacher_is_matched_by_features_and_has_no_gradient() -> None:
    seen, teacher = views(), views(seed=20)
    found = compared(Seen(seen, teacher), objects="distillation")
    assert seen.slots is not None and teacher.slots is not None and found.partners is not None
    for view in (0, 1):
        expected = best(seen.slots[:, view], teacher.slots[:, 1 - view])[:, 0]
        assert torch.equal(found.partners[:, view], expected)
    found.loss.backward()
    assert teacher.slot_projections is not None and teacher.slot_projections.grad is None
    assert seen.slot_projections is not None and seen.slot_projections.grad is not None


def test_greedy_partners_are_the_nearest() -> None:
    seen = views()
    assert seen.slots is not None
    found = compared(Seen(seen), objects="sim_img", matching="greedy")
    cosines = functional.cosine_similarity(seen.slots[:, 0, :, None], seen.slots[:, 1, None], -1)
    assert found.partners is not None
    assert torch.equal(found.partners, torch.stack([cosines.argmax(2), cosines.argmax(1)], 1))


def test_only_what_compares_images_asks_for_those_of_other_workers() -> None:
    asked: list[tuple[int, ...]] = []

    def gather(values: Tensor) -> Tensor:
        asked.append(tuple(values.shape))
        return values

    compare(Loss(objects="ctr_img"), Seen(views()), ALONE, gather)
    assert asked == [(B, 2, C), (B, 2, C)]
    asked.clear()
    compare(Loss(images="sim", objects="ctr_all"), Seen(views()), ALONE, gather)
    assert asked == [(B, 2, C), (B, 2, S, C), (B, 2, S)]


def test_a_predictor_stands_between_projections_and_features() -> None:
    seen = views()
    assert seen.slots is not None and seen.slot_projections is not None
    images, slots = nn.Linear(C, C), nn.Linear(C, C)
    settings = Loss(images="sim", objects="sim_img")
    found = compare(settings, Seen(seen), Predictors(images, slots), lambda one: one)
    assert found.partners is not None
    expected = views_alike(images(seen.projections), seen.features)
    torch.testing.assert_close(found.terms["images/sim"], expected.detach())
    expected = slots_alike(slots(seen.slot_projections), seen.slots, found.partners)
    torch.testing.assert_close(found.terms["objects/sim_img"], expected.detach())


def test_the_collapsed_value_of_the_whole_is_the_sum_of_those_of_its_terms() -> None:
    """Of one vector for everything: log(2B − 1) and log(2S − 1)."""
    ones = Outputs(*(torch.ones_like(one) for one in views() if one is not None))
    found = compared(Seen(ones))
    assert float(found.loss.detach()) == pytest.approx(
        math.log(2 * B - 1) + math.log(2 * S - 1), abs=1e-5
    )
    partners = found.partners
    assert ones.slot_projections is not None and partners is not None
    again = contrast_slots_of_image(ones.slot_projections, partners, 0.1).loss
    assert float(found.terms["objects/ctr_img"]) == pytest.approx(float(again))
