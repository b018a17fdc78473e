"""Settings that moved are the settings that they were: trials that were run keep their digests."""

from __future__ import annotations

from typing import Any

import pytest

from trainables.core.training import ExperimentConfig
from trainables.slots.config import Dinosaur, Discovery, SetPrediction
from trainables.ssl.config import Supervised


@pytest.mark.parametrize(
    ("config", "values", "digest"),
    [
        (Supervised, {}, "4527ebcbd305d5e4"),
        (Supervised, {"optimizer.kind": "sgd"}, "31f3cb24dce2b0df"),
        (Supervised, {"optimizer.kind": "lars"}, "d33d6530deaf72b6"),
        (Supervised, {"optimizer.kind": "sam"}, "b02a144a1e6ea3bc"),
        (Supervised, {"schedule.kind": "exponential"}, "cab2b067fec59743"),
        (Supervised, {"model.kind": "timm"}, "96cf8cc2952f3410"),
        (Discovery, {}, "58e11bc89b6d7d2c"),
        (Discovery, {"optimizer.kind": "adam"}, "82851179c6515ef5"),
        (Discovery, {"optimizer.kind": "rmsprop"}, "21b5994f65c2771a"),
        (Discovery, {"optimizer.kind": "sgd"}, "8890320c40090804"),
        (SetPrediction, {}, "da6c7cfe651ec08b"),
        (Dinosaur, {}, "7760e9fdc087a047"),
    ],
)
def test_the_digest_is_the_one_that_was_recorded(
    config: type[ExperimentConfig], values: dict[str, Any], digest: str
) -> None:
    assert config().with_values(values).digest() == digest


def test_a_family_keeps_rates_of_its_own() -> None:
    ours = Supervised().with_values({"optimizer.kind": "sgd"})
    theirs = Discovery().with_values({"optimizer.kind": "sgd"})
    assert ours.to_json()["optimizer"] == {
        "kind": "sgd",
        "lr": 0.1,
        "weight_decay": 5e-4,
        "momentum": 0.9,
        "nesterov": False,
    }
    assert theirs.to_json()["optimizer"] == {
        "kind": "sgd",
        "lr": 4e-4 * 0.5 ** (1 / 10),
        "momentum": 0.0,
    }
