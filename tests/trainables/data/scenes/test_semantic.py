"""Classes of pixels of scenes: beside what is known of each object."""

from __future__ import annotations

import numpy as np
import pytest

from trainables.data.scenes.catalog import SCENE_SETS
from trainables.data.scenes.classes import classes, properties
from trainables.data.scenes.semantic import class_maps
from trainables.data.scenes.store import Scenes, Shards


def scenes(num_background: int) -> Scenes:
    """Nine scenes with three objects, of which the store has so many entities before."""
    draw = np.random.default_rng(0)
    codes = draw.integers(1, 4, (9, num_background + 3), dtype=np.uint8)
    codes[:, :num_background] = 0
    labels = draw.integers(0, 4, (9, 5, 6), dtype=np.uint8)
    images = np.zeros((9, 5, 6, 1), np.uint8)
    counts = np.full(9, 3, np.uint8)
    return Scenes({"shape": codes}, counts, Shards([images]), Shards([labels]), 0)


@pytest.mark.parametrize("num_background", [1, 4])
@pytest.mark.parametrize("by", ["any", "shape"])
def test_pixels_have_the_class_of_their_object(by: str, num_background: int) -> None:
    given, positions = scenes(num_background), np.array([3, 0, 7])
    found = class_maps(given, positions, by, num_background=num_background)
    for maps, labels, position in zip(found, given.labels(positions), positions, strict=True):
        for kind, label in zip(maps.ravel(), labels.ravel(), strict=True):
            place = int(label) + num_background - 1
            code = given.fields["shape"][position, place] if label else 0
            assert kind == (code if by == "shape" else min(label, 1))


def test_labels_that_are_classes_are_taken_as_they_are() -> None:
    given, positions = scenes(1), np.array([2, 8])
    found = class_maps(given, positions, "any", num_background=1, are_classes=True)
    assert np.array_equal(found, given.labels(positions))
    with pytest.raises(LookupError, match="property must be a field of the scenes, got 'color'"):
        class_maps(given, positions, "color", num_background=1)


def test_a_set_with_masks_of_classes_has_these_alone() -> None:
    assert classes(SCENE_SETS["massmind"], "any")[1] == "water"
    assert properties(SCENE_SETS["massmind"]) == ("any",)


def test_properties_are_those_that_the_catalogue_knows() -> None:
    for data_set in SCENE_SETS.values():
        if data_set.has_masks:
            assert set(properties(data_set)) <= {"any", *data_set.properties}


def test_a_property_that_is_not_there_is_refused() -> None:
    with pytest.raises(LookupError, match="classes must be one of any, shape for tetrominoes"):
        classes(SCENE_SETS["tetrominoes"], "color")
    with pytest.raises(LookupError, match="name must be a set with masks, and clevr has none"):
        classes(SCENE_SETS["clevr"], "any")
