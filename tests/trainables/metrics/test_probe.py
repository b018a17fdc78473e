"""Probes beside the same fit elsewhere: where they end, when they stop, and how they are scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor, nn
from torch.nn import functional

from trainables.metrics.probe import (
    Probe,
    classifier_scores,
    fit_classifier,
    fit_probe,
    probe_scores,
)

PUBLISHED: Any = {"learning_rate": 1e-3, "stops_early": False, "standardizes": False}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def questions(images: int = 300, *, slots: int = 4, noise: float = 1.0) -> tuple[Tensor, Tensor]:
    """Features [n, S, 6] of slots that show one of 6 things, and which of them are there [n, 6]."""
    random = seeded(1)
    things = torch.randint(0, 12, (images, slots), generator=random)
    shown = functional.one_hot(things, 12)[..., :6]
    mixing = torch.randn(6, 6, generator=random) * torch.tensor([9.0, 1, 1, 0.1, 1, 1])
    features = shown.float() @ mixing + 5
    features += noise * 0.3 * torch.randn(features.shape, generator=random)
    return features, shown.amax(1).bool()


def test_a_probe_ends_where_logistic_regression_does() -> None:
    """Without decay, of one vector an image: the loss is convex, and scipy finds the same end."""
    features, targets = questions(noise=4)
    features, targets = features.mean(1), targets[:, :1]

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        layer = torch.tensor(parameters, requires_grad=True)
        logits = features.double() @ layer[:6, None] + layer[6]
        value = functional.binary_cross_entropy_with_logits(
            logits, targets.double(), pos_weight=torch.tensor(5.0)
        )
        value.backward()
        assert layer.grad is not None
        return float(value.detach()), layer.grad.numpy()

    least = float(minimize(loss, np.zeros(7), jac=True, method="L-BFGS-B").fun)
    probe = fit_probe(
        features, targets, generator=seeded(), positive_weight=5.0, stops_early=False,
        steps=400, weight_decay=0.0,
    )  # fmt: skip
    found = probe_scores(probe, features, targets)["loss"]
    assert least - 1e-6 < found < least + 1e-3


def test_the_published_probe_is_so_many_full_batches_of_adamw() -> None:
    """Beside a linear layer and a loop; nobody is held out, features are as they are."""
    features, targets = questions(40)
    probe = fit_probe(features, targets, generator=seeded(3), steps=25, **PUBLISHED)
    layer = nn.Linear(6, 6)
    first = (2 * torch.rand(6, 7, generator=seeded(3)) - 1) / 6**0.5
    layer.load_state_dict({"weight": first[:, :6], "bias": first[:, 6]})
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-3, weight_decay=0.01)
    losses: list[float] = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(
            layer(features).amax(1), targets.float(), pos_weight=torch.tensor(14.0)
        )
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert torch.allclose(probe.weight, layer.weight, atol=1e-6)
    assert torch.allclose(probe(features), layer(features).amax(1), atol=1e-5)
    assert probe.fit_losses.tolist() == pytest.approx(losses, rel=1e-5)
    assert probe.best_step == 25 and not len(probe.held_losses)


def test_a_probe_that_stops_early_is_as_good_as_one_of_many_steps() -> None:
    """On other images, in a fraction of the steps: features have very different scales."""
    features, targets = questions(500)
    part = slice(0, 300)
    early = fit_probe(features[part], targets[part], generator=seeded())
    late = fit_probe(features[part], targets[part], generator=seeded(), steps=600, **PUBLISHED)
    scores = [probe_scores(one, features[300:], targets[300:]) for one in (early, late)]
    assert scores[0]["ap/balanced"] > scores[1]["ap/balanced"]
    assert scores[0]["loss"] < scores[1]["loss"]
    assert len(early.fit_losses) < 400


def test_what_cannot_be_learned_is_soon_given_up() -> None:
    """The probe is the one that was best on those that are held out: the first of the order."""
    features, targets = questions()
    targets = targets[torch.randperm(300, generator=seeded(9))]
    probe = fit_probe(features, targets, generator=seeded(), check_every=1, patience=20)
    assert len(probe.fit_losses) <= probe.best_step + 40 < 200
    assert float(probe.fit_losses[-1]) < float(probe.fit_losses[0])
    random = seeded()
    torch.rand(6, 7, generator=random)
    held = torch.randperm(300, generator=random)[:60]
    found = probe_scores(probe, features[held], targets[held])["loss"]
    assert found == pytest.approx(float(probe.held_losses.min()), rel=1e-5)
    assert int(probe.checked[probe.held_losses.argmin()]) == probe.best_step


def test_a_probe_is_a_function_of_its_generator() -> None:
    features, targets = questions(60)
    one, same, other = (
        fit_probe(features, targets, generator=seeded(seed), steps=20) for seed in (0, 0, 1)
    )
    assert torch.equal(one.weight, same.weight) and torch.equal(one.bias, same.bias)
    assert not torch.equal(one.weight, other.weight)


def test_features_of_inference_mode_can_be_learned_from() -> None:
    with torch.inference_mode():
        features, targets = questions(60)
        probe = fit_probe(features, targets, generator=seeded(), steps=10)
        classes = fit_classifier(
            features.mean(1), targets[:, 0].long(), 2, generator=seeded(), steps=10,
            standardizes=False,
        )  # fmt: skip
        assert bool(probe(features).isfinite().all() and classes(features[:, 0]).isfinite().all())


def test_an_image_has_what_the_best_of_its_slots_has() -> None:
    features, targets = questions(60)
    probe = fit_probe(features, targets, generator=seeded(), steps=5)
    by_slot = torch.stack([probe(features[:, slot]) for slot in range(4)])
    assert torch.allclose(probe(features), by_slot.amax(0), atol=1e-6)


def test_features_that_are_constant_but_for_rounding_say_nothing() -> None:
    features, targets = questions(60)
    features = torch.cat([features, 1e4 + 1e-4 * torch.rand(60, 4, 1), torch.zeros(60, 4, 1)], -1)
    probe = fit_probe(features, targets, generator=seeded(), steps=5)
    assert probe.deviation[-2:].tolist() == [1, 1]
    assert bool(probe(features).isfinite().all())


@pytest.mark.parametrize("weight", [1.0, 3.0, 14.0, None])
def test_scores_are_those_of_scikit_learn_with_the_weight_of_the_loss(weight: float | None) -> None:
    """A weight of 14 whatever the loss has, as published numbers have it, is another number."""
    features, targets = questions(80, noise=9)
    probe = fit_probe(features, targets, generator=seeded(), positive_weight=weight, steps=20)
    scores = probe_scores(probe, features, targets)
    used = float((~targets).sum() / targets.sum()) if weight is None else weight
    assert probe.positive_weight == pytest.approx(used)
    logits, truth = probe(features).flatten(), targets.flatten()
    balanced, of_14 = (1 + (times - 1) * truth.double() for times in (used, 14.0))
    expected = average_precision_score(truth, logits, sample_weight=balanced)
    assert scores["ap/balanced"] == pytest.approx(expected, abs=1e-6)
    assert scores["ap/imbalanced"] == pytest.approx(average_precision_score(truth, logits))
    for each in (balanced, of_14, None):
        area = roc_auc_score(truth, logits, sample_weight=each)
        assert scores["auroc"] == pytest.approx(area, abs=1e-6)
    if used != 14:
        wrong = average_precision_score(truth, logits, sample_weight=of_14)
        assert abs(scores["ap/balanced"] - wrong) > 1e-3


def test_slots_are_counted_by_their_mean_and_not_by_their_maximum() -> None:
    """Beside the share of the most frequent count."""
    present = torch.rand(200, 5, generator=seeded(2)) < 0.5
    features = torch.stack([present.float(), torch.ones(200, 5)], -1)
    labels = present.sum(1)
    right, wrong = (
        fit_classifier(features, labels, 6, generator=seeded(), pools=pools, steps=600)
        for pools in ("mean", "max")
    )
    scores = classifier_scores(right, features, labels)
    assert scores["accuracy"] == 1
    assert scores["majority"] == pytest.approx(float(labels.bincount().max()) / 200)
    assert classifier_scores(wrong, features, labels)["accuracy"] < 0.6


def test_the_majority_is_that_of_the_images_which_were_learned_from() -> None:
    labels = torch.tensor([1] * 30 + [0] * 20)
    classifier = fit_classifier(torch.zeros(50, 2), labels, 3, generator=seeded(), steps=5)
    assert classifier.majority == 1
    scores = classifier_scores(classifier, torch.zeros(4, 2), torch.tensor([0, 0, 0, 1]))
    assert scores == {"accuracy": 0.25, "majority": 0.25}


def test_what_cannot_be_fitted_is_refused() -> None:
    features, targets = questions(10)
    with pytest.raises(ValueError, match=r"of 2 or more images, got \(1, 4, 6\)"):
        fit_probe(features[:1], targets[:1], generator=seeded())
    with pytest.raises(ValueError, match="a target for each of 10 images, got 9"):
        fit_classifier(features, targets[:9, 0].long(), 2, generator=seeded())
    with pytest.raises(ValueError, match="held_out must leave some of 10 images .*got 0.01"):
        fit_probe(features, targets, generator=seeded(), held_out=0.01)
    with pytest.raises(ValueError, match="held_out must leave some of 10 images .*got 1"):
        fit_probe(features, targets, generator=seeded(), held_out=1)
    assert isinstance(fit_probe(features, targets, generator=seeded(), held_out=0.9), Probe)
