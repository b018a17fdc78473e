"""Swin takes the published sizes, and says of others why not."""

from __future__ import annotations

import subprocess
import sys
from itertools import product

import pytest
import timm
import torch

from trainables.layers.geometry import swin_geometry, timm_width

DEPTHS = (2, 2, 6, 2)
FIT = {
    (224, 4, 7),
    (256, 4, 8),
    (256, 8, 8),
    (256, 16, 8),
    (256, 32, 8),
    (256, 32, 12),
    (384, 4, 12),
    (384, 8, 12),
    (384, 16, 12),
}


def test_of_36_triples_the_nine_published_ones_fit() -> None:
    tried = list(product((224, 256, 384), (4, 8, 16, 32), (7, 8, 12)))
    assert len(tried) == 36
    assert {triple for triple in tried if swin_geometry(*triple, DEPTHS) is None} == FIT


@pytest.mark.parametrize(
    ("size", "patch", "window", "sentence"),
    [
        (96, 4, 7, "windows do not divide the 24 × 24 tokens of stage 1; try 224"),
        (224, 8, 7, "the 7 × 7 tokens of stage 3 cannot be merged by two; try 448"),
        (226, 4, 7, "patches of 4 pixels do not divide it; try 224 or 448"),
    ],
)
def test_the_sentence_says_why_and_what_would_fit(
    size: int, patch: int, window: int, sentence: str
) -> None:
    found = swin_geometry(size, patch, window, DEPTHS)
    assert found is not None and found.startswith(f"image_size must fit windows of {window} tokens")
    assert f"got {size}: {sentence}" in found


def test_fewer_stages_ask_for_less() -> None:
    assert swin_geometry(56, 4, 7, (2, 2)) is None
    assert swin_geometry(28, 4, 7, (2,)) is None
    assert swin_geometry(28, 4, 7, (2, 2)) is not None


def test_a_configuration_may_ask_without_torch() -> None:
    code = "import sys, trainables.layers.geometry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def width_of(name: str) -> int:
    """What timm says of the network that it builds."""
    with torch.device("meta"):
        return int(getattr(timm.create_model(name), "num_features"))  # noqa: B009


@pytest.mark.parametrize(
    "name",
    [
        *("vit_tiny_patch16_224", "vit_small_patch8_224", "vit_base_patch16_224"),
        *("deit3_small_patch16_224", "beitv2_base_patch16_224"),
        *("swin_tiny_patch4_window7_224", "swin_s3_tiny_224"),
    ],
)
def test_widths_are_those_of_timm(name: str) -> None:
    assert timm_width(f"{name}.tag") == timm_width(name) == width_of(name)


@pytest.mark.parametrize(
    "name", ["resnet18", "vit_small_resnet26d_224", "vit_base_patch16_plus_240"]
)
def test_other_names_say_no_width(name: str) -> None:
    assert timm_width(name) is None
