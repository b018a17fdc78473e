"""What the configurations of the family refuse, leave out of their digest, and find missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trainables.settings.scenes import Scenes
from trainables.slots.config import Dinosaur, Discovery, SetPrediction
from trainables.slots.parts import Evaluations, Setting, SlotExperiment, Slots, Weights

SIZES = {"image_size": 16, "crop": "none", "interpolation": "nearest"}


@pytest.mark.parametrize(
    ("config", "values", "words"),
    [
        (Discovery, {"data.min_objects": 7}, "data.max_objects must be at least min_objects .7.*6"),
        (Discovery, {"slots.least_slots": 8}, "slots.least_slots must be at most num_slots .7.*8"),
        (Discovery, {"slots.heads": 3}, "slots.heads must divide common_width .64., got 3"),
        (
            Discovery,
            {"slots.normalization": "batch_norm", "slots.own_statistics": 4},
            "slots.own_statistics must be at most iterations .3., got 4",
        ),
        (Discovery, {"data.image_size": 35}, "decoder.doublings must leave a whole side.* got 4"),
        (Discovery, {"encoder.halvings": 4}, "encoder.halvings must be below layers .4., got 4"),
        (
            Discovery,
            {"slots.prior": "learned"},
            "evaluation.more.num_slots must be 7, as in training, or null .*, got 11",
        ),
        (Discovery, {"weights.reconstruction": [[5, 1.0], [5, 0.0]]}, "rising steps, got .5, 5."),
        (Discovery, {"weights.reconstruction": []}, "weights.reconstruction must be knots"),
        (Discovery, {"data.crop": "whole"}, "data.crop must be none, .* squares, got 'whole'"),
        (Dinosaur, {"augmentation.flips": True}, "features.store must be 'live' .*, got 'int8'"),
        (
            Dinosaur,
            {"decoder.kind": "slot_mixer", "decoder.heads": 3},
            "decoder.heads must divide slots.width .128., got 3",
        ),
        (SetPrediction, {"data.name": "movi_c"}, "data.name must be 'clevr' or .*, got 'movi_c'"),
    ],
)
def test_what_cannot_be_is_refused_by_its_path(
    config: type[SlotExperiment], values: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        config().with_values(values)


@pytest.mark.parametrize(
    "values",
    [
        {"data.min_objects": 6},
        {"slots.least_slots": 7},
        {"slots.normalization": "batch_norm", "slots.own_statistics": 3},
        {"data.image_size": 48},
        {"data.image_size": 35, "decoder.kind": "stationary"},
        {"slots.prior": "learned", "evaluation.more.num_slots": 7},
        {"weights.reconstruction": [[0, 0.0], [5, 1.0]]},
    ],
)
def test_the_edge_of_each_rule_is_allowed(values: dict[str, Any]) -> None:
    config = Discovery().with_values(values)
    assert Discovery.read(config.to_json()) == config


@pytest.mark.parametrize(
    "values",
    [
        {"slots.constant_factor": 2.0},
        {"slots.momentum": 0.5},
        {"slots.trains_prior": True},
        {"data.root": "/elsewhere"},
        {"data.frames": 9},
        {"evaluation.pictures": 0},
        {"training.seed": 3},
    ],
)
def test_what_changes_nothing_does_not_change_the_digest(values: dict[str, Any]) -> None:
    assert Discovery().with_values(values).digest() == Discovery().digest()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"slots.normalization": "constant"}, {"slots.constant_factor": 2.0}),
        ({"slots.normalization": "batch_norm"}, {"slots.momentum": 0.5}),
        ({"slots.implicit": "last_step"}, {"slots.trains_prior": True}),
        ({"data.name": "movi_c"}, {"data.frames": 9}),
    ],
)
def test_and_does_where_it_counts(first: dict[str, Any], second: dict[str, Any]) -> None:
    base = Discovery().with_values(first)
    assert base.with_values(second).digest() != base.digest()


def test_other_evaluations_leave_what_was_trained() -> None:
    other = Discovery(evaluation=Evaluations(main=Setting(num_slots=11, rescale="mass")))
    assert Discovery().first_difference(other) is None
    assert Discovery().first_difference(Discovery(slots=Slots(num_slots=8))) == (
        "slots.num_slots",
        7,
        8,
    )


def test_knots_come_back_from_json() -> None:
    weights = Weights(reconstruction=[(0, 0.5), (10, 1.0)])
    assert Weights.read(weights.to_json()) == weights


def test_scenes_that_are_not_there_are_named_with_the_command(tmp_path: Path) -> None:
    scenes = Scenes(name="tetrominoes", made=True, root=str(tmp_path), image_size=28, crop="none")
    said = Discovery(data=scenes.with_values({"image_size": 32})).missing()
    assert said is not None and "raysearch data make tetrominoes" in said


def test_scenes_to_be_measured_on_are_asked_for_too(tmp_path: Path) -> None:
    from tests.trainables.slots import small

    small.provide(tmp_path)
    scenes = Scenes.read({"name": "movi_c", "made": True, "root": str(tmp_path), **SIZES})
    config = Dinosaur(data=scenes).with_values({"features.pretrained": False})
    assert config.missing() is None
    assert config.with_values({"evaluation.other_set": "movi_d"}).missing() is None
    said = config.with_values({"evaluation.other_set": "objects_room_train"}).missing()
    assert said is not None and "objects_room_train" in said
