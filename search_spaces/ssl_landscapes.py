"""Sweeps of loss landscapes, small ones and those of a diary of 2022, by their numbers.

    raysearch search ssl.landscapes_small

Each trial trains a network and looks at the loss around it at its end: pictures, and numbers called
`landscape/…`. With other settings a trained network is looked at by

    raysearch train ssl.supervised evaluation.landscape.norm=layer --evaluate-only CHECKPOINT
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from raysearch.sweeps.sweep import Metric, Trial, sweep
from search_spaces.settings import Settings, choices, labelled, merged, one_of
from search_spaces.ssl_diary import logged
from trainables.ssl.config import Supervised

PUBLISHED: Settings = {
    "evaluation.landscape.resolution": 31,
    "evaluation.landscape.distance": 1.0,
    "evaluation.landscape.direction": "gaussian",
    "evaluation.landscape.moves_vectors": False,
    "evaluation.landscape.heights": "clipped_log",
}
"""As landscapes were published, but for 51 points along each direction."""
CAUSES: Mapping[str, Settings] = {
    "as_published": PUBLISHED,
    "uniform_directions": {
        **PUBLISHED,
        "evaluation.landscape.direction": "uniform",
        "evaluation.landscape.moves_vectors": True,
    },
    "five_norms": {**PUBLISHED, "evaluation.landscape.distance": 5.0},
    "few_points": {**PUBLISHED, "evaluation.landscape.resolution": 15},
    "linear_heights": {**PUBLISHED, "evaluation.landscape.heights": "linear"},
}
"""What may make all landscapes look smooth and alike, each by itself."""
RESIDUAL: Settings = {"model.kind": "residual", "model.depth": 20, "optimizer.lr": 0.1}
SHALLOW: Settings = {"optimizer.lr": 0.02}
NETWORKS: Mapping[str, Settings] = {
    "residual": {**RESIDUAL, "model.skips": True},
    "without_skips": {**RESIDUAL, "model.skips": False},
    "convolution": {**SHALLOW, "model.kind": "convolution"},
    "perceptron": {**SHALLOW, "model.kind": "perceptron"},
}
"""From those that may be rough to those that cannot."""
SMALL: Settings = {
    "data.limit": 500,
    "optimizer.kind": "sgd",
    "training.steps": 300,
    "training.batch_size": 32,
    "training.evaluate_every": 100,
    "training.save_every": 300,
    "evaluation.landscape.images": 50,
}
"""What is common to small ones. Their size is set here."""


def looked_at(*settings: Settings) -> Supervised:
    """The default with all of these settings, the later before the earlier."""
    return Supervised().with_values(merged(*settings))


@sweep(
    name="ssl.landscapes_small",
    metrics=[Metric("val/accuracy", "maximize")],
    sampler="grid",
    stated=20,
    question="Why did all loss landscapes look smooth and alike: which cause flattens them alone?",
    tags={"question": "X11", "size": "small"},
    choices=choices(network=NETWORKS, cause=CAUSES),
    notes="At this depth skips hardly show; `python -m benchmarks.landscapes` has 56 layers.",
)
def small(trial: Trial) -> Supervised:
    """Four networks × the published way and four that differ from it in one thing."""
    network = labelled(trial, "network", NETWORKS)
    return looked_at(SMALL, network, labelled(trial, "cause", CAUSES))


DIARY: Settings = {
    "data.name": "cifar10",
    "optimizer.kind": "sgd",
    "training.batch_size": 128,
    "evaluation.landscape.resolution": 15,
    "evaluation.landscape.images": 50_000,
}
"""CIFAR-10, all of training at each point, 15 × 15 points."""
RESNET50: Settings = {"model.kind": "timm", "model.name": "resnet50"}
VIT: Settings = {
    "model.kind": "vit",
    "model.patch_size": 8,
    "model.width": 192,
    "model.layers": 12,
    "model.heads": 3,
    "model.mlp_ratio": 4.0,
    "optimizer.kind": "adamw",
}
"""ViT-T with patches of 8 pixels."""
CONTROLS: Mapping[str, Settings] = {
    "resnet50": RESNET50,
    "convolution": {"model.kind": "convolution", "model.width": 10},
    "perceptron": {"model.kind": "perceptron", "model.width": 128},
}
"""The network that was looked at, and smaller ones."""
OPTIMISERS: Mapping[str, Settings] = {
    "adamw": {"optimizer.kind": "adamw"},
    "sgd": {"optimizer.kind": "sgd"},
}
WEIGHTS: Mapping[str, Settings] = {
    "scratch": {"model.pretrained": False},
    "pretrained": {"model.pretrained": True},
}


noted = partial(logged, metric="val/accuracy")
"""A grid of supervised runs."""


@noted(
    "X07",
    "2022-11-01",
    question="Does the first tool show a landscape?",
    stated=2,
    notes="It had 40 and 50 points along each direction, none of them the network, and a batch of "
    "128 test images.",
)
def first_tool(trial: Trial) -> Supervised:
    """Uniform directions, ±5 norms, one batch × two resolutions."""
    tool: Settings = {
        **CAUSES["uniform_directions"],
        "evaluation.landscape.distance": 5.0,
        "evaluation.landscape.heights": "linear",
        "evaluation.landscape.images": 128,
        "evaluation.landscape.split": "val",
    }
    points = one_of(trial, "evaluation.landscape.resolution", 41, 51)
    return looked_at(DIARY, RESNET50, {"training.epochs": 20}, tool, points)


@noted("X08", "2022-11-09", question="What is the landscape of a ResNet-50 like?")
def resnet50(trial: Trial) -> Supervised:
    """Gaussian directions, filters, biases and norms fixed."""
    return looked_at(DIARY, RESNET50, {"training.epochs": 20})


@noted("X09", "2022-11-09", question="What is the landscape of a ViT-T/8 like?")
def vit(trial: Trial) -> Supervised:
    """As of the ResNet-50."""
    return looked_at(DIARY, VIT, {"training.epochs": 20})


@noted(
    "X10",
    "2022-11-04",
    question="Is the landscape smooth because of the low resolution?",
    stated=6,
    notes="Of 15, 50 and 51 points the 50 have no middle one and are left out.",
)
def resolutions(trial: Trial) -> Supervised:
    """Points along each direction × a tenth or all of training."""
    points = one_of(trial, "evaluation.landscape.resolution", 15, 51)
    images = one_of(trial, "evaluation.landscape.images", 5000, 50_000)
    return looked_at(DIARY, RESNET50, {"training.epochs": 20}, points, images)


@noted(
    "X11",
    "2022-11-13",
    question="Is the landscape of a very small network bumpier?",
    stated=12,
    notes="The split that was not trained on was the test split; here it is that for validation.",
    network=CONTROLS,
)
def controls(trial: Trial) -> Supervised:
    """Three networks × images that were trained on or not × length of training."""
    network = labelled(trial, "network", CONTROLS)
    split = one_of(trial, "evaluation.landscape.split", "train", "val")
    return looked_at(DIARY, network, split, one_of(trial, "training.epochs", 20, 300))


@noted(
    "X12",
    "2022-11-09",
    question="Did Adam make the landscape look wrong, where the published one had SGD?",
    stated=2,
    optimiser=OPTIMISERS,
)
def optimisers(trial: Trial) -> Supervised:
    """The published ResNet-56 × optimiser."""
    network: Settings = {"model.kind": "residual", "model.depth": 56, "training.epochs": 300}
    return looked_at(DIARY, network, labelled(trial, "optimiser", OPTIMISERS))


@noted(
    "X13",
    "2022-11-02",
    question="Is the landscape of a pretrained network another one?",
    stated=2,
    notes="Noted is a vision transformer, whose weights come in no package: "
    "model.name=vit_tiny_patch16_224 model.image_size=224 model.weights_file=…",
    weights=WEIGHTS,
)
def pretrained(trial: Trial) -> Supervised:
    """EfficientNet-Lite0, drawn or pretrained, both trained on CIFAR-10."""
    network: Settings = {
        "model.kind": "timm",
        "model.name": "tf_efficientnet_lite0",
        "model.image_size": 64,
        "optimizer.kind": "adamw",
        "training.epochs": 20,
        "evaluation.landscape.images": 5000,
    }
    return looked_at(DIARY, network, labelled(trial, "weights", WEIGHTS))


@noted("X14", "2022-11-23", question="What is a landscape like on MNIST?")
def mnist(trial: Trial) -> Supervised:
    """A residual network of 56 layers; points are shared out to no other process."""
    network: Settings = {"model.kind": "residual", "model.depth": 56, "training.epochs": 20}
    return looked_at(DIARY, network, {"data.name": "mnist"})
