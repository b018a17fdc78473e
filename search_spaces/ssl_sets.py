"""Sweeps on Imagenette and its kin: wrong labels, few labels, images without labels.

The folders are people's own: `data/imagenette2-160` with its list of noisy labels, and
`data/imagewang-160`. Another one is said with the search:

    raysearch search ssl.noisy_labels data.path=imagewoof2-160

What sees labels is not comparable by neighbours with what does not: neighbours and the probe see
labels too, the same wrong or few ones, but not the network.
"""

from __future__ import annotations

from collections.abc import Mapping

from raysearch.sweeps.sweep import Metric, Trial, sweep
from search_spaces.settings import Settings, choices, labelled, one_of, only
from search_spaces.ssl_small import pretraining
from trainables.ssl.config import Pretraining

METRICS = [Metric("val/knn", "maximize"), Metric("val/probe", "maximize")]
FOLDER: Settings = {
    "data.name": "folder",
    "data.path": "data/imagenette2-160",
    "data.image_size": 128,
    "model.kind": "timm",
    "model.name": "resnet18",
    "views.size": 96,
    "training.steps": 20_000,  # equal steps, however many images have labels
    "training.evaluate_every": 1000,
    "training.save_every": 1000,
    "training.batch_size": 64,
    "evaluation.probe.steps": 500,
}
"""A ResNet-18 on pictures of 128 × 128 pixels, some 160 passes over 7,891 of them."""
VIEWS: Settings = {
    "views.kind": "contrastive",
    "views.size": 96,
    "optimizer.final_weight_decay": None,
}
METHODS: Mapping[str, Settings] = {
    "cross_entropy": {**VIEWS, "method.kind": "cross_entropy"},
    "supcon": {**VIEWS, "method.kind": "supcon"},
    "simclr": {**VIEWS, "method.kind": "simclr"},
    "dino": {"views.local_crop_input_factor": 2.0},
}
"""Two that see labels, and two that do not."""


@sweep(
    name="ssl.noisy_labels",
    metrics=METRICS,
    sampler="grid",
    stated=20,
    question="Does what sees no labels bear wrong ones better?",
    tags={"data": "imagenette"},
    choices=choices(method=METHODS),
    notes="Labels of validation and test are the true ones. The network of a method that sees no "
    "labels is the same with any of them.",
)
def noisy_labels(trial: Trial) -> Pretraining:
    """Four methods × how many of 100 training labels are wrong."""
    method = labelled(trial, "method", METHODS)
    return pretraining(FOLDER, method, one_of(trial, "data.noisy_labels", 0, 1, 5, 25, 50))


@sweep(
    name="ssl.few_labels",
    metrics=METRICS,
    sampler="grid",
    stated=20,
    question="From how few labels on does it help to learn from images without any?",
    tags={"data": "imagenette"},
    choices=choices(method=METHODS),
    notes="Of 7,891 training images 79 have labels at the least, some 8 of each class.",
)
def few_labels(trial: Trial) -> Pretraining:
    """Four methods × the share of training images whose labels are known."""
    method = labelled(trial, "method", METHODS)
    return pretraining(
        FOLDER, method, one_of(trial, "data.labels_share", 0.01, 0.05, 0.1, 0.25, 1.0)
    )


UNLABELLED = only(METHODS, "simclr", "dino")


@sweep(
    name="ssl.unlabelled",
    metrics=METRICS,
    sampler="grid",
    stated=4,
    question="What do the images of Imagewang give whose classes are not to be known?",
    tags={"data": "imagewang"},
    choices=choices(method=UNLABELLED),
    notes="Test images are of ten of its twenty classes. Of validation, drawn from training, few "
    "are of these ten.",
)
def unlabelled(trial: Trial) -> Pretraining:
    """Two methods that see no labels × without the folder of these images, or with it."""
    return pretraining(
        FOLDER,
        {"data.path": "data/imagewang-160"},
        labelled(trial, "method", UNLABELLED),
        one_of(trial, "data.unlabelled", False, True),
    )
