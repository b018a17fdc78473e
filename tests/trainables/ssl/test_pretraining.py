"""Pretraining: what a batch is, what moves and when, and that workers and parts equal a whole."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.trainables.groups import together
from tests.trainables.ssl import precise
from tests.trainables.ssl.pretrained import distilling, loaded, made, moved
from trainables.core import loop
from trainables.core.session import LocalSession
from trainables.layers.projectors import UnitLinear
from trainables.ssl.config import Pretraining
from trainables.ssl.learners import Queueing, Regression
from trainables.ssl.pretraining import PretrainingExperiment
from trainables.ssl.pretraining_task import clip_each
from trainables.ssl.students import Student


def state(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: one.detach().clone() for name, one in module.named_parameters()}


def step(experiment: PretrainingExperiment, number: int, lr: float = 1e-3) -> dict[str, Tensor]:
    """A step of training by hand, with a rate; returns the gradients that were stepped by."""
    experiment.train()
    for one in experiment.parameters():
        one.grad = None
    optimizer = experiment.optimizer(experiment.parameter_groups())
    for group in optimizer.param_groups:
        group["lr"] = lr
    experiment(experiment.batch(number), number).total.backward()
    experiment.after_backward(number)
    found = {n: p.grad.clone() for n, p in experiment.named_parameters() if p.grad is not None}
    optimizer.step()
    experiment.after_update(number)
    return found


@pytest.mark.parametrize("kind", ["dino", "supcon"])
def test_a_share_is_what_the_whole_batch_has_at_its_places(kind: str) -> None:
    experiment, places = loaded(kind), torch.tensor([4, 1])
    whole, part = experiment.batch(2), experiment.share(2, places)
    assert whole.keys() == part.keys() >= {"large_views", "labels", "examples"}
    for name, one in part.items():
        torch.testing.assert_close(one, whole[name][places], rtol=0, atol=1e-6)


def test_views_are_standardised_as_the_images_of_the_split() -> None:
    """A batch of whole images that nothing distorts is what `take` gives."""
    experiment = loaded()
    train, positions = experiment.data.train, torch.tensor([5, 0])
    pixels = experiment._standardised(train.pixels(positions)[:, None])
    torch.testing.assert_close(pixels[:, 0], train.take(positions))


def test_the_teacher_follows_by_the_closed_form_and_is_never_trained() -> None:
    """θ′ = mⁿ·θ′₀ + (1 − mⁿ)·θ behind n steps; that which was thrown away would leave it at θ′₀."""
    experiment = loaded(method__momentum=0.8, method__final_momentum=0.8)
    learner = distilling(experiment)
    moved(learner.student)
    first, student = state(learner.teacher.network), state(learner.student)
    for number in range(1, 6):
        experiment.after_update(number)
    for name, one in learner.teacher.network.named_parameters():
        expected = 0.8**5 * first[name] + (1 - 0.8**5) * student[name]
        torch.testing.assert_close(one, expected, rtol=0, atol=1e-6)
        assert not one.requires_grad and one.grad is None


def test_the_teacher_is_the_student_at_first_and_no_more_behind_a_step() -> None:
    experiment = loaded(method__last_layer_epochs=0)
    learner = distilling(experiment)
    first = state(learner.student)
    assert all(torch.equal(one, first[n]) for n, one in state(learner.teacher.network).items())
    step(experiment, 1)
    own, followed = state(learner.student), state(learner.teacher.network)
    changed = [n for n in own if not torch.equal(own[n], first[n])]
    assert changed == [n for n, one in learner.student.named_parameters() if one.requires_grad]
    for name in changed:
        expected = 0.996 * first[name] + 0.004 * own[name]
        torch.testing.assert_close(followed[name], expected, rtol=0, atol=1e-6)


def test_a_frozen_teacher_stays_where_it_was_drawn() -> None:
    experiment = loaded(method__teacher="frozen", method__last_layer_epochs=0)
    learner = distilling(experiment)
    first = state(learner.teacher.network)
    step(experiment, 1)
    assert all(torch.equal(one, first[n]) for n, one in state(learner.teacher.network).items())
    assert learner.kept is learner.student


@pytest.mark.parametrize(("centre", "left"), [("vector", 0.9**20), ("scalar", 1.0)])
def test_a_vector_absorbs_what_the_teacher_always_says_and_a_scalar_nothing(
    centre: str, left: float
) -> None:
    """An offset of outputs shrinks by 0.9 a step in the targets; of one number it never does."""
    experiment = loaded(method__centre=centre)
    learner = distilling(experiment)
    offset = torch.linspace(-1, 1, 24) * 0.05 + 0.5
    for number in range(1, 21):
        learner.collect(offset.expand(2, 5, 24))
        experiment.after_update(number)
    found = torch.softmax((offset - learner.centre.value) / 0.04, 0)
    torch.testing.assert_close(found, torch.softmax(left * offset / 0.04, 0))


def test_the_last_layer_stands_still_for_its_epochs_and_does_not_decay() -> None:
    """By module: it has no gradient, so that AdamW leaves it alone."""
    experiment = loaded(data__limit=16, method__head__norm_last_layer=False)
    assert experiment.moment(2).epoch == 0 and experiment.moment(3).epoch == 1
    layer = distilling(experiment).student.head.get_submodule("last_layer")
    assert isinstance(layer, UnitLinear)
    first = state(layer)
    for number in (1, 2):
        step(experiment, number)
        assert all(torch.equal(one, first[name]) for name, one in state(layer).items())
    step(experiment, 3)
    assert all(not torch.equal(one, first[name]) for name, one in state(layer).items())


def test_the_teacher_drops_nothing_and_uses_statistics_of_its_batch() -> None:
    values: dict[str, Any] = {
        "model__drop_path": 0.5,
        "model__dropout": 0.3,
        "method__head__batch_norm": True,
    }
    experiment = loaded(**values).train()
    learner, views = distilling(experiment), [experiment.batch(1)["large_views"]]
    assert torch.equal(learner.teacher(views), learner.teacher(views))
    assert not torch.equal(learner.student(views), learner.student(views))
    shifted = [views[0] * 0 + views[0].roll(1, 0)]  # the same batch in another order
    torch.testing.assert_close(learner.teacher(shifted), learner.teacher(views).roll(1, 1))
    with learner.evaluating():
        alone = [one[:1] for one in views]
        whole = learner.teacher(views)
        torch.testing.assert_close(learner.teacher(alone), whole[:, :1])


def test_targets_sharpen_by_the_epoch_and_evaluations_know_how_far() -> None:
    values: dict[str, Any] = {
        "method__first_teacher_temperature": 0.04,
        "method__teacher_temperature": 0.07,
    }
    experiment = loaded(data__limit=16, method__teacher_temperature_epochs=4, **values)
    learner = distilling(experiment)
    assert [learner.temperature_in(epoch) for epoch in range(5)] == pytest.approx(
        [0.04, 0.05, 0.06, 0.07, 0.07]
    )
    experiment.after_update(5)  # of two steps in an epoch
    assert float(learner.teacher_temperature) == pytest.approx(0.06)


def test_simclr_looks_at_no_label_and_supcon_does() -> None:
    for kind, is_changed in (("simclr", False), ("supcon", True)):
        experiment = loaded(kind)
        batch = experiment.batch(1)
        first = experiment(batch, 1).total
        batch["labels"] = (batch["labels"] + torch.arange(8)) % 3
        assert (not torch.equal(experiment(batch, 1).total, first)) == is_changed


def test_views_of_one_side_pass_the_network_as_each_alone() -> None:
    """Position tables are resized for small views; the head sees all in the order of views."""
    experiment = loaded("simclr").eval()
    batch = experiment.batch(1)
    views = [batch["large_views"], batch["small_views"]]
    assert views[0].shape[-1] > views[1].shape[-1]
    student = experiment.learner.student
    found = student(views)
    each = [
        student.head(student.backbone.embed(one[:, v]))
        for one in views
        for v in range(one.shape[1])
    ]
    torch.testing.assert_close(found, torch.stack(each))


def names(experiment: PretrainingExperiment, group: int) -> set[str]:
    paths = {id(one): name for name, one in experiment.named_parameters()}
    return {paths[id(one)] for one in experiment.parameter_groups()[group]["params"]}


@pytest.mark.parametrize("compatibility", ["none", "official"])
def test_tokens_positions_and_prototypes_lose_weight_in_compatibility_alone(
    compatibility: str,
) -> None:
    values: dict[str, Any] = {"training__clip_norm": 0.0, "compatibility": compatibility}
    experiment = loaded(method__head__norm_last_layer=False, **values)
    special = {
        "learner.student.backbone.class_token",
        "learner.student.backbone.positions",
        "learner.student.head.last_layer.gain",
        "learner.student.head.last_layer.direction",
    }
    kept = names(experiment, compatibility == "none")
    assert special <= kept
    assert all("teacher" not in name for name in names(experiment, 0) | names(experiment, 1))
    one_dimensional = {n for n, one in experiment.named_parameters() if one.ndim < 2}
    assert {n for n in one_dimensional if "student" in n} <= names(experiment, 1)


def test_rate_and_decay_are_those_of_the_batch_and_the_step() -> None:
    experiment = loaded(optimizer__lr=0.1, training__batch_size=16, schedule__kind="constant")
    first, last = (experiment.group_settings(number, 50)["main"] for number in (1, 50))
    assert first.learning_rate == pytest.approx(0.1 * 16 / 256 / 6)  # the first of five
    assert last.learning_rate == pytest.approx(0.1 * 16 / 256)
    assert (first.weight_decay, last.weight_decay) == pytest.approx((0.04, 0.4))


def test_compatibility_has_the_first_rate_0_and_the_peak_twice() -> None:
    values: dict[str, Any] = {
        "training__clip_norm": 0.0,
        "schedule__warm_up": 0.25,
        "schedule__floor": 0.1,
    }
    experiment = loaded(compatibility="official", optimizer__scaling="none", **values)
    rates = [experiment.learning_rate(number, 12) / 5e-4 for number in range(1, 13)]
    published = [0, 0.5, 1, 1, 0.973, 0.895, 0.775, 0.628, 0.472, 0.325, 0.205, 0.127]
    assert rates == pytest.approx(published, abs=5e-4)
    last = experiment.group_settings(12, 12)["main"].weight_decay
    assert last == pytest.approx(0.4 - 0.18 * (1 + math.cos(math.pi * 11 / 12)))


def test_each_gradient_is_bounded_by_itself() -> None:
    layer = torch.nn.Linear(3, 2)
    layer.weight.grad, layer.bias.grad = torch.full((2, 3), 2.0), torch.tensor([0.3, 0.4])
    clip_each(layer.parameters(), 1.0)
    long = math.sqrt(24)
    torch.testing.assert_close(layer.weight.grad, torch.full((2, 3), 2 / (long + 1e-6)))
    torch.testing.assert_close(layer.bias.grad, torch.tensor([0.3, 0.4]))


def test_a_run_in_compatibility_bounds_each_gradient() -> None:
    values: dict[str, Any] = {"compatibility": "official", "training__clip_norm": 0.0}
    free = step(loaded(clip_each=0.0, **values), 1)
    bound = step(loaded(clip_each=0.01, **values), 1)
    for name, gradient in free.items():
        factor = min(1.0, 0.01 / (float(gradient.norm()) + 1e-6))
        torch.testing.assert_close(bound[name], factor * gradient)


def test_two_parts_of_a_batch_are_one_to_a_teacher_and_its_centre() -> None:
    """The gradient, and the centre that moves once a step by all of it."""
    plain = precise.PrecisePretraining.read(made(method__last_layer_epochs=0).to_json())
    found: list[dict[str, Tensor]] = []
    for parts in (1, 2):
        config = plain.with_values({"training.num_micro_batches": parts})
        experiment = precise.Precise.create(config.to_json())
        experiment.load()
        experiment.train()
        loop.backward(experiment, experiment.batch(1), 1, torch.device("cpu"))
        experiment.after_update(1)
        learned = [(n, p.grad) for n, p in experiment.named_parameters()]
        gradients = {n: one for n, one in learned if one is not None}
        found.append({**gradients, "centre": distilling(experiment).centre.value})
    for name, one in found[0].items():
        torch.testing.assert_close(found[1][name], one, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["byol", "moco"])
def test_two_parts_of_a_batch_are_one_to_two_views(kind: str) -> None:
    """Gradients, teacher and queue behind two steps; the queue is the same for both parts."""
    values: dict[str, Any] = {"method__head__norm": "none", "method__momentum": 0.9}
    if kind == "byol":
        values |= {"method__predictor__norm": "none"}
    plain = precise.PrecisePretraining.read(made(kind, **values).to_json())
    found: list[dict[str, Tensor]] = []
    for parts in (1, 2):
        config = plain.with_values({"training.num_micro_batches": parts})
        experiment = precise.Precise.create(config.to_json())
        experiment.load()
        experiment.train()
        for number in (1, 2):
            for parameter in experiment.parameters():
                parameter.grad = None
            loop.backward(experiment, experiment.batch(number), number, torch.device("cpu"))
            moved(experiment.learner.student)
            experiment.after_update(number)
        learned = [(f"∂{n}", p.grad) for n, p in experiment.named_parameters()]
        gradients = {n: one for n, one in learned if one is not None}
        assert any(float(one.abs().max()) > 0 for one in gradients.values())
        found.append({**gradients, **experiment.state_dict()})
    assert found[0].keys() == found[1].keys()
    for name, one in found[0].items():
        torch.testing.assert_close(found[1][name], one, rtol=1e-10, atol=1e-10)


def test_byol_is_its_equation() -> None:
    """Σ_v 2 − 2·cos of the prediction of a view and what the teacher says of the other."""
    experiment = loaded("byol").eval()
    learner, batch = experiment.learner, experiment.batch(1)
    assert isinstance(learner, Regression)
    moved(learner.student)
    with learner.evaluating():
        found = experiment(batch, 1).total
        one, other = batch["large_views"][:, :1], batch["large_views"][:, 1:]
        cosines = [
            torch.cosine_similarity(
                learner.predictor(learner.student([a])[0]), learner.teacher([b])[0]
            )
            for a, b in ((one, other), (other, one))
        ]
    torch.testing.assert_close(found, torch.stack([2 - 2 * each for each in cosines]).sum(0).mean())


def test_moco_has_the_keys_of_the_steps_before_for_negatives() -> None:
    """By cross_entropy of torch, with a queue of 10 that has the 8 keys of the first step."""
    experiment = loaded("moco").train()
    learner = experiment.learner
    assert isinstance(learner, Queueing)
    first = experiment.batch(1)
    assert float(experiment(first, 1).total.detach()) == 0
    before = learner.teacher([first["large_views"][:, 1:]])[0]
    experiment.after_update(1)
    batch = experiment.batch(2)
    queries = learner.student([batch["large_views"][:, :1]])[0]
    keys = learner.teacher([batch["large_views"][:, 1:]])[0]
    hit = torch.cosine_similarity(queries, keys)[:, None]
    others = torch.cosine_similarity(queries[:, None], before[None], -1)
    scores = torch.cat([hit, others], 1) / 0.2
    expected = torch.nn.functional.cross_entropy(scores, torch.zeros(8, dtype=torch.int64))
    torch.testing.assert_close(experiment(batch, 2).total, expected)
    assert int(learner.queue.valid.sum()) == 8


WORKERS: dict[str, dict[str, Any]] = {
    "dino": {"method__last_layer_epochs": 0, "method__head__batch_norm": True},
    "supcon": {},
    "byol": {},
    "moco": {"method__head__norm": "batch"},
    "paco": {"method__head__norm": "batch", "method__adjustment": 1.0},
    "gpaco": {"method__head__norm": "batch", "method__label_smoothing": 0.1},
    "multi_task": {"method__class_balance": 0.9},
    "cross_entropy": {"method__adjustment": 1.0, "method__class_balance": 0.9},
    "focal": {},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", WORKERS)
def test_two_workers_equal_one(kind: str, tmp_path: Path) -> None:
    """Centre and teacher, and the negatives, are those of all workers."""
    values: dict[str, Any] = {
        "training__steps": 3,
        "training__num_micro_batches": 2,
        "training__log_every": 1,
    }
    config = made(kind, **values, **WORKERS[kind])
    plain = precise.PrecisePretraining.read(config.to_json()).to_json()
    [one] = together(1, tmp_path / "one", partial(precise.run, plain))
    first, _ = together(2, tmp_path / "two", partial(precise.run, plain))
    assert first["reports"].keys() == one["reports"].keys()
    for number, report in one["reports"].items():
        assert first["reports"][number] == pytest.approx(report, rel=1e-9, abs=1e-10)
    for key, value in one["state"].items():
        torch.testing.assert_close(first["state"][key], value, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", WORKERS)
def test_a_run_resumed_in_the_middle_of_an_epoch_is_the_same_bit_for_bit(
    kind: str, tmp_path: Path
) -> None:
    """Teacher, centre and queue too; the last step is scored, and its epoch is that of the step."""
    values: dict[str, Any] = {
        "training__steps": 6,
        "training__save_every": 1,
        "evaluation__health": 0,
    }
    values |= {"data__long_tail__factor": 0.9, **WORKERS[kind]}
    config = made(kind, **values, training__log_every=1, training__evaluate_every=6)
    states: list[dict[str, Tensor]] = []
    reports: list[Any] = []
    restored = None
    for name in ("whole", "rest"):
        session = LocalSession(tmp_path / name, restored)
        PretrainingExperiment.run(config.to_json(), session)
        states.append(torch.load(session.checkpoints[6], weights_only=True)["model"])
        reports.append({number: session.reports[number] for number in (5, 6)})
        restored = session.checkpoints.get(4)
    assert reports[0] == reports[1] and "val/knn" in reports[0][6]
    assert 6 / 7 <= reports[0][6]["progress/epochs"] <= 1
    for key, value in states[0].items():
        assert torch.equal(states[1][key], value), key
    state = {"dino": "centre.value", "moco": "queue.keys", "paco": "queue.labels"}.get(kind)
    assert state is None or float(states[0][f"learner.{state}"].abs().max()) > 0


def test_the_second_pass_of_sam_leaves_the_centre_alone(tmp_path: Path) -> None:
    """The centre behind a step is that of AdamW, whose first pass is the same."""
    centres: list[Tensor] = []
    for kind, share in (("adamw", 1.0), ("sam", 1.0), ("sam", 0.5)):
        values: dict[str, Any] = {
            "training__steps": 1,
            "evaluation__health": 0,
            "optimizer__kind": kind,
        }
        if share < 1:
            values["optimizer__example_share"] = share
        session = LocalSession(tmp_path / f"{kind} {share}")
        PretrainingExperiment.run(made(**values).to_json(), session)
        saved = torch.load(session.checkpoints[1], weights_only=True)["model"]
        centres.append(saved["learner.centre.value"])
    assert all(torch.equal(one, centres[0]) for one in centres)


@pytest.mark.parametrize("kind", ["dino", "simclr"])
def test_losses_are_in_single_precision_where_networks_are_in_half(kind: str) -> None:
    experiment = loaded(kind)
    batch = experiment.batch(1)
    plain = experiment(batch, 1).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = experiment(batch, 1).total
    assert found.dtype == torch.float32
    assert float(found.detach()) == pytest.approx(float(plain.detach()), rel=0.1)


def test_a_view_that_is_too_small_for_a_network_names_what_makes_it_small() -> None:
    values: dict[str, Any] = {
        "views.size": 32,
        "views.local_crop_input_factor": 2.0,
        "data.name": "cifar10",
    }
    timm = {"model.kind": "timm", "model.name": "convnext_atto"}
    config = Pretraining().with_values({**values, **timm})
    with pytest.raises(ValueError, match="images of 3 × 16 × 16.*local_crop_input_factor makes 16"):
        PretrainingExperiment.create(config.to_json())


def test_the_student_is_what_its_parts_make() -> None:
    experiment = loaded()
    student = experiment.learner.student
    assert isinstance(student, Student) and isinstance(student.backbone.head, torch.nn.Identity)


def test_whole_images_are_seen_as_large_as_views() -> None:
    """Those of digits, 8 pixels, by a network that has learned from views of 16."""
    experiment = loaded("dino", views__size=16, views__local_crop_input_factor=2.0)
    images = experiment.split("val").take(torch.arange(4))
    student = experiment.learner.student.eval()
    larger = functional.interpolate(images, (16, 16), mode="bicubic", antialias=True)
    assert torch.equal(student.embed(images), student.backbone.embed(larger))
    assert torch.equal(student.embed(larger), student.backbone.embed(larger))


@pytest.mark.parametrize(("kind", "share"), [("dino", 0.5), ("paco", 0.6), ("simclr", None)])
def test_parameters_of_a_teacher_are_counted_apart(
    kind: str, share: float | None, tmp_path: Path
) -> None:
    session = LocalSession(tmp_path)
    config = made(kind, training__steps=0, evaluation__health=0)
    PretrainingExperiment.run(config.to_json(), session)
    learner, facts = loaded(kind).learner, session.facts
    number = sum(one.numel() for one in learner.parameters())
    assert facts["parameters"] == number
    if share is None:
        assert "trained_parameters" not in facts
        return
    apart = sum(one.numel() for one in learner.parameters() if one.requires_grad)
    assert facts["trained_parameters"] == apart < share * number + 100
