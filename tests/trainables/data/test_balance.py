"""Examples of equally likely classes: as often as expected, and the same for any workers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.trainables.ssl.pretrained import loaded
from trainables.core.randomness import uniform
from trainables.data.balance import balanced
from trainables.ssl.config import Pretraining, Supervised
from trainables.ssl.experiment import SupervisedExperiment

TAIL: dict[str, Any] = {"data.balanced": True, "data.long_tail.factor": 0.1}


def test_each_class_is_as_likely_and_so_is_each_of_its_examples() -> None:
    """Classes of 5, 1 and 20 examples, one number without any; χ² of each within its 99.9 %."""
    labels = torch.tensor([0] * 5 + [3] + [2] * 20)[torch.randperm(26)]
    found = balanced(labels, uniform(0, "balanced", 1, torch.arange(6000), 2))
    counts = found.bincount(minlength=26).double()
    for number, size in ((0, 5), (3, 1), (2, 20)):
        own = counts[labels == number]
        assert abs(float(own.sum()) - 2000) < 3.3 * (6000 * 2 / 9) ** 0.5
        assert (
            float((own - own.mean()).square().sum() / own.mean())
            < {5: 18.5, 1: 1e-9, 20: 43.9}[size]
        )


def test_the_edges_of_draws_are_the_first_and_the_last() -> None:
    labels, last = torch.tensor([1, 0, 1, 0, 1]), 1 - 2.0**-24
    draws = torch.tensor([[0, 0], [0, last], [last, 0], [last, last]])
    assert balanced(labels, draws).tolist() == [1, 3, 0, 4]


@pytest.mark.parametrize("kind", ["supervised", "pretraining"])
def test_a_batch_is_balanced_and_its_share_is_what_the_whole_has(kind: str) -> None:
    if kind == "supervised":
        experiment = SupervisedExperiment.create(Supervised().with_values(TAIL).to_json())
        experiment.load()
        labels = experiment._data.train.labels
    else:
        named = {name.replace(".", "__"): value for name, value in TAIL.items()}
        experiment = loaded("cross_entropy", **named, data__limit=400)
        labels = experiment.data.train.labels
    whole, places = experiment.taken(3, torch.arange(2000)), torch.tensor([7, 2])
    assert torch.equal(experiment.taken(3, places), whole[places])
    assert not torch.equal(experiment.taken(4, places), whole[places])
    shares = labels[whole].bincount() / 2000
    assert float((shares - 0.1).abs().max()) < 0.03
    assert float((labels.bincount() / len(labels)).max()) > 0.2


def test_batches_as_they_come_are_no_setting() -> None:
    assert "balanced" not in Supervised().canonical().get("data", {})
    assert Supervised().digest() != Supervised().with_values({"data.balanced": True}).digest()


@pytest.mark.parametrize("kind", ["cross_entropy", "focal", "paco", "gpaco", "multi_task"])
def test_uneven_classes_are_corrected_once(kind: str) -> None:
    base: dict[str, Any] = {"method.kind": kind, "views.small.count": 0}
    both = {"data.balanced": True, "method.adjustment": 0.5}
    for one in both:
        Pretraining().with_values({**base, one: both[one]})
    with pytest.raises(ValueError, match="data.balanced must be false where method.adjustment is"):
        Pretraining().with_values({**base, **both})
    Pretraining().with_values({**base, **both, "method.adjustment": 0.0})
