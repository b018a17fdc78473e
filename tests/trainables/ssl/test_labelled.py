"""Methods that see labels: their equations with their own parts, and what they score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.trainables.ssl import precise
from tests.trainables.ssl.pretrained import distilling, loaded, made, moved
from trainables.core import loop
from trainables.core.session import LocalSession
from trainables.losses.classification import class_balanced_weights, focal
from trainables.losses.parametric import Candidates, multi_task, parametric_contrast
from trainables.ssl.config import Pretraining
from trainables.ssl.labelled import (
    Classifying,
    DistillationWithLabels,
    OfOneNetwork,
    OfTwoNetworks,
)
from trainables.ssl.pretraining import PretrainingExperiment

TAIL: dict[str, Any] = {"data__limit": 400, "data__long_tail__factor": 0.3}


def counts_of(experiment: PretrainingExperiment) -> Tensor:
    """By hand: how often each class is trained on."""
    return torch.tensor([int((experiment.data.train.labels == c).sum()) for c in range(10)])


def logits_of(experiment: PretrainingExperiment, batch: dict[str, Tensor]) -> Tensor:
    """[V, B, 10] of all views, each alone."""
    learner = experiment.learner
    assert isinstance(learner, Classifying | OfOneNetwork | OfTwoNetworks)
    views = [batch[name] for name in ("large_views", "small_views") if name in batch]
    each = [learner.student.backbone.embed(one[:, v]) for one in views for v in range(one.shape[1])]
    linear = learner.classifier
    return torch.stack([functional.linear(one, linear.weight, linear.bias) for one in each])


@pytest.mark.parametrize("share", ["all", "others"])
def test_cross_entropy_is_torchs_over_all_views(share: str) -> None:
    """Adjusted, weighed, smoothed; of ε for the others a share of C/(C − 1) is ε for all."""
    values: dict[str, Any] = {"method__adjustment": 0.7, "method__class_balance": 0.99}
    smooth: dict[str, Any] = {"method__label_smoothing": 0.1, "method__smoothing_share": share}
    experiment = loaded("cross_entropy", **TAIL, **values, **smooth).eval()
    batch, counts = experiment.batch(1), counts_of(experiment)
    assert counts.max() > 3 * counts.min()
    logits = logits_of(experiment, batch) + 0.7 * (counts / counts.sum()).log()
    assert len(logits) == 4
    epsilon = 0.1 if share == "all" else 0.1 * 10 / 9
    each = [
        functional.cross_entropy(one, batch["labels"], label_smoothing=0, reduction="none")
        for one in logits
    ]
    weights = class_balanced_weights(counts, 0.99).float()
    own, spread = weights[batch["labels"]], -torch.log_softmax(logits, -1)
    # A weight is that of the class of each term, of the share that is spread too.
    expected = (1 - epsilon) * (own * torch.stack(each)) + epsilon * (weights * spread).mean(-1)
    found = experiment(batch, 1)
    torch.testing.assert_close(found.total, expected.mean())
    torch.testing.assert_close(found.each, expected.mean(0))
    right = (logits_of(experiment, batch).argmax(-1) == batch["labels"]).float().mean()
    assert float(found.terms["accuracy"]) == pytest.approx(float(right))


def test_the_focal_loss_is_its_formula_over_all_views() -> None:
    experiment = loaded("focal", **TAIL, method__gamma=1.5, method__class_balance=1.0).eval()
    batch, counts = experiment.batch(1), counts_of(experiment)
    share = torch.softmax(logits_of(experiment, batch), -1)[..., range(8), batch["labels"]]
    inverse = (1 / counts) * 10 / (1 / counts).sum()
    expected = -inverse[batch["labels"]] * (1 - share) ** 1.5 * share.log()
    torch.testing.assert_close(experiment(batch, 1).total, expected.mean())


def test_a_focal_loss_without_gamma_is_the_cross_entropy() -> None:
    plain, without = loaded("cross_entropy"), loaded("focal", method__gamma=0.0)
    batch = plain.batch(1)
    torch.testing.assert_close(without(batch, 1).total, plain(batch, 1).total, rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["paco", "gpaco", "multi_task"])
def test_a_contrast_has_the_keys_of_the_step_before_with_their_labels(kind: str) -> None:
    """The second step by the loss alone, of rows that are put together here."""
    experiment = loaded(kind, **TAIL, method__adjustment=1.0, method__alpha=0.2)
    learner, rows = experiment.learner, 8
    assert isinstance(learner, OfOneNetwork | OfTwoNetworks) and learner.queue is not None

    def projected(batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        views = [batch["large_views"][:, v : v + 1] for v in range(2)]
        second = learner.teacher if isinstance(learner, OfTwoNetworks) else learner.student
        return learner.student([views[0]])[0], second([views[1]])[0]

    former = experiment.batch(1)
    old = functional.normalize(projected(former)[1].detach(), dim=-1)
    experiment(former, 1)
    experiment.after_update(1)
    batch = experiment.batch(2)
    logits = logits_of(experiment, batch)
    anchors = logits[0] if kind == "paco" else logits.flatten(0, 1)
    keys, labels = torch.zeros(10, 6), torch.zeros(10, dtype=torch.int64)
    keys[:rows], labels[:rows] = old, former["labels"]
    queue = Candidates(keys, labels, torch.arange(10) < rows)
    given: dict[str, Any] = {"temperature": 0.05, "alpha": 0.2, "counts": counts_of(experiment)}
    loss: Any = multi_task if kind == "multi_task" else parametric_contrast
    both = batch["labels"].repeat(2)
    expected = loss(torch.cat(projected(batch)), both, anchors, queue, **given)
    torch.testing.assert_close(experiment(batch, 2).total, expected)
    experiment.after_update(2)
    assert bool(learner.queue.valid.all())


def test_paco_without_views_is_the_cross_entropy_of_its_classifier() -> None:
    values: dict[str, Any] = {"method__alpha": 0.0, "method__gamma": 0.0}
    experiment = loaded("paco", **values)
    batch = experiment.batch(1)
    logits = logits_of(experiment, batch)[0]
    expected = functional.cross_entropy(logits, batch["labels"])
    torch.testing.assert_close(experiment(batch, 1).total, expected)


def test_dino_with_a_focal_term_is_the_sum_of_both() -> None:
    plain = loaded(method__last_layer_epochs=0)
    both = loaded(method__last_layer_epochs=0, method__focal__weight=0.3, method__focal__gamma=1.0)
    learner, batch = both.learner, plain.batch(1)
    assert isinstance(learner, DistillationWithLabels)
    seen = [
        learner.classifier(learner.student.backbone.embed(batch["large_views"][:, v]))
        for v in range(2)
    ]
    term = torch.stack([focal(one, batch["labels"], gamma=1.0) for one in seen]).mean()
    found = both(batch, 1)
    torch.testing.assert_close(found.total, plain(batch, 1).total + 0.3 * term)
    torch.testing.assert_close(found.terms["focal"], term)


def test_a_focal_term_of_weight_0_is_not_there() -> None:
    none = made(method__focal__weight=0.0, method__focal__gamma=5.0)
    assert none.digest() == made().digest() and "focal" not in none.canonical()["method"]
    assert not made().method.sees_labels and made(method__focal__weight=0.1).method.sees_labels
    assert not hasattr(distilling(loaded()), "classifier")


PARTS: dict[str, dict[str, Any]] = {
    "cross_entropy": {"method__class_balance": 0.9, "method__adjustment": 1.0},
    "focal": {},
    "dino": {"method__focal__weight": 0.5, "method__last_layer_epochs": 0},
    "paco": {"method__momentum": 0.9},
    "gpaco": {},
    "multi_task": {},
}


@pytest.mark.parametrize("kind", PARTS)
def test_two_parts_of_a_batch_are_one(kind: str) -> None:
    """Gradients where images are not compared with one another; the queue behind two steps."""
    plain = precise.PrecisePretraining.read(made(kind, **PARTS[kind]).to_json())
    found: list[dict[str, Tensor]] = []
    for parts in (1, 2):
        config = plain.with_values({"training.num_micro_batches": parts})
        experiment = precise.Precise.create(config.to_json())
        experiment.load()
        experiment.train()
        for number in (1, 2):
            loop.backward(experiment, experiment.batch(number), number, torch.device("cpu"))
            moved(experiment.learner.student)
            experiment.after_update(number)
        learned = [(f"∂{n}", p.grad) for n, p in experiment.named_parameters()]
        gradients = {n: one for n, one in learned if one is not None}
        assert any(float(one.abs().max()) > 0 for one in gradients.values())
        compares = experiment.config.method.compares_images
        found.append(({} if compares else gradients) | experiment.state_dict())
    assert ("learner.queue.labels" in found[0]) == made(kind).method.compares_images
    for name, one in found[0].items():
        torch.testing.assert_close(found[1][name], one, rtol=1e-10, atol=1e-10)


def test_a_classifier_is_scored_beside_neighbours(tmp_path: Path) -> None:
    """Accuracy and recall by hand; majority stands beside them."""
    config = made("cross_entropy", **TAIL, training__steps=1, optimizer__lr=0.1)
    session = LocalSession(tmp_path)
    PretrainingExperiment.run(config.to_json(), session)
    said = session.reports[1]
    experiment = PretrainingExperiment.create(config.to_json())
    experiment.load()
    state = torch.load(session.checkpoints[1], weights_only=True)["model"]
    experiment.load_state_dict(state)
    val, learner = experiment.data.val, experiment.eval().learner
    logits = learner.classes_of(val.take(torch.arange(len(val))))
    assert logits is not None
    is_right = logits.argmax(1) == val.labels
    assert said["val/accuracy"] == pytest.approx(float(is_right.float().mean()))
    assert said["val/accuracy_low"] < said["val/accuracy"] < said["val/accuracy_high"]
    recall = [float(is_right[val.labels == c].float().mean()) for c in range(10)]
    assert [said[f"val/recall/{c}"] for c in range(10)] == pytest.approx(recall)
    assert said["val/recall"] == pytest.approx(sum(recall) / 10)
    counts = counts_of(experiment)
    few = [recall[c] for c in range(10) if counts[c] < 20]
    assert 0 < len(few) < 10 and said["val/recall_few"] == pytest.approx(sum(few) / len(few))
    rows: Any = session.facts["reference/val"]
    assert rows["majority"]["accuracy"] == rows["majority"]["knn"]
    assert {"accuracy", "recall_few"} <= rows["untrained"].keys() and session.facts["sees_labels"]


@pytest.mark.parametrize("kind", ["gpaco", "cross_entropy"])
def test_one_batch_is_named_right_by_heart(kind: str) -> None:
    soft = {"method__temperature": 0.5} if kind == "gpaco" else {}
    experiment = loaded(kind, model__width=16, views__small__count=0, **soft)
    batch = experiment.batch(1)
    learned = [one for one in experiment.parameters() if one.requires_grad]
    optimizer = torch.optim.Adam(learned, 1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        experiment(batch, 1).total.backward()
        optimizer.step()
    assert float(experiment(batch, 1).terms["accuracy"]) > 0.8


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("cross_entropy", {"method__smoothing_share": "others"}, {}),
        (
            "gpaco",
            {"method__beta": 0.0, "method__label_smoothing": 0.1},
            {"method__beta": 0.0},
        ),
        (
            "paco",
            {"method__alpha": 0.0, "method__gamma": 0.0, "method__queue": 3},
            {"method__alpha": 0.0, "method__gamma": 0.0},
        ),
    ],
)
def test_a_setting_without_effect_is_void(
    kind: str, one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert made(kind, **one).digest() == made(kind, **other).digest()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"method.alpha": 0.0, "method.beta": 0.0}, "method.alpha must be above 0 where beta is 0"),
        ({"method.class_balance": 0.5}, "class_balance"),
        ({"method.queue": -1}, "method.queue must be .* equal to 0, got -1"),
    ],
)
def test_what_does_not_fit_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises((ValueError, LookupError), match=sentence):
        made("paco").with_values(values)


@pytest.mark.parametrize("kind", ["paco", "gpaco", "multi_task"])
def test_two_large_views_are_compared(kind: str) -> None:
    with pytest.raises(ValueError, match=f"views.small.count must be 0 with method.kind '{kind}'"):
        Pretraining().with_values({"method.kind": kind})


@pytest.mark.parametrize(
    ("kind", "metric", "sentence"),
    [
        ("supcon", "val/accuracy", "needs a classifier, which method.kind 'supcon' does not give"),
        ("dino", "test/recall/3", "or dino with method.focal.weight above 0"),
        ("supcon", "train/accuracy", None),
        ("focal", "val/recall/3", None),
        ("gpaco", "val/recall_few", None),
        ("paco", "val/teacher/knn", None),
        ("gpaco", "val/teacher/knn", "take dino, byol, moco or paco"),
    ],
)
def test_what_no_run_reports_is_said(kind: str, metric: str, sentence: str | None) -> None:
    said = made(kind).unreported(metric)
    assert said is None if sentence is None else sentence in str(said)


def test_a_class_without_images_is_refused_before_a_step() -> None:
    experiment = loaded("cross_entropy")
    counts = torch.ones(10, dtype=torch.int64).index_fill(0, torch.tensor([4]), 0)
    with pytest.raises(ValueError, match="training image of each class for a classifier.*class 4"):
        experiment.learner.prepare(counts)
