"""Losses that compare views: the terms of the configuration, weighted and summed."""

# B images, V views, S slots, C width of features, D width of projections.

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from trainables.losses import contrastive, similarity
from trainables.losses.decorrelation import Decorrelation, decorrelation
from trainables.losses.distillation import cross_entropy
from trainables.losses.matching import match_views
from trainables.osc.model import Outputs
from trainables.osc.objectives import Loss, Regularization

Gather = Callable[[Tensor], Tensor]
"""Of the values of this worker's images, those of all workers' images."""
CONTRASTS = {
    "ctr_all": contrastive.contrast_slots,
    "ctr_img": contrastive.contrast_slots_of_image,
    "ctr_aug": contrastive.contrast_slots_across,
}


class Seen(NamedTuple):
    """Two views of each image [B, 2, …], what the teacher found of them, and small views."""

    views: Outputs
    teacher: Outputs | None = None
    small: Outputs | None = None


class Total(NamedTuple):
    """The loss, a scalar; its terms by name; which slots were taken for one object, [B, 2, S]."""

    loss: Tensor
    terms: dict[str, Tensor]
    partners: Tensor | None


class Predictors(NamedTuple):
    """From projections to features, for terms that compare these two."""

    images: nn.Module
    slots: nn.Module


def compare(settings: Loss, seen: Seen, predictors: Predictors, gather: Gather) -> Total:
    """The loss of views, and each of its terms before its weight.

    Terms on images are called `images/…`, those on slots `objects/…`. Terms of weight 0 are
    computed and have no gradient. What compares images with one another is of the images of all
    workers, so that each of them has the loss of all.
    """
    loss, terms = _of_images(settings, seen.views, predictors.images, gather)
    total = settings.global_weight * loss if settings.global_weight else loss.new_zeros(())
    partners = None
    if seen.views.slots is not None and settings.objects != "none":
        with torch.set_grad_enabled(torch.is_grad_enabled() and settings.object_weight > 0):
            loss, own, partners = _of_slots(settings, seen, predictors.slots, gather)
        terms |= own
        if settings.object_weight:
            total = total + settings.object_weight * loss
    return Total(total, {name: term.detach() for name, term in terms.items()}, partners)


def _of_images(
    settings: Loss, views: Outputs, predictor: nn.Module, gather: Gather
) -> tuple[Tensor, dict[str, Tensor]]:
    features = gather(views.features)
    terms: dict[str, Tensor] = {}
    total = features.new_zeros(())
    if settings.images == "ctr":
        found = contrastive.contrast_views(gather(views.projections), settings.temperature)
        terms |= {"images/ctr": found.loss, "images/accuracy": found.accuracy}
        total = found.loss
    elif settings.images == "sim":
        total = similarity.views_alike(predictor(views.projections), views.features)
        terms["images/sim"] = total
    spread = decorrelation(features.transpose(0, 1))
    return _with_spread("images", total, terms, settings.of_images, spread)


def _of_slots(
    settings: Loss, seen: Seen, predictor: nn.Module, gather: Gather
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    slots, projections = seen.views.slots, seen.views.slot_projections
    assert slots is not None and projections is not None
    partners = _partners(settings, seen)
    terms: dict[str, Tensor] = {}
    if settings.objects == "sim_img":
        total = similarity.slots_alike(predictor(projections), slots, partners)
        terms["objects/sim_img"] = total
    elif settings.objects == "distillation":
        assert seen.teacher is not None and seen.teacher.slot_projections is not None
        total = cross_entropy(
            projections,
            similarity.across(seen.teacher.slot_projections, partners),
            temperature=settings.temperature,
            teacher_temperature=settings.teacher_temperature,
        )
        terms["objects/distillation"] = total
    else:
        together = gather if settings.objects == "ctr_all" else _alone
        contrast = CONTRASTS[settings.objects]
        found = contrast(together(projections), together(partners), settings.temperature)
        total = found.loss
        terms |= {f"objects/{settings.objects}": total, "objects/accuracy": found.accuracy}
    if seen.small is not None:
        loss, share = _of_small(seen, predictor, gather)
        terms |= {"objects/small": loss, "objects/reciprocal": share}
        if settings.small_crops:
            total = total + settings.small_crops * torch.where(loss.isnan(), 0.0, loss)
    spread = decorrelation(slots) if slots.shape[2] > 1 else None
    total, terms = _with_spread("objects", total, terms, settings.of_slots, spread)
    return total, terms, partners


def _partners(settings: Loss, seen: Seen) -> Tensor:
    """[B, 2, S]: by projections where these are contrasted, by features where nothing is.

    A teacher's slots are matched with those of the networks, by features.
    """
    one_to_one = settings.matching == "hungarian"
    if seen.teacher is not None:
        slots, theirs = seen.views.slots, seen.teacher.slots
        assert slots is not None and theirs is not None
        pairs = [
            match_views(slots[:, view], theirs[:, 1 - view], one_to_one=one_to_one)[:, 0]
            for view in (0, 1)
        ]
        return torch.stack(pairs, 1)
    compared = matched(settings, seen.views)
    return match_views(compared[:, 0], compared[:, 1], one_to_one=one_to_one)


def matched(settings: Loss, views: Outputs) -> Tensor:
    """What slots are matched by, [B, 2, S, …]: projections if these are contrasted, else features.

    Raises:
        ValueError: there are no slots.
    """
    found = views.slot_projections if settings.objects.startswith("ctr") else views.slots
    if found is None:
        raise ValueError("views must have slots to be matched, got none")
    return found


def _alone(values: Tensor) -> Tensor:
    return values


def _of_small(seen: Seen, predictor: nn.Module, gather: Gather) -> similarity.Reciprocal:
    assert seen.small is not None and seen.small.slot_projections is not None
    assert seen.views.slots is not None
    return similarity.small_slots_alike(
        gather(predictor(seen.small.slot_projections)), gather(seen.views.slots)
    )


def _with_spread(
    name: str,
    total: Tensor,
    terms: dict[str, Tensor],
    weights: Regularization,
    spread: Decorrelation | None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The total with variance and covariance; a single vector has neither (None)."""
    if spread is not None:
        for kind, term in spread._asdict().items():
            terms[f"{name}/{kind}"] = term
            if weight := getattr(weights, kind):
                total = total + weight * term
    terms[f"{name}/total"] = total
    return total, terms
