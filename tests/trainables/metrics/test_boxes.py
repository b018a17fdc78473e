"""Average precision: pycocotools to the last digit, perfect detections, merging, blind boxes."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

from trainables.metrics.boxes import (
    FIGURES,
    DetectionRecords,
    Table,
    Truth,
    average_precision,
    blind_boxes,
)


def made(images: int, seed: int, *, queries: int = 20) -> tuple[Truth, Table]:
    """Objects of four classes, a tenth crowds; half of the detections are near one, scores tie."""
    random = np.random.default_rng(seed)
    owners = np.repeat(np.arange(1, images + 1), random.poisson(5, images))
    count = len(owners)
    sides = np.exp(random.normal(4, 1, (count, 2)))
    boxes = np.concatenate([random.uniform(0, 300, (count, 2)), sides], 1)
    areas = sides.prod(1) * random.uniform(0.5, 1, count)
    classes = random.integers(1, 5, count)
    truth = Truth(owners, classes, boxes, areas, random.random(count) < 0.1)
    found = random.uniform(5, 300, (images, queries, 4))
    names = random.integers(0, 6, (images, queries))
    for image in range(images):
        own = np.flatnonzero(owners == image + 1)
        for query in range(queries // 2 if len(own) else 0):
            like = random.choice(own)
            found[image, query] = boxes[like] * (1 + random.normal(0, 0.1, 4))
            names[image, query] = classes[like]
    scores = random.integers(1, 30, (images, queries)) / 30
    return truth, Table(np.arange(1, images + 1), scores, names, found)


def by_pycocotools(truth: Truth, found: Table, areas: tuple[float, float]) -> COCOeval:
    annotations = [
        {
            "id": number + 1,
            "image_id": int(owner),
            "category_id": int(name),
            "bbox": box.tolist(),
            "area": float(area),
            "iscrowd": int(crowd),
        }
        for number, (owner, name, box, area, crowd) in enumerate(zip(*truth, strict=True))
    ]
    results: list[dict[str, Any]] = [
        {"image_id": int(image), "category_id": int(name), "bbox": box.tolist(), "score": score}
        for image, *rows in zip(*found, strict=True)
        for score, name, box in zip(*rows, strict=True)
    ]
    kinds = [{"id": int(name)} for name in np.unique(truth.classes)]
    images = [{"id": int(image)} for image in found.image_ids]
    with contextlib.redirect_stdout(io.StringIO()):
        coco: Any = COCO()
        coco.dataset = {
            "info": {},
            "images": images,
            "annotations": annotations,
            "categories": kinds,
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        small, medium = areas
        evaluation.params.areaRng = [[0, 1e10], [0, small], [small, medium], [medium, 1e10]]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.mark.parametrize("areas", [(32.0**2, 96.0**2), (40.0**2, 60.0**2)])
@pytest.mark.parametrize("seed", [0, 1])
def test_figures_are_those_of_pycocotools_to_the_last_digit(
    seed: int, areas: tuple[float, float], capsys: pytest.CaptureFixture[str]
) -> None:
    truth, found = made(25, seed)
    mine, theirs = average_precision(truth, found, areas=areas), by_pycocotools(truth, found, areas)
    assert capsys.readouterr().out == ""
    assert list(mine.figures.values()) == theirs.stats.tolist()
    precision = theirs.eval["precision"][..., -1]
    assert np.array_equal(np.where(np.isnan(mine.precision), -1, mine.precision), precision)


def test_more_detections_of_a_class_than_count_are_left_out_as_in_pycocotools() -> None:
    truth, found = made(3, 2, queries=260)
    found = found._replace(classes=np.where(found.classes > 2, 1, found.classes))
    mine, theirs = average_precision(truth, found), by_pycocotools(truth, found, (1024.0, 9216.0))
    assert list(mine.figures.values()) == theirs.stats.tolist()


def perfect(truth: Truth, images: int) -> Table:
    most = int(np.bincount(truth.image_ids).max())
    scores, names = np.zeros((images, most)), np.zeros((images, most), dtype=int)
    boxes = np.zeros((images, most, 4))
    for image in range(images):
        own = truth.image_ids == image + 1
        places = slice(0, int(own.sum()))
        scores[image, places], names[image, places] = 0.9, truth.classes[own]
        boxes[image, places] = truth.boxes[own]
    return Table(np.arange(1, images + 1), scores, names, boxes)


def test_perfect_detections_have_an_average_precision_of_1() -> None:
    truth, _ = made(12, 3)
    scores = average_precision(truth, perfect(truth, 12))
    reached = [scores.figures[name] for name in FIGURES if name not in ("AR1", "AR10")]
    assert reached == pytest.approx([1.0] * 10)
    assert all(one["AP"] == pytest.approx(1) for one in scores.by_class.values())


def test_map_is_the_mean_of_classes_and_thresholds_and_ap50_its_first() -> None:
    truth, found = made(25, 0)
    scores = average_precision(truth, found)
    assert scores.figures["mAP"] < scores.figures["AP50"]
    assert scores.figures["AP50"] == pytest.approx(np.mean(scores.precision[0, :, :, 0]))
    for name in ("AP", "AP50", "AP75"):
        mean = np.mean([one[name] for one in scores.by_class.values()])
        assert mean == pytest.approx(scores.figures["mAP" if name == "AP" else name])


def test_what_is_found_on_a_crowd_is_neither_right_nor_wrong() -> None:
    boxes = np.array([[0.0, 0, 50, 50], [100, 100, 100, 100]])
    ones = np.ones(2, dtype=int)
    truth = Truth(ones, ones, boxes, np.array([2500.0, 1e4]), np.array([False, True]))
    inside = np.array([[[0.0, 0, 50, 50], [120, 120, 20, 20], [150, 150, 20, 20]]])
    found = Table(np.array([1]), np.array([[0.5, 0.9, 0.8]]), np.ones((1, 3), dtype=int), inside)
    assert average_precision(truth, found).figures["mAP"] == pytest.approx(1.0)
    alone = Truth(*(one[:1] for one in truth))
    assert average_precision(alone, found).figures["mAP"] == pytest.approx(1 / 3)


def test_where_nothing_is_to_be_found_there_is_no_figure() -> None:
    truth, found = made(4, 0)
    nothing = Truth(*(one[:0] for one in truth))
    assert all(np.isnan(one) for one in average_precision(nothing, found).figures.values())
    assert average_precision(nothing, found).by_class == {}


def collected(found: Table, *batches: slice) -> DetectionRecords:
    records = DetectionRecords()
    for images in batches:
        ids, scores, names, boxes = (torch.from_numpy(one[images]) for one in found)
        records.add(
            ids, scores, names, torch.cat([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], -1)
        )
    return records


def test_images_that_came_twice_count_once() -> None:
    truth, found = made(9, 4)
    table = collected(found, slice(0, 5), slice(3, 9)).table()
    assert table.image_ids.tolist() == found.image_ids.tolist()
    whole, again = average_precision(truth, found), average_precision(truth, table)
    assert again.figures == pytest.approx(whole.figures)


def test_images_that_were_not_looked_at_do_not_count() -> None:
    truth, _ = made(12, 3)
    some = Table(*(one[:5] for one in perfect(truth, 12)))
    assert average_precision(truth, some).figures["mAP"] == pytest.approx(1.0)


@pytest.mark.parametrize("areas", [(0.0, 5.0), (5.0, 5.0), (5.0, 1e10)])
def test_areas_that_do_not_rise_are_refused(areas: tuple[float, float]) -> None:
    with pytest.raises(
        ValueError, match="areas must be two numbers above 0 and below 1e.10 that rise"
    ):
        average_precision(*made(2, 0), areas=areas)


def test_without_any_detections_there_is_no_table() -> None:
    with pytest.raises(ValueError, match="at least one image, got none"):
        DetectionRecords().table()


def test_blind_boxes_are_the_means_of_the_smaller_and_of_the_larger_ones() -> None:
    sides = torch.tensor([0.1, 0.5, 0.2, 0.6, 0.3])
    boxes = torch.stack([torch.full((5,), 0.5), torch.full((5,), 0.4), sides, sides], 1)
    scores, classes, found = blind_boxes(boxes, torch.tensor([1, 1, 1, 1, 7]), 4, scales=2)
    assert classes.tolist() == [1, 1, 7]
    torch.testing.assert_close(scores, torch.tensor([0.5, 0.5, 0.25]))
    expected = [[0.5, 0.4, side, side] for side in (0.15, 0.55, 0.3)]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_no_more_blind_boxes_than_asked_for_the_most_frequent_first() -> None:
    boxes, classes = torch.rand(30, 4), torch.tensor([3] * 10 + [5] * 20)
    scores, names, found = blind_boxes(boxes, classes, 15, scales=2, most=3)
    assert names.tolist() == [5, 5, 3] and len(found) == 3
    expected: Tensor = torch.tensor([10 / 15, 10 / 15, 5 / 15])
    torch.testing.assert_close(scores, expected)


def test_without_boxes_nothing_is_found_blindly() -> None:
    scores, names, found = blind_boxes(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), 3)
    assert scores.shape == names.shape == (0,) and found.shape == (0, 4)
    truth, _ = made(3, 0)
    records = DetectionRecords()
    records.add(
        torch.arange(1, 4), *(one[None].expand(3, *one.shape) for one in (scores, names, found))
    )
    assert average_precision(truth, records.table()).figures["mAP"] == 0
