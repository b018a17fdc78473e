"""Linear probes: what can be read off frozen features, of images or of their slots."""

# n images, S slots, C width of features, Q questions or classes.

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from trainables.metrics.binary import area_under_roc, average_precision, curves
from trainables.metrics.probe_fitting import Fitting, Pools, Readout, fitted

__all__ = [
    "Classifier",
    "Fitting",
    "Probe",
    "Readout",
    "classifier_scores",
    "fit_classifier",
    "fit_probe",
    "probe_scores",
]


@dataclass(frozen=True)
class Probe(Readout):
    """Answers Q yes-or-no questions; a yes counted `positive_weight` times."""

    positive_weight: float


@dataclass(frozen=True)
class Classifier(Readout):
    """Tells Q classes apart; `majority` is the most frequent one of those it was fitted on."""

    majority: int


def fit_probe(
    features: Tensor,
    targets: Tensor,
    *,
    generator: torch.Generator,
    positive_weight: float | None = 14.0,
    pools: Pools = "max",
    **settings: Any,
) -> Probe:
    """A probe for Q yes-or-no questions, by binary cross-entropy.

    Args:
        features: [n, C], or [n, S, C] of slots: an image has what the best of its slots has.
        targets: bool [n, Q].
        generator: of the first weights and of who is held out, on the CPU.
        positive_weight: how often a yes counts in the loss; None: as often as makes both answers
            weigh the same in `targets`.
        pools: what is made of the logits of slots.
        settings: fields of `Fitting`.

    Raises:
        ValueError: there are no features to learn from or to hold out, or as many targets.
    """
    _check(features, targets)
    if positive_weight is None:
        positive_weight = weight_of_yes(targets)
    with torch.inference_mode(False):
        weight = torch.tensor(positive_weight, device=features.device)

    def loss(logits: Tensor, answers: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(logits, answers, pos_weight=weight)

    fitting = Fitting(**settings)
    found = fitted(features, targets.float(), targets.shape[1], loss, pools, generator, fitting)
    return Probe(**found, positive_weight=positive_weight)


def weight_of_yes(targets: Tensor) -> float:
    """How often a yes of targets [...], bool, counts, so that yeses count as much as noes."""
    positive = float(targets.double().mean())
    return (1 - positive) / positive if positive > 0 else 1.0


def fit_classifier(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    generator: torch.Generator,
    pools: Pools = "max",
    **settings: Any,
) -> Classifier:
    """A probe for one of Q classes, by cross-entropy; counts are classes too.

    Args:
        features: [n, C], or [n, S, C] of slots.
        labels: [n], int64, below `num_classes`.
        num_classes: Q.
        generator: of the first weights and of who is held out, on the CPU.
        pools: what is made of the logits of slots. Their `mean` adds up what slots say, as counting
            needs it.
        settings: fields of `Fitting`.

    Raises:
        ValueError: there are no features to learn from or to hold out, or as many labels.
    """
    _check(features, labels)
    fitting, loss = Fitting(**settings), functional.cross_entropy
    found = fitted(features, labels.clone(), num_classes, loss, pools, generator, fitting)
    majority = int(torch.bincount(labels, minlength=num_classes).argmax())
    return Classifier(**found, majority=majority)


def probe_scores(probe: Probe, features: Tensor, targets: Tensor) -> dict[str, float]:
    """How well a probe answers the questions of other images, over all pairs of both.

    `ap/imbalanced` is the average precision, `ap/balanced` that with a yes counted as often as in
    the loss of this probe; `auroc`, which such weights do not change; and `loss`, the
    cross-entropy. All but the loss are in 0…1, 1 best.
    """
    logits = probe(features)
    plain = curves(logits, targets)
    balanced = curves(logits, targets, positive_weight=probe.positive_weight)
    weight = logits.new_tensor(probe.positive_weight)
    loss = functional.binary_cross_entropy_with_logits(logits, targets.float(), pos_weight=weight)
    return {
        "ap/balanced": float(average_precision(balanced)),
        "ap/imbalanced": float(average_precision(plain)),
        "auroc": float(area_under_roc(plain)),
        "loss": float(loss),
    }


def classifier_scores(classifier: Classifier, features: Tensor, labels: Tensor) -> dict[str, float]:
    """The `accuracy` on other images, and the `majority` share: that of always the same answer."""
    predicted = classifier(features).argmax(1)
    return {
        "accuracy": float((predicted == labels).double().mean()),
        "majority": float((labels == classifier.majority).double().mean()),
    }


def _check(features: Tensor, targets: Tensor) -> None:
    """Refuses what nothing can be learned from."""
    if features.dim() not in (2, 3) or len(features) < 2:
        shape = tuple(features.shape)
        raise ValueError(f"features must be [n, C] or [n, S, C] of 2 or more images, got {shape}")
    if len(targets) != len(features):
        raise ValueError(
            f"there must be a target for each of {len(features)} images, got {len(targets)}"
        )
