"""Targets: rows worked out by hand, in both orders and with both paddings, and back again."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from trainables.metrics.sets import CATEGORIES, CLEVR_RANGES, average_precision
from trainables.slots.targets import STRETCHED, decode, encode, ranges

FIELDS: dict[str, NDArray[Any]] = {
    "x": np.array([[0.0, 3.0, -1.5, 0.0]], np.float32),
    "y": np.array([[0.0, -3.0, 0.0, 0.0]], np.float32),
    "z": np.array([[0.0, 0.7, 0.35, 0.0]], np.float32),
    "shape": np.array([[0, 2, 3, 0]], np.uint8),
    "size": np.array([[0, 1, 2, 0]], np.uint8),
    "material": np.array([[0, 2, 1, 0]], np.uint8),
    "color": np.array([[0, 8, 1, 0]], np.uint8),
    "visibility": np.array([[True, True, True, False]]),
}
"""A scene with the background, two objects, and room for one more."""

ONE_HOTS = [[0, 1, 0, 1, 0, 0, 1, *[0] * 7, 1], [0, 0, 1, 0, 1, 1, 0, 1, *[0] * 7]]
"""Shape, size, material, color of the two objects."""


def random_fields(scenes: int = 50, objects: int = 10) -> dict[str, NDArray[Any]]:
    """Scenes of 1 … 10 objects."""
    draw = np.random.default_rng(0)
    shape = (scenes, objects + 1)
    there = np.arange(objects + 1) <= draw.integers(1, objects + 1, (scenes, 1))
    fields: dict[str, NDArray[Any]] = {
        name: draw.integers(1, number + 1, shape) * there
        for name, number in zip(CATEGORIES, (3, 2, 2, 8), strict=True)
    }
    fields |= {axis: draw.uniform(-3, 3, shape).astype(np.float32) * there for axis in "xyz"}
    return {**fields, "visibility": there}


def test_categories_come_first_then_coordinates_then_the_flag() -> None:
    rows = encode(FIELDS)
    assert rows.shape == (1, 3, 19) and rows.dtype == np.float32
    assert rows[0, :2, :15].tolist() == ONE_HOTS
    np.testing.assert_allclose(rows[0, 0, 15:], [1.0, 0.0, 3.7 / 6, 1.0], rtol=1e-6)
    np.testing.assert_allclose(rows[0, 1, 15:], [0.25, 0.5, 3.35 / 6, 1.0], rtol=1e-6)


def test_coordinates_come_first_and_shape_behind_material() -> None:
    rows = encode(FIELDS, order="coordinates_first")
    np.testing.assert_allclose(rows[0, 0, :3], [1.0, 0.0, 3.7 / 6], rtol=1e-6)
    assert rows[0, 0, 3:].tolist() == [1, 0, 0, 1, 0, 1, 0, *[0] * 7, 1, 1]


def test_stretched_coordinates_take_z_from_the_height_of_small_to_that_of_large_objects() -> None:
    rows = encode(FIELDS, ranges=STRETCHED)
    np.testing.assert_allclose(rows[0, :2, 17], [1.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(rows[0, :2, 15], [1.0, 0.25], atol=1e-6)


@pytest.mark.parametrize("order", ["categories_first", "coordinates_first"])
def test_padding_is_zeros_or_an_object_at_the_origin_without_properties(
    order: Literal["categories_first", "coordinates_first"],
) -> None:
    zeros = encode(FIELDS, order=order, ranges=STRETCHED)[0, 2]
    normalized = encode(FIELDS, order=order, ranges=STRETCHED, padding="normalized")[0, 2]
    start = 15 if order == "categories_first" else 0
    assert not zeros.any()
    np.testing.assert_allclose(normalized[start : start + 3], [0.5, 0.5, -1.0], rtol=1e-6)
    assert np.count_nonzero(normalized) == 3


def test_what_a_record_holds_beyond_its_objects_is_not_read() -> None:
    foreign = {name: values.copy() for name, values in FIELDS.items()}
    for name in ("x", "y", "z", "shape", "color"):
        foreign[name][0, [0, 3]] = 99
    for padding in ("zeros", "normalized"):
        found, expected = encode(foreign, padding=padding), encode(FIELDS, padding=padding)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("order", ["categories_first", "coordinates_first"])
@pytest.mark.parametrize("limits", [CLEVR_RANGES, STRETCHED, ((-1, 2), (0, 4), (-3, 3))])
def test_decoding_undoes_encoding(
    order: Literal["categories_first", "coordinates_first"],
    limits: tuple[tuple[float, float], tuple[float, float], tuple[float, float]],
) -> None:
    fields = random_fields()
    there = torch.from_numpy(fields["visibility"][:, 1:])
    found = decode(torch.from_numpy(encode(fields, order=order, ranges=limits)), order=order,
                   ranges=limits)  # fmt: skip
    assert torch.equal(found.confidence, there.float())
    for name in CATEGORIES:
        assert torch.equal(found.codes[name][there], torch.from_numpy(fields[name][:, 1:])[there])
    for index, axis in enumerate("xyz"):
        expected = torch.from_numpy(fields[axis][:, 1:])[there]
        torch.testing.assert_close(found.places[..., index][there], expected)


def test_the_largest_score_decides_and_the_first_of_equal_ones() -> None:
    scores = torch.zeros(19)
    scores[[1, 2, 4, 13]] = torch.tensor([0.4, 0.4, 0.1, 0.9])
    found = {name: int(code) for name, code in decode(scores).codes.items()}
    assert found == {"shape": 2, "size": 2, "material": 1, "color": 7}


@pytest.mark.parametrize("padding", ["zeros", "normalized"])
@pytest.mark.parametrize("coordinates", ["clevr6", "stretched", "measured"])
def test_targets_as_predictions_have_an_average_precision_of_one(
    coordinates: Literal["clevr6", "stretched", "measured"],
    padding: Literal["zeros", "normalized"],
) -> None:
    limits = ranges(coordinates, {axis: (-2.9, 2.8) for axis in "xyz"})
    rows = torch.from_numpy(encode(random_fields(), ranges=limits, padding=padding))
    assert average_precision(rows, rows, ranges=limits).tolist() == [1.0] * 5


def test_ranges_are_fixed_or_measured() -> None:
    measured = {"x": [-2.9, 2.8], "y": [-3.0, 3.0], "z": [0.25, 0.7]}
    assert ranges("clevr6", measured) == ((-3, 3),) * 3
    assert ranges("stretched", measured) == ((-3, 3), (-3, 3), (0.35, 0.7))
    assert ranges("measured", measured) == ((-2.9, 2.8), (-3.0, 3.0), (0.25, 0.7))


@pytest.mark.parametrize("z", [{"z": [0.7, 0.7]}, {}])
def test_a_coordinate_that_is_always_the_same_has_no_range(z: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match="'clevr6' or 'stretched' .* differ in no z, .*'measured'"):
        ranges("measured", {"x": [-3, 3], "y": [-3, 3], **z})


@pytest.mark.parametrize(("name", "code", "most"), [("color", 9, 8), ("shape", 0, 3)])
def test_a_category_that_is_none_is_named(name: str, code: int, most: int) -> None:
    wrong = {**FIELDS, name: FIELDS[name].copy()}
    wrong[name][0, 2] = code
    said = f"{name} of an object must be 1 … {most}, got {code} for entity 2 of scene 0"
    with pytest.raises(ValueError, match=said):
        encode(wrong)
