"""Multiply-adds beside closed forms and published tables; time by a clock."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import nn

from trainables.layers.vit import ViT
from trainables.metrics.network_costs import latency, multiply_adds


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "billions"),
    [("resnet50", 4.09), ("vit_base_patch16_224", 17.56), ("convnext_tiny", 4.46)],
)
def test_networks_have_the_published_numbers(name: str, billions: float) -> None:
    with torch.device("meta"):
        network, images = timm.create_model(name), torch.empty(1, 3, 224, 224)
    assert round(multiply_adds(network, images) / 1e9, 2) == billions  # torchvision's tables


def test_layers_have_the_numbers_of_their_formulas() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(),
        nn.Linear(8 * 25, 7),
    )  # fmt: skip
    before = {name: one.clone() for name, one in network.state_dict().items()}
    assert multiply_adds(network, torch.rand(2, 3, 10, 10)) == 2 * (25 * 8 * 27 + 8 * 25 * 7)
    assert network.training
    assert all(bool((one == before[name]).all()) for name, one in network.state_dict().items())


def test_attention_counts_its_two_products() -> None:
    sizes: dict[str, Any] = {"image_size": 8, "channels": 1, "patch_size": 2, "mlp_ratio": 2.0}
    network = ViT(**sizes, width=12, layers=3, heads=2, classes=5)
    tokens, width = 17, 12
    block = tokens * width * (3 * width + width + 2 * 2 * width) + 2 * tokens**2 * width
    rows = 16 * 4 * width + 3 * block + width * 5
    # The last block makes keys and values of all tokens, and all else of the class token alone.
    saved = (tokens - 1) * width * (width + width + 4 * width) + 2 * (tokens - 1) * tokens * width
    found = multiply_adds(network, torch.zeros(1, 1, 8, 8))
    assert found == rows - saved
    assert multiply_adds(network, torch.zeros(4, 1, 8, 8)) == 4 * found


def test_what_cannot_be_followed_without_values_is_computed() -> None:
    class Odd(nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return super().forward(input) * float(self.weight.sum())

    assert multiply_adds(Odd(6, 4), torch.ones(2, 6)) == 48


def test_a_pass_lasts_as_long_as_the_clock_says() -> None:
    moment, passes = 0.0, 0

    def forward() -> None:
        nonlocal moment, passes
        passes += 1
        moment += 2.0 if passes > 1 else 6.0

    def seconds(limit: float) -> float:
        return latency(forward, torch.device("cpu"), limit, lambda: moment)

    assert seconds(15.0) == 2.0 and passes == 6
    passes = 0
    assert seconds(1.0) == 6.0 and passes == 1
