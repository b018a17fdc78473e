"""Sweeps of robustness: accuracy on corrupted images.

    raysearch data get fashion_mnist
    raysearch search ssl.corruption_small

Searches corrupt validation images. The test split of CIFAR-10 as it was published corrupted is
evaluated once, of a checkpoint of the best trial:

    raysearch train ssl.supervised --evaluate-only CHECKPOINT --split test \
        evaluation.corruption.path=CIFAR-10-C
"""

from __future__ import annotations

from collections.abc import Mapping

from raysearch.sweeps.sweep import Metric, Trial, sweep
from search_spaces.settings import Settings, choices, labelled, merged, one_of
from trainables.ssl.config import Supervised

ROBUST = [Metric("corruption/accuracy", "maximize"), Metric("val/accuracy", "maximize")]
EACH = 200
"""Images of each corruption and severity: ± 0.006 of the mean of all with 95 %, if they were
independent."""

CIFAR_NETWORKS: Mapping[str, Settings] = {
    "vit_tiny": {
        "model.patch_size": 4,
        "model.width": 192,
        "model.layers": 9,
        "model.heads": 3,
        "model.mlp_ratio": 2.0,
    },
    "resnet26": {"model.kind": "timm", "model.name": "resnet26"},
    "convnext_pico": {"model.kind": "timm", "model.name": "convnext_pico"},
    "mobilenetv3_small": {"model.kind": "timm", "model.name": "mobilenetv3_small_100"},
}
"""Of the diary."""
SMALL: Settings = {
    "data.name": "fashion_mnist",
    "data.limit": 4000,
    "model.patch_size": 7,
    "model.width": 64,
    "model.layers": 3,
    "model.heads": 4,
    "optimizer.lr": 2e-3,
    "training.epochs": 12,
    "training.batch_size": 64,
    "evaluation.corruption.images": 60,
}
"""What is common to the small ones."""
DISTORTIONS: Mapping[str, Settings] = {
    "plain": {},
    "shifted": {"augmentation.shift": 3},
    "cropped": {"augmentation.smallest_crop": 0.6},
    "mixup": {"augmentation.mixup": 0.4},
    "cutmix": {"augmentation.cutmix": 1.0},
}
"""What is done to training images."""


def supervised(*settings: Settings) -> Supervised:
    """The default with all of these settings, the later before the earlier."""
    return Supervised().with_values(merged(*settings))


@sweep(
    name="ssl.X06",
    metrics=ROBUST,
    sampler="grid",
    tags={"date": "2022-11-04"},
    stated=4,
    question="How robust is each network on CIFAR-10 under 19 corruptions at 5 severities?",
    notes="Noted is the measure, accuracy over all of them, and no number.",
    choices=choices(network=CIFAR_NETWORKS),
)
def cifar_c(trial: Trial) -> Supervised:
    """The networks of the diary; corrupted validation images."""
    common: Settings = {
        "data.name": "cifar10",
        "augmentation.shift": 4,
        "augmentation.flips": True,
        "training.epochs": 100,
        "training.batch_size": 128,
        "evaluation.corruption.images": EACH,
    }
    return supervised(common, labelled(trial, "network", CIFAR_NETWORKS))


@sweep(
    name="ssl.corruption_small",
    metrics=ROBUST,
    sampler="grid",
    stated=10,
    tags={"question": "X06", "size": "small"},
    question="Which augmentation makes a classifier of garments robust, and does accuracy tell?",
    notes="60 images of each of 95 kinds of corrupted images: differences below 0.02 are noise.",
    choices=choices(distortion=DISTORTIONS),
)
def corruption_small(trial: Trial) -> Supervised:
    """What is done to training images × smoothing of labels."""
    return supervised(
        SMALL,
        labelled(trial, "distortion", DISTORTIONS),
        one_of(trial, "label_smoothing", 0.0, 0.1),
    )
