"""Records become pixels and labels as their schema says; wrong ones are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.trainables.data.scenes import written
from trainables.data.scenes.formats import SCHEMAS, Piece, scenes
from trainables.data.scenes.frames import Frame


def read(name: str, *given: dict[str, Any], frame: Frame | None = None) -> Piece:
    """Scenes that were parsed: values [N, n]."""
    joined = {key: np.stack([each[key].ravel() for each in given]) for key in given[0]}
    return scenes(SCHEMAS[name], joined, frame or Frame(12))


def stack(name: str, given: dict[str, Any]) -> Any:
    """The masks [E, H, W] of a record."""
    return np.moveaxis(given["mask"], 2, 0) if SCHEMAS[name].mask_is_last else given["mask"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_labels_are_the_largest_mask_with_all_background_as_none(name: str) -> None:
    given = [written.scene(name, seed) for seed in range(3)]
    found, frame = read(name, *given), Frame(12)
    for scene, labels, image in zip(given, found.labels, found.images, strict=True):  # pyright: ignore[reportArgumentType]
        kept = frame.nearest(stack(name, scene).astype(int))
        entity = kept.argmax(0)
        assert np.array_equal(labels, np.maximum(entity - SCHEMAS[name].num_background + 1, 0))
        assert np.array_equal(image, frame.nearest(scene["image"][None])[0])


@pytest.mark.parametrize("name", SCHEMAS)
def test_counts_are_the_visible_objects(name: str) -> None:
    given = [written.scene(name, seed) for seed in range(5)]
    masks = np.stack([stack(name, each).any((1, 2)) for each in given])
    expected = masks[:, SCHEMAS[name].num_background :].sum(1)
    found = read(name, *given).fields
    assert found["counts"].tolist() == expected.tolist() and found["counts"].dtype == np.uint8
    assert np.array_equal(found["visibility"], masks)


def test_fields_keep_their_values_in_the_types_that_are_meant() -> None:
    given = written.scene("tetrominoes", 3)
    fields = read("tetrominoes", given).fields
    types = {name: (values.dtype.str, values.shape) for name, values in fields.items()}
    assert types["shape"] == ("|u1", (1, 4)) and types["color"] == ("<f4", (1, 4, 3))
    assert types["visibility"] == ("|b1", (1, 4)) and types["x"] == ("<f4", (1, 4))
    assert all(
        np.array_equal(fields[name][0], given[name]) for name in given.keys() & fields.keys()
    )


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("clevr_with_masks", (240, 320)),
        ("clevr_with_masks", (80, 107)),
        ("tetrominoes", (35, 35)),
        ("multi_dsprites_binarized", (64, 64)),
    ],
)
def test_the_size_of_a_picture_follows_from_its_length(name: str, size: tuple[int, int]) -> None:
    schema = SCHEMAS[name]
    assert schema.size(size[0] * size[1] * schema.channels) == size


@pytest.mark.parametrize("length", [34 * 35 * 3, 35 * 35, 1, 0])
def test_a_length_of_no_picture_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"'image' must have 3 values .* 1 to 1, got {length} val"):
        SCHEMAS["tetrominoes"].size(length)


@pytest.mark.parametrize(("value", "holders"), [(0, 0), (255, 2)])
def test_a_pixel_of_no_entity_or_of_two_is_refused(value: int, holders: int) -> None:
    given = written.scene("tetrominoes")
    owner = given["mask"][:, 3, 4].argmax()
    given["mask"][owner if value == 0 else (owner + 1) % 4, 3, 4] = value
    with pytest.raises(ValueError, match=f"exactly one .* {holders} hold that in row 3, column 4"):
        read("tetrominoes", given)


def test_a_pixel_that_is_not_kept_may_be_of_none() -> None:
    given = written.scene("tetrominoes")
    given["mask"][:, 1] = 0
    assert len(read("tetrominoes", given, frame=Frame(6))) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mask": np.zeros(7, np.uint8)}, "'mask' that must be of 576 values, got 7"),
        ({"x": np.zeros(5, np.float32)}, "'x' that must be of 4 values, got 5"),
        ({"x": np.zeros(4, np.uint8)}, "'x' that must be a list of floats, and is not"),
        ({"image": np.zeros(432, np.int64)}, "'image' that must be a list of single bytes"),
    ],
)
def test_another_schema_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"has a feature {words}"):
        read("tetrominoes", written.scene("tetrominoes") | change)


def test_a_missing_feature_is_named_with_what_is_there() -> None:
    given = written.scene("objects_room_empty_room")
    with pytest.raises(ValueError, match="has no feature 'x'; there are image, mask"):
        read("tetrominoes", given)
