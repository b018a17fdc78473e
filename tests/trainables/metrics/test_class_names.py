"""Names of classes in names of metrics: harmless, and each of one class."""

from __future__ import annotations

import pytest

from trainables.data.detection.names import COCO_NAMES
from trainables.data.names import FASHION_CLASSES
from trainables.metrics.class_names import metric_names


def test_most_names_stay_as_they_are() -> None:
    assert metric_names(COCO_NAMES) == COCO_NAMES
    garments = metric_names(dict(enumerate(FASHION_CLASSES)))
    assert garments == {**dict(enumerate(FASHION_CLASSES)), 0: "T-shirt_top"}


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ('t-shirt (men) é/ü: "x"\n', "t-shirt _men_ é_ü_ _x_"),
        ("a\nb\tc", "a b c"),
        ("..", "7"),
        ("", "7"),
        (" /", "_"),
        ("$x$", "_x_"),
        ("x" * 100, "x" * 60),
    ],
)
def test_what_is_odd_in_a_name_is_left_out(name: str, known: str) -> None:
    assert metric_names({7: name}) == {7: known}


def test_classes_of_one_name_have_their_numbers() -> None:
    assert metric_names({1: "a", 2: "b", 3: "a"}) == {1: "a-1", 2: "b", 3: "a-3"}
    assert metric_names({1: "a/b", 2: "a:b", 3: "c"}) == {1: "a_b-1", 2: "a_b-2", 3: "c"}
    found = metric_names({1: "a", 2: "a", 3: "a-1", 4: "a-1-1", 5: "", 6: "5"})
    assert len(set(found.values())) == 6
