"""Detectors as experiments: groups of parameters, parts of batches, evaluations."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
import torchvision
from torch import Tensor

from tests.trainables.detr import precise
from tests.trainables.detr.small import SIDE, provide, values
from tests.trainables.groups import together
from trainables.core import loop
from trainables.core.session import LocalSession
from trainables.data.detection.batches import evaluation_batches
from trainables.data.detection.geometry import Resizing
from trainables.detr import building
from trainables.detr.config import Detection
from trainables.detr.experiment import DetectionExperiment
from trainables.detr.losses import set_loss
from trainables.detr.maps import Layers
from trainables.detr.networks import Predictions
from trainables.layers.learned_alpha import LearnedAlpha

CPU = torch.device("cpu")
LEARNED: dict[str, Any] = {"cross.map.kind": "entmax", "cross.map.start": "normal"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    provide(folder)
    return folder


def small(root: Path | None = None, **others: Any) -> DetectionExperiment:
    config = Detection().with_values(
        {**values(Detection()), "training.batch_size": 8, "training.num_micro_batches": 1}
        | ({} if root is None else {"data.root": str(root)})
        | {name.replace("__", "."): value for name, value in others.items()}
    )
    experiment = DetectionExperiment.create(config.to_json())
    if root is not None:
        experiment.load()
    return experiment


def gradients(experiment: DetectionExperiment) -> list[Tensor]:
    return [one.grad for one in experiment.parameters() if one.grad is not None]


def test_each_group_has_its_own_rate_and_alpha_no_decay() -> None:
    experiment = small(**LEARNED)
    groups = {one["name"]: one for one in experiment.parameter_groups()}
    assert {name: one["weight_decay"] for name, one in groups.items()} == {
        "main": 1e-4,
        "backbone": 1e-4,
        "alpha": 0.0,
    }
    raw = [one.raw for one in experiment.modules() if isinstance(one, LearnedAlpha)]
    assert groups["alpha"]["params"] == raw and len(raw) == 2
    counted = sum(len(one["params"]) for one in groups.values())
    assert counted == sum(one.requires_grad for one in experiment.parameters())


def test_alpha_may_decay_as_the_others() -> None:
    groups = small(**LEARNED, alpha__weight_decay=0.1).parameter_groups()
    assert {one["weight_decay"] for one in groups if one["name"] == "alpha"} == {0.1}
    plain, none = small(**LEARNED).config, small(**LEARNED, alpha__weight_decay=0.0).config
    assert plain.digest() == none.digest()
    assert plain.digest() != small(**LEARNED, alpha__weight_decay=0.1).config.digest()


def test_drawn_alphas_of_layers_are_their_own_or_copies_of_the_first() -> None:
    def raw(start: str) -> list[list[float]]:
        settings: dict[str, Any] = {**LEARNED, "cross.map.start": start}
        modules = small(**settings).modules()
        return [one.raw.tolist() for one in modules if isinstance(one, LearnedAlpha)]

    own, copied = raw("normal"), raw("normal_copied")
    assert own[0] != own[1] and copied == [own[0], own[0]]


def test_a_backbone_with_a_rate_of_0_does_not_learn() -> None:
    experiment = small(optimizer__backbone_lr=0.0)
    assert {one["name"] for one in experiment.parameter_groups()} == {"main"}


def test_the_rate_drops_behind_an_epoch_and_that_of_alpha_may_stay(root: Path) -> None:
    experiment = small(root, **LEARNED, schedule__epochs=[2], alpha__follows_schedule=False)
    rates = [experiment.group_settings(step, 9) for step in (2, 3)]  # an epoch is one step
    assert [one["main"].learning_rate for one in rates] == pytest.approx([1e-4, 1e-5])
    assert [one["backbone"].learning_rate for one in rates] == pytest.approx([1e-5, 1e-6])
    assert [one["alpha"].learning_rate for one in rates] == pytest.approx([1e-3, 1e-3])


@pytest.mark.parametrize("kind", ["softmax", "entmax15"])
def test_two_parts_of_a_batch_have_the_gradient_of_the_whole(root: Path, kind: str) -> None:
    settings: dict[str, Any] = {"transformer.dropout": 0.0, "cross.map.kind": kind}
    whole, parts = small(root, **settings), small(root, **settings)
    first = loop.backward(whole.double(), _double(whole.batch(1)), 1, CPU)
    for places in torch.arange(8).split(4):
        share = _double(parts.double().share(1, places))
        loop.backward(parts, share, 1, CPU)
    assert first["loss"].isfinite()
    for own, other in zip(gradients(whole), gradients(parts), strict=True):
        assert torch.allclose(own, other / 2, atol=1e-10)


@pytest.mark.slow
def test_two_workers_equal_one(root: Path, tmp_path: Path) -> None:
    """Pictures differ in size and number of boxes: padding and divisors are of the whole batch."""
    plain = precise.PreciseDetection.read(
        Detection()
        .with_values(
            {
                **values(Detection()),
                "data.root": str(root),
                "transformer.dropout": 0.0,
                "cross.map.kind": "sparsemax",
                "training.steps": 3,
                "training.batch_size": 8,
                "training.num_micro_batches": 2,
                "training.log_every": 1,
            }
        )
        .to_json()
    ).to_json()
    [one] = together(1, tmp_path / "one", partial(precise.run, plain))
    first, _ = together(2, tmp_path / "two", partial(precise.run, plain))
    assert first["reports"].keys() == one["reports"].keys()
    for step, report in one["reports"].items():
        assert first["reports"][step] == pytest.approx(report, rel=1e-9, abs=1e-12, nan_ok=True)
    for key, value in one["state"].items():
        torch.testing.assert_close(first["state"][key], value, rtol=1e-9, atol=1e-12)


def _double(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: one.double() if one.is_floating_point() else one for name, one in batch.items()}


def test_the_measured_loss_is_that_of_all_pictures_as_one_batch(root: Path) -> None:
    experiment = small(root, evaluation__images_at_once=1)
    (validation, *_) = experiment.evaluations()
    experiment.eval()
    with torch.inference_mode():
        found = validation.function(True).values
        split = experiment.measured("val")
        batches = list(evaluation_batches(split, range(len(split)), 1, how=Resizing(48, SIDE)))
        said = [experiment.network(one["images"], one["sizes"]) for one in batches]
    predictions = Predictions(*(torch.cat(parts, 1) for parts in zip(*said, strict=True)))
    counts = torch.cat([one["counts"] for one in batches])
    most = int(counts.max())
    targets = {
        name: torch.cat([pad(one[name], most) for one in batches]) for name in ("boxes", "classes")
    }
    whole = {**targets, "counts": counts, "batch_counts": counts.repeat(len(batches), 1)}
    expected = set_loss(predictions, whole)
    assert found["loss"] == pytest.approx(float(expected.total), rel=1e-5)
    for name, term in expected.terms.items():
        assert found[name] == pytest.approx(float(term), rel=1e-5), name


def pad(targets: Tensor, most: int) -> Tensor:
    """[1, N, …] → [1, most, …]."""
    return torch.cat([targets, targets.new_zeros(1, most, *targets.shape[2:])], 1)[:, :most]


def test_scores_that_are_no_distribution_have_no_sparsity(root: Path) -> None:
    experiment = small(root, **LEARNED, cross__map__form="unused")
    (validation, *_) = experiment.evaluations()
    with torch.inference_mode():
        values = validation.function(False).values
    assert {"loss", "mAP"} <= values.keys()
    of_weights = [name for name in values if not name.endswith("/even")]
    assert not [
        name for name in of_weights if name.startswith(("gini", "zeros", "inside", "padding"))
    ]


@pytest.mark.parametrize("name", ["test_convnext", "test_resnet"])
def test_grids_are_those_of_the_backbone_where_sides_are_no_multiples(
    root: Path, name: str
) -> None:
    experiment = small(root, backbone__name=name, augmentation__evaluated_size=50)
    (validation, *_) = experiment.evaluations()
    with torch.inference_mode():
        assert 0 <= validation.function(False).values["gini"] < 1


def test_a_frozen_pretrained_backbone_is_in_no_checkpoint() -> None:
    settings: dict[str, Any] = {
        "backbone.name": "tf_efficientnet_lite0",
        "backbone.pretrained": True,
        "optimizer.backbone_lr": 0.0,
    }
    if said := Detection().with_values({**values(Detection()), **settings}).missing():
        if "backbone" in said:
            pytest.skip(said)
    first, second = small(**settings), small(**settings)
    state = first.state_dict()
    assert not [name for name in state if "backbone" in name]
    second.load_state_dict(state)
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(first.network.backbone(images), second.network.backbone(images))


def test_a_frozen_resnet_from_a_file_is_in_no_checkpoint_and_goes_on_and_is_evaluated(
    root: Path, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "resnet18.pth")
    settings: dict[str, Any] = {
        "backbone.name": "resnet18",
        "backbone.pretrained": True,
        "backbone.weights_file": str(tmp_path / "resnet18.pth"),
        "optimizer.backbone_lr": 0.0,
        "training.steps": 2,
        "training.save_every": 1,
        "evaluation.pictures": 0,
        "evaluation.images": 2,
    }
    config = small(root, **settings).config
    whole = LocalSession(tmp_path / "whole")
    DetectionExperiment.run(config.to_json(), whole)
    saved: Any = torch.load(whole.checkpoints[1], weights_only=True)["model"]
    assert saved and not [name for name in saved if "backbone" in name]
    rest = LocalSession(tmp_path / "rest", whole.checkpoints[1])
    DetectionExperiment.run(config.to_json(), rest)
    assert rest.reports[2] == whole.reports[2]
    evaluated = LocalSession(tmp_path / "evaluated", whole.checkpoints[2])
    DetectionExperiment.evaluate(config.to_json(), evaluated)
    assert evaluated.reports[2]["val/loss"] == whole.reports[2]["val/loss"]
    frozen, plain = small(**settings), small(**settings, optimizer__backbone_lr=1e-5)
    images = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        expected = plain.network.backbone(images)
        assert torch.equal(frozen.network.backbone(images), expected)


def test_alphas_are_reported_as_they_are(root: Path) -> None:
    experiment = small(root, **LEARNED)
    (alpha,) = (one for one in experiment.evaluations() if one.name == "alpha")
    said = alpha.function(False).values
    modules = [one for one in experiment.modules() if isinstance(one, LearnedAlpha)]
    expected = {
        f"layer_{layer}-head_{head}": float(value)
        for layer, one in enumerate(modules)
        for head, value in enumerate(one.alpha.detach())
    }
    assert said == pytest.approx(expected) and len(said) == 4


@pytest.mark.parametrize(("tied", "number"), [("head", 4), ("layer", 2), ("global", 1)])
def test_alpha_is_tied_as_it_is_declared(tied: str, number: int) -> None:
    experiment = small(**LEARNED, cross__map__tied=tied)
    raw = {id(one): one.raw for one in experiment.modules() if isinstance(one, LearnedAlpha)}
    assert sum(one.numel() for one in raw.values()) == number


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("all", [True] * 5),
        ("last", [False] * 4 + [True]),
        ("first_three", [True] * 3 + [False] * 2),
        ("alternate", [True, False, True, False, True]),
    ],
)
def test_a_map_is_in_the_layers_that_are_declared(layers: str, expected: list[bool]) -> None:
    experiment = small(
        cross__map__kind="sparsemax", cross__layers=layers, transformer__decoder_layers=5
    )
    cross: list[Any] = [one.cross_attention for one in experiment.network.decoder.layers]
    assert [one.simplex is not None for one in cross] == expected


def test_padding_may_be_measured_otherwise_than_it_was_trained(root: Path) -> None:
    sizes: dict[str, Any] = {"augmentation__evaluated_size": 64, "augmentation__longest": 160}
    masked, added = small(root, **sizes), small(root, **sizes, cross__padding="added")
    other = small(root, **sizes, evaluation__padding="added")
    with torch.inference_mode():
        first, second, third = (
            one.eval().evaluations()[0].function(False).values for one in (masked, added, other)
        )
    assert third == second and third["padding"] > first["padding"] == 0
    modes = [one.padding_mode for _, _, one in building.attentions(other.network)]
    assert set(modes) == {"masked"}
    assert masked.config.first_difference(other.config) is None


def test_settings_of_one_run_have_one_digest() -> None:
    def digest(**settings: Any) -> str:
        return small(cross__map__kind="sparsemax", **settings).config.digest()

    whole = digest(transformer__decoder_layers=3)
    assert digest(transformer__decoder_layers=3, cross__layers="first_three") == whole
    assert digest(transformer__decoder_layers=3, cross__layers="alternate") != whole
    assert digest(cross__layers="last") != digest()
    alone = {"transformer__decoder_layers": 1}
    assert len({digest(**alone, cross__layers=one) for one in get_args(Layers)}) == 1
    assert digest(evaluation__padding="masked") == digest() != digest(evaluation__padding="added")
    assert digest(encoder_self__map__kind="sparsemax", encoder_self__layers="last") == digest(
        encoder_self__map__kind="sparsemax"
    )


def test_pictures_are_finished_only_where_it_is_asked_for(root: Path) -> None:
    plain = small(root).batch(1)
    none = small(root, augmentation__most_padding=5, augmentation__erased_range=[0.5, 0.6])
    assert none.config.digest() == small(root).config.digest()
    assert torch.equal(none.batch(1)["images"], plain["images"])
    cut = {"augmentation__centre_crop_rate": 1.0, "augmentation__centre_crop_sides": [16, 24]}
    found = small(root, **cut).batch(1)
    assert found["images"].shape[2:] == (16, 24) and small(root, **cut).config != none.config
    assert found["counts"].sum() < plain["counts"].sum()
