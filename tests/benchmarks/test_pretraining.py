"""Benchmarks of pretraining: steps of its configurations on a CPU, made small."""

from __future__ import annotations

import pytest
import torch

from benchmarks import pretraining_gpu as gpu

SMALL = {
    "model.kind": "vit",
    "model.width": 16,
    "model.layers": 1,
    "model.heads": 2,
    "views.size": 16,
}


@pytest.mark.parametrize("name", gpu.CONFIGURATIONS)
def test_a_step_of_pretraining_on_the_cpu_waits_for_nobody(name: str) -> None:
    small = dict(SMALL)
    if name.startswith("DINO"):
        small |= {"views.local_crop_input_factor": 2.0, "method.head.prototypes": 32}
    config = gpu.configuration(name, "bfloat16", 4).with_values(small)
    found = gpu.measured(config, torch.device("cpu"), steps=1)
    assert (found.waits, found.peak) == ({}, None) and found.seconds > 0


def test_each_picture_has_ten_views_that_are_counted() -> None:
    assert gpu.views_a_second(torch.device("cpu"), 2, side=32, rounds=1) > 0
    config = gpu.configuration("DINO, ViT-S/16, 2 × 224² + 8 × 96²", "float32", 1)
    batch = gpu.a_batch(config)
    assert batch["large_views"].shape == (1, 2, 3, 224, 224)
    assert batch["small_views"].shape == (1, 8, 3, 96, 96)
