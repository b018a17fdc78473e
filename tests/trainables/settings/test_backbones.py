"""Networks of timm: which weights are asked for, and what has no effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trainables.settings.backbones import Backbone, missing_weights


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
        ({}, {"weights_file"}),
        ({"pretrained": True}, set()),
        ({"frozen": True}, {"weights_file", "drop_path"}),
        ({"pretrained": True, "frozen": True}, {"drop_path"}),
    ],
)
def test_what_has_no_effect_is_void(values: dict[str, Any], void: set[str]) -> None:
    assert Backbone(**values).void() == void
