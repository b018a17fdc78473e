"""What configurations of representations allow, and what counts in them."""

from __future__ import annotations

from typing import Any

import pytest

from trainables.osc.config import SECOND_MICRO, Representation, second_generation
from trainables.osc.evaluations import Segmentation
from trainables.osc.objectives import PRESETS, Loss
from trainables.osc.optimization import FLOOR, AdamW, Phases


def test_the_defaults_are_those_of_the_first_generation() -> None:
    config = Representation()
    assert (config.views.size, config.backbone.kind, config.queries.kind) == (128, "vit", "learned")
    assert (config.objects.kind, config.queries.num_slots) == ("slot_attention", 11)
    assert (config.loss.images, config.loss.objects) == ("ctr", "ctr_img")
    assert config.optimizer == AdamW(lr=7e-4, weight_decay=1e-4, decays="all")
    assert config.peak * config.schedule.floor == pytest.approx(3e-4)
    assert (config.training.epochs, config.training.batch_size) == (50, 64)
    assert FLOOR == 3 / 7


def test_the_second_generation_has_its_own_defaults() -> None:
    config = second_generation()
    assert config.views.kind == "turned" and config.small_crops is not None
    assert (config.backbone.kind, config.queries.kind) == ("timm", "normal")
    assert config.objects.positions == "copied" and config.global_function.kind == "attention_pool"
    assert (config.loss.objects, config.loss.small_crops) == ("sim_img", 1.0)
    assert (config.loss.of_slots.variance, config.loss.of_slots.covariance) == (0.5, 0.3)
    assert (config.training.steps, config.training.batch_size) == (10_000, 32)
    assert second_generation(backbone=SECOND_MICRO).backbone == SECOND_MICRO


@pytest.mark.parametrize(
    ("config", "digest"),
    [
        (Representation(), "80874c7e37730c2c"),
        (Representation().with_values({"views.kind": "turned"}), "248a5319d4db3a48"),
        (Representation().with_values({"optimizer.kind": "lars"}), "4195cf4a681de4bb"),
        (second_generation(), "09395c89b74c72a0"),
    ],
)
def test_the_digest_is_the_one_that_was_recorded(config: Representation, digest: str) -> None:
    assert config.digest() == digest


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_weights(name: str) -> None:
    shown = {"equal": (1, 1), "more_global": (1, 0.05), "more_objects": (0.1, 1)}
    expected = {**shown, "zero_objects": (1, 0), "objects_only": (0, 1)}
    assert PRESETS[name] == expected[name]


def test_an_old_name_of_a_loss_is_understood_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="loss.objects 'sim_all' is called 'sim_img'"):
        assert Loss.read({"objects": "sim_all"}) == Loss(objects="sim_img")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"architecture": "global"}, "loss.objects must be 'none' with architecture 'global'"),
        ({"loss.small_crops": 1.0}, "loss.small_crops must be 0 without small crops"),
        ({"loss.objects": "none", "loss.images": "none"}, "loss.images must not be 'none'"),
        ({"backbone.patch_size": 7}, r"backbone.patch_size must divide views.size \(128\), got 7"),
        ({"backbone.heads": 5}, r"backbone.heads must divide width \(64\), got 5"),
        (
            {"objects.heads": 5},
            r"objects.heads must divide backbone.width \(64\), got 5; try 1, 2, 4, 8, 16",
        ),
        (
            {"backbone.kind": "timm", "objects.heads": 5},
            r"objects.heads must divide the width of vit_small_patch8_224.dino \(384\), got 5; try",
        ),
        (
            {
                "backbone.kind": "timm",
                "backbone.name": "swin_tiny_patch4_window7_224",
                "views.size": 224,
                "global_function.kind": "attention_pool",
                "global_function.heads": 7,
            },
            r"global_function.heads must divide the width of swin_tiny\S+ \(768\), got 7; try",
        ),
        ({"global_function.kind": "attention_pool", "backbone.width": 36}, "global_function.heads"),
        ({"views.kind": "frames"}, "views.kind 'frames' needs clips"),
        ({"evaluation.num_slots": 7}, "evaluation.num_slots must be 11, as in training, or null"),
        ({"evaluation.shares_draws": True}, "evaluation.shares_draws must be false with"),
        (
            {"backbone.kind": "timm", "backbone.name": "swin_tiny_patch4_window7_224"},
            "views.size must fit swin_tiny_patch4_window7_224: image_size must fit windows of 7",
        ),
        ({"schedule.hold": 0.8}, r"hold must leave a decay behind warm_up \(0.2\), got 0.8"),
        ({"schedule.decay": "exponential", "schedule.floor": 0.0}, "floor must be above 0"),
        (
            {"objects.kind": "instance_attention", "objects.positions": "none"},
            "positions must be tied, copied or learned",
        ),
        (
            {"queries.kind": "templates", "queries.templates": 4, "queries.instances": 3},
            r"num_slots must be at most templates × instances \(12\), got 16",
        ),
        (
            {"loss.object_weight": 0.0, "loss.global_weight": 0.0},
            "loss.global_weight must be above",
        ),
        (
            {"loss.object_weight": 0.0, "loss.images": "none"},
            "loss.object_weight must be above 0 where nothing else is learned",
        ),
        ({"training.batch_size": 1}, "training.batch_size must be at least 2 × training.num_micro"),
        (
            {"training.batch_size": 4, "training.num_micro_batches": 4},
            r"training.num_micro_batches \(8\), since images are compared, got 4",
        ),
        ({"queries.num_slots": 1}, "queries.num_slots must be at least 2 with loss.objects 'ctr_i"),
        (
            {
                "loss.objects": "ctr_all",
                "loss.of_slots.variance": 1.0,
                "objects.kind": "competitive_attention",
                "objects.max_queries": 1,
            },
            "objects.max_queries must be at least 2 with weights in loss.of_slots, got 1",
        ),
        (
            {"queries.kind": "kmeans", "views.size": 32, "backbone.patch_size": 16},
            "queries.num_slots must be at most the 4 patches of views.size 32 with",
        ),
        (
            {"queries.kind": "kmeans", "evaluation.num_slots": 300},
            "evaluation.num_slots must be at most the 256 patches",
        ),
        (
            {"queries.kind": "templates", "queries.num_slots": 1},
            "queries.num_slots must be at least 2 with queries.has_background",
        ),
        (
            {"queries.kind": "templates", "evaluation.num_slots": 7},
            "evaluation.num_slots must be 16, as in training",
        ),
        (
            {"architecture": "global", "loss.objects": "none", "evaluation.shares_draws": True},
            "evaluation.shares_draws must be false with architecture 'global'",
        ),
        ({"evaluation.scenes": 1}, "evaluation.scenes"),
    ],
)
def test_what_does_not_fit_together_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Representation().with_values(values)


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        ({"architecture": "global", "loss.objects": "none"}, {"queries.num_slots": 5}),
        ({"architecture": "global", "loss.objects": "none"}, {"objects.iterations": 1}),
        (
            {"architecture": "global", "loss.objects": "none"},
            {"evaluation.segmentation.rule": "argmax", "evaluation.num_slots": 5},
        ),
        ({"loss.objects": "none"}, {"loss.object_weight": 0.5}),
        ({"loss.objects": "none"}, {"object_projection.width": 32}),
        ({"loss.objects": "sim_img", "loss.images": "sim"}, {"loss.temperature": 0.5}),
        ({"objects.kind": "cross_attention", "objects.layers": 1}, {"objects.reuses_layers": True}),
        ({}, {"objects.positions_at": "every_iteration"}),
        ({}, {"loss.momentum": 0.5}),
        ({}, {"backbone.drop_path_schedule": "linear"}),
        ({}, {"evaluation.segmentation.halves": False}),
        ({}, {"evaluation.pictures": 1, "training.seed": 3}),
        ({"evaluation.probe.steps": 0}, {"evaluation.probe.neighbours": 3}),
    ],
)
def test_what_changes_nothing_is_void(settings: dict[str, Any], values: dict[str, Any]) -> None:
    config = Representation().with_values(settings)
    assert config.with_values(values).digest() == config.digest()


def test_with_slots_it_counts_how_they_are_measured() -> None:
    config = Representation().with_values({"queries.kind": "sampled"})
    for path, value in {"segmentation.rule": "argmax", "num_slots": 5}.items():
        assert config.with_values({f"evaluation.{path}": value}).digest() != config.digest()


def test_a_rollout_without_residuals_has_no_halves() -> None:
    plain = Segmentation(through_backbone=True, adds_residual=False)
    assert plain.canonical() == plain.with_values({"halves": False}).canonical()
    whole = Segmentation(through_backbone=True)
    assert whole.canonical() != whole.with_values({"halves": False}).canonical()


@pytest.mark.parametrize(
    ("scaling", "batch", "peak"), [("none", 16, 0.1), ("linear", 16, 0.025), ("sqrt", 16, 0.05)]
)
def test_the_rate_follows_the_batch_if_asked(scaling: str, batch: int, peak: float) -> None:
    config = Representation().with_values(
        {"optimizer.lr": 0.1, "optimizer.scaling": scaling, "training.batch_size": batch}
    )
    assert config.peak == pytest.approx(peak)


@pytest.mark.parametrize(
    "values",
    [
        {"loss.objects": "ctr_all", "queries.num_slots": 1},
        {"training.batch_size": 4, "training.num_micro_batches": 2},
        {"queries.kind": "kmeans", "queries.num_slots": 256},
        {"loss.object_weight": 0.0},
        {"backbone.kind": "timm", "objects.heads": 6},
        {"backbone.kind": "timm", "backbone.name": "resnet18", "objects.heads": 5},
        {
            "backbone.kind": "timm",
            "architecture": "global",
            "loss.objects": "none",
            "objects.heads": 5,
        },
    ],
)
def test_what_just_fits_is_allowed(values: dict[str, Any]) -> None:
    assert Representation().with_values(values)


def test_small_crops_that_do_not_count_are_not_made() -> None:
    config = Representation().with_values({"views.kind": "turned", "loss.objects": "ctr_img"})
    assert config.small_crops is None
    assert config.with_values({"loss.small_crops": 1.0}).small_crops is not None


def test_a_schedule_without_warm_up_has_no_first_rate() -> None:
    assert Phases(warm_up=0.0).void() == {"first", "hold"}
