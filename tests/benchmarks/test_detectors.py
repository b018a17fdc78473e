"""Benchmarks of detectors: a step on a CPU, and what is said where there is no GPU."""

from __future__ import annotations

import pytest
import torch

from benchmarks import detectors_gpu as gpu
from benchmarks.gpu import PRECISIONS
from tests.trainables.detr import small
from trainables.detr.config import Detection

TWO = {"training.batch_size": 2, "training.num_micro_batches": 1}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_step_of_a_detector_on_the_cpu_waits_for_nobody(precision: str) -> None:
    start = Detection().with_values({**TWO, "training.precision": precision})
    config = start.with_values(small.values(start))
    found = gpu.measured(config, torch.device("cpu"), (64, 48), steps=1)
    assert (found.waits, found.peak) == ({}, None) and found.seconds > 0


def test_padding_of_a_batch_is_zero() -> None:
    config = Detection().with_values(TWO)
    batch = gpu.a_batch(config, (8, 12))
    assert batch["sizes"].tolist() == [[8, 12], [6, 9]]
    assert not batch["images"][1, :, 6:].any() and not batch["images"][1, :, :, 9:].any()
    assert batch["images"][1, :, :6, :9].all()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said() -> None:
    with pytest.raises(ValueError, match="--device must be cpu where there is no GPU, got cuda"):
        gpu.main(torch.device("cuda"))
