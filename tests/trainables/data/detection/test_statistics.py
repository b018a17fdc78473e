"""What is counted of a split is what one counts picture by picture."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tests.trainables.data.detection import written
from trainables.data.detection import columns
from trainables.data.detection.statistics import boxes_of, statistics
from trainables.data.detection.store import Split


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Split:
    folder = tmp_path_factory.mktemp("edges")
    random, contents = np.random.RandomState(0), written.edges()
    for number in range(100, 140):
        left, top, width, height = random.uniform(-10, 60, 4).round(2).tolist()
        contents["annotations"].append(
            written.box(
                number,
                int(random.choice([3, 5, 7])),
                (left, top, width, height),
                int(random.choice([1, 2, 90])),
                area=width * height,
                iscrowd=int(random.random() < 0.2),
            )
        )
    written.write(folder, "all", contents)
    found = columns.mapped(folder, "edges", folder / "annotations/instances_all.json")
    return Split(found, np.arange(len(found.columns.image_ids)), folder / "all")


@pytest.fixture(params=[[0, 1, 2, 3], [2, 0], [3], [1]], ids=["all", "two", "empty", "one"])
def split(request: pytest.FixtureRequest, whole: Split) -> Split:
    return Split(whole.annotations, np.array(request.param), whole.pictures)


def test_all_boxes_at_once_are_those_of_each_picture(split: Split) -> None:
    found = boxes_of(split)
    each = [split.targets(example) for example in range(len(split))]
    assert found.classes.tolist() == [one for some in each for one in some.classes]
    counts = [len(some.boxes) for some in each]
    assert found.examples.tolist() == np.repeat(np.arange(len(split)), counts).tolist()


def test_numbers_are_those_that_one_counts(split: Split) -> None:
    found = statistics(split, bounds=(100, 900))
    each = [split.targets(example) for example in range(len(split))]
    assert found.pictures == len(split)
    assert found.boxes == Counter(int(one) for some in each for one in some.classes)
    areas = boxes_of(split).areas
    expected = [(areas < 100).sum(), ((areas >= 100) & (areas < 900)).sum(), (areas >= 900).sum()]
    assert found.sizes == pytest.approx([one / max(1, len(areas)) for one in expected])
    counts = Counter(len(some.boxes) for some in each)
    assert {n: int(times) for n, times in enumerate(found.per_picture) if times} == counts
    crowds = [split.columns.crowd[split.annotated(example)].sum() for example in range(len(split))]
    assert found.crowds == sum(crowds)


def test_an_area_that_is_not_annotated_is_that_of_the_box(whole: Split) -> None:
    found = boxes_of(whole)
    assert 200.0 in found.areas[(found.examples == 2) & (found.classes == 2)]  # 10 × 20


def test_bounds_are_ascending(whole: Split) -> None:
    with pytest.raises(ValueError, match=r"bounds must be ascending and above 0, got \(9, 9\)"):
        statistics(whole, bounds=(9, 9))
