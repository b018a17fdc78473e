"""Sweeps of supervised networks on CIFAR-10 as they are in a diary of 2022, by their numbers.

raysearch data get cifar10
raysearch search ssl.X04 --gpus 1
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from raysearch.sweeps.sweep import Trial
from search_spaces.settings import Settings, labelled, one_of
from search_spaces.ssl_diary import logged
from search_spaces.ssl_labelled import supervised
from trainables.ssl.config import Supervised

LABELLED: Settings = {
    "data.name": "cifar10",
    "augmentation.flips": True,
    "augmentation.shift": 4,
    "training.batch_size": 128,
}
"""Pictures of 32 × 32 pixels, mirrored and shifted by four."""
VIT_TINY: Settings = {
    "model.kind": "vit",
    "model.patch_size": 8,
    "model.width": 192,
    "model.layers": 12,
    "model.heads": 3,
    "model.mlp_ratio": 4.0,
}
RESNET26: Settings = {"model.kind": "timm", "model.name": "resnet26"}
RESNET50: Settings = {"model.kind": "timm", "model.name": "resnet50"}
SPEEDS: Mapping[str, Settings] = {
    "vit_tiny": VIT_TINY,
    "resnet26": RESNET26,
    "resnet50": RESNET50,
}
ADAM: Settings = {"optimizer.kind": "adamw", "optimizer.weight_decay": 0.0, "optimizer.lr": 1e-3}
SGD: Settings = {"optimizer.kind": "sgd", "optimizer.lr": 0.1, "optimizer.momentum": 0.9}
OPTIMISERS: Mapping[str, Settings] = {"adam": ADAM, "sgd": SGD}


noted = partial(logged, metric="val/accuracy")
"""A grid of supervised runs."""


@noted(
    "X01",
    "2022-10-02",
    question="How good is a ResNet-50 that is trained from scratch?",
    notes="Noted are 54 % at most, after 2 h 18 min on a laptop.",
)
def resnet50(trial: Trial) -> Supervised:
    """50 epochs."""
    return supervised(LABELLED, RESNET50, ADAM, {"training.epochs": 50})


@noted("X02", "2022-11-01", question="How good is a ViT-T/8 that is trained from scratch?")
def vit_tiny(trial: Trial) -> Supervised:
    """Adam with a rate of 0.001 and batches of 128."""
    return supervised(LABELLED, VIT_TINY, ADAM)


@noted(
    "X03",
    "2022-11-02",
    question="How many steps a second does each network make?",
    stated=3,
    notes="Look at cost/…; noted on a laptop are 1.8, 2 and 1.2 steps a second.",
    network=SPEEDS,
)
def speeds(trial: Trial) -> Supervised:
    """Three networks, a hundred steps; on each machine of its own."""
    short: Settings = {"training.steps": 100, "training.evaluate_every": 100}
    return supervised(LABELLED, labelled(trial, "network", SPEEDS), short)


@noted(
    "X04",
    "2022-11-13",
    question="Adam or SGD for a ResNet-50, and for how long?",
    stated=4,
    optimiser=OPTIMISERS,
)
def resnet50_longer(trial: Trial) -> Supervised:
    """Two lengths × two optimisers."""
    optimiser = labelled(trial, "optimiser", OPTIMISERS)
    return supervised(LABELLED, RESNET50, optimiser, one_of(trial, "training.epochs", 20, 300))


@noted("X05", "2022-11-13", question="How good is a ViT-T/8 after 300 epochs?")
def vit_tiny_longer(trial: Trial) -> Supervised:
    """As for 20."""
    return supervised(LABELLED, VIT_TINY, ADAM, {"training.epochs": 300})


@noted(
    "X51",
    "2023-06-05",
    question="What does fine-tuning a ConvNeXt-T give beyond a linear layer?",
    stated=2,
    notes="Say which checkpoint of ssl.X49: model.pretrained=true model.weights_file=… "
    "model.weights_part=teacher. Without one a drawn network is trained.",
)
def fine_tuning(trial: Trial) -> Supervised:
    """The last layer alone, or all of them."""
    network: Settings = {"model.kind": "timm", "model.name": "convnext_tiny"}
    length: Settings = {"training.epochs": 100, "optimizer.lr": 1e-4}
    return supervised(LABELLED, network, length, one_of(trial, "model.frozen", True, False))
