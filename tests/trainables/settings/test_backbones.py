"""Networks of timm: which weights are asked for, and what has no effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from trainables.layers.channels import CHANNEL_MODES
from trainables.settings.backbones import Backbone, missing_weights
from trainables.ssl.config import Supervised


def test_weights_that_are_not_at_hand_are_said_by_the_path_of_the_part(tmp_path: Path) -> None:
    said = missing_weights("encoder", "resnet18", None)
    assert said is not None and said.startswith("encoder.pretrained must be false for resnet18")
    said = missing_weights("encoder", "resnet18", str(tmp_path / "none.pth"))
    assert said is not None and said.startswith("encoder.weights_file must be a file")


def test_weights_that_are_at_hand_are_not_missing(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.touch()
    assert missing_weights("encoder", "resnet18", str(file)) is None
    assert Backbone(pretrained=True, weights_file=str(file)).missing("encoder") is None


def test_weights_are_asked_for_only_if_they_are_used() -> None:
    assert Backbone(name="resnet18").missing("model") is None
    assert Backbone(name="resnet18", pretrained=True).missing("model") is not None


@pytest.mark.parametrize(
    ("values", "void"),
    [
        ({}, {"weights_file", "channel_mode"}),
        ({"channel_mode": "red"}, {"weights_file", "channel_mode"}),
        ({"pretrained": True}, {"channel_mode"}),
        ({"pretrained": True, "channel_mode": "red"}, set()),
        ({"frozen": True}, {"weights_file", "channel_mode", "drop_path"}),
        ({"pretrained": True, "frozen": True, "channel_mode": "mean"}, {"drop_path"}),
    ],
)
def test_what_has_no_effect_is_void(values: dict[str, Any], void: set[str]) -> None:
    assert Backbone(**values).void() == void | {"weights_part"}


def test_the_modes_are_those_of_the_layer() -> None:
    stated = Backbone.model_fields["channel_mode"].annotation
    assert get_args(stated) == CHANNEL_MODES


def test_a_stem_that_learns_is_not_frozen() -> None:
    assert Backbone(frozen=True, channel_mode="stem1to3").void() >= {"channel_mode"}
    with pytest.raises(ValueError, match="channel_mode must not be 'stem1to3'.* try 'copy3'"):
        Backbone(frozen=True, pretrained=True, channel_mode="stem1to3")


@pytest.mark.parametrize(("name", "counts"), [("fashion_mnist", True), ("cifar10", False)])
def test_a_mode_counts_for_images_of_one_channel_alone(name: str, counts: bool) -> None:
    values = {"data.name": name, "model.kind": "timm", "model.pretrained": True}
    plain = Supervised().with_values(values)
    red = plain.with_values({"model.channel_mode": "red"})
    assert (red.digest() != plain.digest()) == counts
    assert "channel_mode" not in plain.canonical()["model"], "as it was before there were modes"
