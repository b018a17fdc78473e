"""Loss landscapes: a point, weights and all.

The original is github.com/tomgoldstein/loss-landscape at 64ef4d5: weights are set along two
directions, as they come out of its files, and a data loader gives images in batches of 128. Ours
has the same weights, directions and images, and a grid of that one point, so that all that is done
once a grid counts. ResNet-18 of timm with 10 classes, 2,000 images of 3 × 32 × 32.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.beside.pairing import Case, Sides, quietly
from trainables.metrics.landscape import Classification, landscape

PACKAGE = "cifar10"
"""A folder of the original; its modules lie beside it."""
IMAGES, BATCH, PLACE = 2000, 128, (0.2, -0.1)


def cases() -> list[Case]:
    """A point off the centre: loss and accuracy compared, and timed."""
    return [Case("a point off the centre", _point, is_timed=True)]


def _point() -> Sides:
    with quietly():
        plotter, evaluation = (importlib.import_module(n) for n in ("net_plotter", "evaluation"))
    torch.manual_seed(0)
    theirs, ours = (timm.create_model("resnet18", num_classes=10).eval() for _ in range(2))
    ours.load_state_dict(theirs.state_dict())
    ours.to(memory_format=torch.channels_last)
    images, labels = torch.randn(IMAGES, 3, 32, 32), torch.arange(IMAGES) % 10
    loader = DataLoader(TensorDataset(images, labels), batch_size=BATCH)
    both = [plotter.create_random_direction(theirs) for _ in range(2)]
    named = [dict(zip(dict(ours.named_parameters()), one, strict=True)) for one in both]
    axes = [torch.tensor([place], dtype=torch.float64) for place in PLACE]
    measure = Classification(ours, images, labels, batch_size=BATCH)
    step = _original(theirs, loader, [[one.numpy() for one in each] for each in both], plotter)

    def our_step() -> dict[str, Tensor]:
        found = landscape(ours, measure, named, axes).values[0, 0]
        return {"loss": found[0], "accuracy": 100 * found[1]}

    return Sides(lambda: step(evaluation), our_step)


def _original(
    network: nn.Module, loader: Any, directions: list[Any], plotter: Any
) -> Callable[[Any], dict[str, Any]]:
    start = [one.clone() for one in plotter.get_weights(network)]

    def step(evaluation: Any) -> dict[str, Any]:
        plotter.set_weights(network, start, directions, PLACE)
        loss, accuracy = evaluation.eval_loss(network, nn.CrossEntropyLoss(), loader)
        return {"loss": loss, "accuracy": accuracy}

    return step
