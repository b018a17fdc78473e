"""Masks of slots: Otsu's threshold beside two others, overlaps beside every matching there is."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from trainables.metrics.label_maps import resized
from trainables.metrics.masks import (
    dilated_masks,
    enlarged,
    entity_masks,
    masks_of,
    matched_to_truth,
    normalized_maps,
    otsu,
    overlap_scores,
)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def many_maps() -> Tensor:
    """Maps of all kinds: uniform, of two heaps, peaked, of few values, constant, far from 0."""
    noise = drawn(6, 8, 400).double()
    heaps = torch.where(drawn(8, 400, seed=1) < 0.3, noise[0] * 0.2, 0.7 + noise[1] * 0.3)
    few = (noise[3] * 4).floor() / 4
    constant = noise[4, :, :1].expand(-1, 400)
    far = 20 + noise[5]
    return torch.stack([noise[0], heaps, (8 * noise[2]).exp(), few, constant, far])


def exhaustive(values: np.ndarray) -> float:
    """Otsu's threshold by its definition, every bin tried."""
    if values.min() == values.max():
        return float(values[0])
    counts, edges = np.histogram(values, 256)
    centres = (edges[1:] + edges[:-1]) / 2
    best, threshold = -1.0, 0.0
    for t in range(255):
        first, second = counts[: t + 1], counts[t + 1 :]
        gap = np.average(centres[: t + 1], weights=first) - np.average(
            centres[t + 1 :], weights=second
        )
        variance = first.sum() * second.sum() * gap**2
        if variance > best * (1 + 1e-9):
            best, threshold = variance, centres[t]
    return float(threshold)


def test_thresholds_are_those_of_the_definition() -> None:
    maps = many_maps()[:, :2]
    expected = [[exhaustive(one.numpy()) for one in kind] for kind in maps]
    torch.testing.assert_close(otsu(maps).tolist(), expected, rtol=1e-14, atol=0)


def test_thresholds_are_those_of_scikit_image() -> None:
    filters: Any = pytest.importorskip("skimage.filters")
    maps = many_maps()
    expected = [[float(filters.threshold_otsu(one.numpy())) for one in kind] for kind in maps]
    assert torch.equal(otsu(maps), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_thresholds_of_other_precisions_are_those_of_the_same_numbers(kind: torch.dtype) -> None:
    maps = drawn(3, 5, 64).to(kind)
    assert torch.equal(otsu(maps), otsu(maps.double()))
    assert torch.equal(otsu(maps[0, 0]), otsu(maps)[0, 0])


def test_many_maps_are_cut_as_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = many_maps().flatten(0, 1)
    whole = otsu(maps)
    monkeypatch.setattr("trainables.metrics.masks._CHUNK", 1000)
    assert torch.equal(otsu(maps), whole)


def test_two_levels_are_told_apart_and_a_constant_map_has_no_mask() -> None:
    maps = torch.tensor([[[[0.1, 0.9], [0.1, 0.1]], [[0.5, 0.5], [0.5, 0.5]]]])
    assert masks_of(maps, "otsu").tolist() == [
        [[[False, True], [False, False]], [[False, False], [False, False]]]
    ]
    assert masks_of(maps, "argmax").tolist() == [
        [[[False, True], [False, False]], [[True, False], [True, True]]]
    ]


def test_masks_are_the_same_of_maps_by_their_range() -> None:
    maps = drawn(2, 3, 8, 8)
    assert torch.equal(masks_of(normalized_maps(maps), "otsu"), masks_of(maps, "otsu"))


def test_there_is_no_other_rule() -> None:
    with pytest.raises(LookupError, match="rule must be one of otsu, argmax, got 'mean'"):
        masks_of(drawn(1, 2, 4, 4), "mean")  # pyright: ignore[reportArgumentType]


def test_maps_fill_their_range_and_constant_ones_are_0() -> None:
    maps = torch.stack([drawn(4, 4) * 3 - 7, torch.full((4, 4), 0.3), torch.zeros(4, 4)])
    scaled = normalized_maps(maps)
    assert scaled.amin((1, 2)).tolist() == [0, 0, 0] and scaled.amax((1, 2)).tolist() == [1, 0, 0]
    assert torch.allclose(scaled[0], (maps[0] - maps[0].min()) / (maps[0].max() - maps[0].min()))


def exhaustive_scores(true: np.ndarray, maps: np.ndarray, masks: np.ndarray) -> dict[str, float]:
    """The scores of an image by all assignments of seen entities [T, M] to slots [S, M]."""
    seen = [entity for entity in range(len(true)) if true[entity].any()]
    tables = {
        "iou": [[_iou(true[t], mask) for mask in masks] for t in seen],
        "dice": [[2 * (true[t] * one).sum() / (true[t].sum() + one.sum()) for one in maps]
                 for t in seen],
    }  # fmt: skip
    found = dict[str, float]()
    for name, table in tables.items():
        rows = [[*row, *[0.0] * (len(seen) - len(maps))] for row in table]
        places = range(len(rows[0]))
        orders = [
            [row[place] for row, place in zip(rows, order, strict=True)]
            for order in permutations(places, len(seen))
        ]
        best = max(orders, key=sum)
        found[f"{name}_with_background"] = float(np.mean(best))
        objects = [value for value, entity in zip(best, seen, strict=True) if entity]
        found[name] = float(np.mean(objects)) if objects else np.nan
    return found


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


@pytest.mark.parametrize("slots", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("entities", [1, 2, 4, 5])
def test_overlaps_are_those_of_the_best_of_all_matchings(entities: int, slots: int) -> None:
    """Some entities have no pixel, and in one image there is no object."""
    labels = (drawn(6, 5, 7) * entities).long()
    labels[0], labels[1][labels[1] == 1] = 0, 0
    maps = drawn(6, slots, 5, 7, seed=1) + 0.5 * (
        labels[:, None] == torch.arange(slots)[:, None, None]
    )
    masks = masks_of(maps, "otsu")
    found = overlap_scores(labels, maps, masks)
    arrays = (entity_masks(labels, entities), maps.double(), masks)
    images = zip(*(one.flatten(2).numpy() for one in arrays), strict=True)
    for number, image in enumerate(images):
        for name, value in exhaustive_scores(*image).items():
            assert float(found[name][number]) == pytest.approx(value, abs=1e-12, nan_ok=True)


def scene() -> Tensor:
    """The labels [1, 8, 8] of two objects before a background."""
    labels = torch.zeros(1, 8, 8, dtype=torch.uint8)
    labels[0, 1:4, 1:4], labels[0, 5:, 4:] = 1, 2
    return labels


def test_right_masks_score_1_in_any_order() -> None:
    masks = entity_masks(scene())[:, [2, 0, 1]]
    scores = overlap_scores(scene(), masks.float(), masks)
    assert all(float(value) == 1 for value in scores.values())


def test_an_object_without_a_slot_counts_0_and_one_without_a_pixel_not_at_all() -> None:
    """Cropped away, it is no object; published numbers count it, and match it with a slot."""
    masks = entity_masks(scene())
    fewer = overlap_scores(scene(), masks[:, :2].float(), masks[:, :2])
    assert float(fewer["iou"]) == 0.5
    assert float(fewer["iou_with_background"]) == pytest.approx(2 / 3)
    gone = overlap_scores(entity_masks(scene(), 11), masks.float(), masks)
    assert float(gone["iou"]) == float(gone["dice_with_background"]) == 1
    over_all_masks = matched_to_truth(torch.cat([torch.eye(3), torch.zeros(8, 3)])[None].double())
    assert float(over_all_masks.mean()) == pytest.approx(3 / 11)


def test_an_image_without_an_object_has_no_score_but_a_background() -> None:
    masks = torch.ones(1, 2, 4, 4, dtype=torch.bool)
    scores = overlap_scores(torch.zeros(1, 4, 4, dtype=torch.int64), masks.float(), masks)
    assert torch.isnan(scores["iou"]) and torch.isnan(scores["dice"])
    assert float(scores["iou_with_background"]) == float(scores["dice_with_background"]) == 1


def test_masks_of_a_slot_without_a_pixel_score_0() -> None:
    nothing = torch.zeros(1, 3, 8, 8)
    scores = overlap_scores(scene(), nothing, nothing.bool())
    assert all(float(value) == 0 for value in scores.values())


def test_maps_of_another_size_are_refused() -> None:
    masks = entity_masks(scene())
    with pytest.raises(ValueError, match=r"maps must be of the size .*\(8, 8\), got \(8, 4\)"):
        overlap_scores(scene(), masks[..., :4].float(), masks)
    with pytest.raises(ValueError, match=r"masks must be of the size .*\(8, 8\), got \(4, 8\)"):
        overlap_scores(scene(), masks.float(), masks[:, :, :4])


def test_dilated_masks_make_a_perfect_segmentation_less_than_perfect() -> None:
    """They hold what picking pixels holds, and a ring around it; right masks do not overlap."""
    labels = scene().long().repeat_interleave(3, 1).repeat_interleave(3, 2)
    right = entity_masks(resized(labels, (32, 32)), 3)
    dilated = dilated_masks(entity_masks(labels, 3), (32, 32))
    assert bool((dilated | ~right).all())
    assert int(right.sum(1).max()) == 1 and int(dilated.sum(1).max()) > 1
    assert float(overlap_scores(right, right.float(), right)["iou"]) == 1
    assert float(overlap_scores(dilated, right.float(), right)["iou"]) < 0.9


def test_maps_are_enlarged_by_repeating_or_between_pixels() -> None:
    maps = torch.tensor([[[[0.0, 1.0]]]])
    assert enlarged(maps, (1, 4), "nearest").flatten().tolist() == [0, 0, 1, 1]
    assert enlarged(maps, (1, 4)).flatten().tolist() == [0, 0.25, 0.75, 1]
