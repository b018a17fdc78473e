"""Codes and probes: as they are written, and numbers of the original's code."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from trainables.layers.code_heads import ClusterProbe, CodeHead, LinearProbe


def wave(*shape: int, a: float = 1.0) -> Tensor:
    """Numbers without any draw."""
    t = torch.arange(math.prod(shape), dtype=torch.float64)
    return (torch.sin(a * t + 0.7) + 0.3 * torch.cos(0.37 * a * t * t % 6.28)).view(shape)


@pytest.mark.parametrize("is_deep", [True, False])
def test_codes_are_those_of_a_perceptron_of_each_place(is_deep: bool) -> None:
    head: Any = CodeHead(features=5, width=3, dropout=0.5, is_deep=is_deep).eval()
    features = wave(2, 5, 2, 4).float()
    places = features.movedim(1, -1)
    expected = places @ head.linear.weight[:, :, 0, 0].T + head.linear.bias
    if head.deep is not None:
        inner, _, outer = head.deep
        hidden = (places @ inner.weight[:, :, 0, 0].T + inner.bias).relu()
        expected = expected + hidden @ outer.weight[:, :, 0, 0].T + outer.bias
    torch.testing.assert_close(head(features), expected.movedim(-1, 1))
    assert (head.deep is not None) == is_deep


def test_whole_channels_are_dropped_in_training() -> None:
    head = CodeHead(features=40, width=3, dropout=0.5, is_deep=True)
    dropped = head.drop(torch.ones(2, 40, 3, 3)).flatten(2)
    assert torch.equal(dropped.amin(2), dropped.amax(2))
    assert sorted(dropped.unique().tolist()) == [0.0, 2.0]


def test_the_loss_of_clusters_is_that_of_the_original() -> None:
    probe = ClusterProbe(width=3, clusters=4).double()
    probe.centroids.data = wave(4, 3, a=1.9)
    found, near = probe(wave(2, 3, 3, 4, a=0.6))
    found.backward()
    assert probe.centroids.grad is not None
    # mhamilton723/STEGO, src/modules.py, ClusterLookup without a temperature
    assert found.item() == pytest.approx(-0.4656316418986539, rel=1e-9)
    assert probe.centroids.grad.square().sum().item() == pytest.approx(
        0.08369329201445723, rel=1e-9
    )
    assert near.argmax(1).flatten().tolist() == (
        [1, 1, 0, 0, 0, 0, 3, 3, 3, 3, 2, 1, 0, 3, 3, 3, 3, 3, 2, 1, 0, 0, 0, 0]
    )


def test_logits_are_linear_in_codes() -> None:
    probe: Any = LinearProbe(width=3, classes=2)
    codes = wave(1, 3, 2, 2).float()
    expected = codes[0, :, 1, 0] @ probe.layer.weight[:, :, 0, 0].T + probe.layer.bias
    torch.testing.assert_close(probe(codes)[0, :, 1, 0], expected)
