"""The steps from a ResNet to ConvNeXt as settings."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from search_spaces.ssl_labelled import MODERN
from trainables.layers.modern_resnet import ModernResNet
from trainables.ssl import networks
from trainables.ssl.config import Supervised
from trainables.ssl.controls import ModernResNet as Settings
from trainables.ssl.experiment import SupervisedExperiment

SMALL: dict[str, Any] = {"width": 4, "blocks": (1, 1, 1, 1), "image_size": 32}


def settings(step: str) -> dict[str, Any]:
    """What a step says of the model, without sizes."""
    named = {path.removeprefix("model."): value for path, value in MODERN[step].items()}
    return {name: value for name, value in named.items() if name not in ("blocks", "width")}


@pytest.mark.parametrize("step", list(MODERN))
def test_each_step_is_the_network_with_its_choices(step: str) -> None:
    model = Settings(**settings(step), **SMALL)
    torch.manual_seed(0)
    made = networks.build_control(model, image_size=8, channels=1, classes=10)
    torch.manual_seed(0)
    values = {name: value for name, value in settings(step).items() if name != "kind"}
    sizes: dict[str, Any] = {"width": 4, "blocks": (1, 1, 1, 1), "scale_to": 32}
    other = ModernResNet(channels=1, classes=10, **sizes, **values)
    images = torch.randn(2, 1, 8, 8)
    assert torch.equal(made(images), other(images))


def test_each_step_is_another_trial() -> None:
    steps = [Supervised().with_values({"data.name": "cifar10", **one}) for one in MODERN.values()]
    assert len({one.digest() for one in steps}) == len(MODERN) == 13


@pytest.mark.parametrize("step", ["resnet50", "convnext_tiny"])
def test_both_ends_learn_a_batch(step: str) -> None:
    model = Settings(**{**settings(step), **SMALL})
    start = Supervised(model=model).with_values({"training.batch_size": 8})
    experiment = SupervisedExperiment.create(start.to_json())
    experiment.load()
    batch = experiment.batch(1)
    optimizer = torch.optim.AdamW(experiment.parameters(), lr=1e-2)
    losses: list[float] = []
    for step_number in range(1, 13):
        optimizer.zero_grad()
        loss = experiment(batch, step_number).total
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2


def test_a_layer_scale_loses_no_weight() -> None:
    with torch.device("meta"):
        made = ModernResNet(channels=1, classes=2, width=4, layer_scale=1e-6)
    scales = [one for name, one in made.named_parameters() if name.endswith("scale")]
    assert len(scales) == 16 and all(one.ndim == 1 for one in scales)
    assert isinstance(made.head, nn.Linear)


def test_of_too_small_a_side_nothing_would_be_left() -> None:
    values = {"model.kind": "modern_resnet", "model.separate_downsampling": True}
    with pytest.raises(
        ValueError, match=r"model.image_size must be at least 32 with separate_downsampling.*got 28"
    ):
        Supervised().with_values({**values, "data.name": "fashion_mnist"})
    for stem in ("pool", "patches"):
        named: dict[str, Any] = {**SMALL, "separate_downsampling": True, "stem": stem}
        model = Settings(**named)
        made = networks.build_control(model, image_size=32, channels=1, classes=3)
        assert made(torch.randn(2, 1, 32, 32)).shape == (2, 3)
    assert Supervised().with_values({**values, "model.image_size": 32}).data.side == 8
