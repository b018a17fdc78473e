"""Settings of detectors that are refused: each in a sentence, at both ends of its rule."""

from __future__ import annotations

from typing import Any

import pytest

from trainables.detr.config import Detection
from trainables.detr.maps import MOST_WEIGHT
from trainables.detr.parts import LARGEST_AREA
from trainables.layers import tvmax
from trainables.metrics import box_evaluation

ENTMAX, TVMAX = {"cross.map.kind": "entmax"}, {"cross.map.kind": "tvmax"}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {**ENTMAX, "cross.map.alpha": 1.01},
            "cross.map.alpha must be above 1.01 and below 2, got 1.01",
        ),
        ({**ENTMAX, "cross.map.alpha": 2}, "cross.map.alpha must be above 1.01 and below 2, got 2"),
        ({**ENTMAX, "cross.map.alpha": "1.5"}, "cross.map.alpha must be a valid number, got '1.5'"),
        ({**TVMAX, "cross.map.weight": 0}, "cross.map.weight must be greater than 0, got 0"),
        (
            {**TVMAX, "cross.map.weight": 1000.5},
            "cross.map.weight must be less than or equal to 1000, got 1000.5",
        ),
        (
            {"evaluation.sparsity.thresholds": []},
            "evaluation.sparsity.thresholds must have at least 1 of them, got ()",
        ),
        (
            {"evaluation.sparsity.thresholds": [0.1, 0.1]},
            "evaluation.sparsity.thresholds must rise, got (0.1, 0.1)",
        ),
        (
            {"evaluation.areas": [100, 100]},
            "evaluation.areas must rise and be below 1e+10, got 100, 100",
        ),
        (
            {"evaluation.areas": [100, 1e10]},
            "evaluation.areas must rise and be below 1e+10, got 100, 1e+10",
        ),
    ],
)
def test_what_is_refused_is_one_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as error:
        Detection().with_values(values)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    "values",
    [
        {**ENTMAX, "cross.map.alpha": 1.011},
        {**ENTMAX, "cross.map.alpha": 1.999},
        {**TVMAX, "cross.map.weight": 1000},
        {"evaluation.sparsity.thresholds": [0.0]},
        {"evaluation.areas": [100, 9.9e9]},
    ],
)
def test_just_within_is_taken(values: dict[str, Any]) -> None:
    config = Detection().with_values(values)
    assert Detection.read(config.to_json()) == config


def test_ends_are_those_of_what_is_configured() -> None:
    assert MOST_WEIGHT == tvmax.MOST_WEIGHT and LARGEST_AREA == box_evaluation.LARGEST
