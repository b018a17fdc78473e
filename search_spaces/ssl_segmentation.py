"""Sweeps of unsupervised segmentation: the published constants, with labels and without.

raysearch data make massmind --image-size 96 --scenes 600
raysearch search ssl.segmentation_small
"""

from __future__ import annotations

from collections.abc import Mapping

from raysearch.sweeps.sweep import Metric, Trial, sweep
from search_spaces.settings import Settings, choices, labelled, merged, one_of
from trainables.ssl.config import Segmentation


def constants(weights: tuple[float, float, float], shifts: tuple[float, float, float]) -> Settings:
    """Weights λ and shifts b of an image itself, of its neighbours and of others."""
    names = ("self", "neighbour", "random")
    return {
        **{f"correspondence.{name}_weight": one for name, one in zip(names, weights, strict=True)},
        **{f"correspondence.{name}_shift": one for name, one in zip(names, shifts, strict=True)},
    }


PUBLISHED: Mapping[str, Settings] = {
    "default": constants((0.67, 0.25, 0.63), (0.18, 0.12, 0.46)),
    "coco_vit_small": constants((0.67, 0.25, 0.63), (0.08, 0.02, 0.66)),
    "coco_vit_base": constants((0.1, 1.0, 0.154), (0.12, 0.2, 1.0)),
    "cityscapes_vit_base": constants((1.0, 0.577, 0.906), (0.458, 0.175, 0.314)),
    "potsdam_vit_small": constants((0.67, 0.25, 0.63), (0.08, 0.02, 0.46)),
}
"""The weights and shifts that Hamilton et al. (2022) published, by data set and network."""
MASSMIND: Settings = {
    "data.name": "massmind",
    "data.classes": "any",
    "data.image_size": 256,
    "data.crop": "whole",
    "features.backbone": "vit_small_patch8_224.dino",
    "features.image_size": 224,
    "evaluation.scenes": None,
}
"""Whole thermal pictures, of which the network of DINO sees 224 × 280 pixels."""
SMALL: Settings = {
    "data.name": "massmind",
    "data.classes": "any",
    "data.made": True,
    "data.image_size": 96,
    "data.crop": "whole",
    "features.backbone": "tf_efficientnet_lite0",
    "features.layer": 3,
    "features.image_size": 128,
    "training.steps": 200,
    "training.evaluate_every": 50,
    "training.log_every": 50,
    "training.save_every": 200,
    "evaluation.scenes": 64,
}
"""Made pictures, and a pretrained network that comes as a package. Their size is set here."""


def segmentation(*settings: Settings) -> Segmentation:
    """The default with all of these settings, the later before the earlier."""
    return Segmentation().with_values(merged(*settings))


@sweep(
    name="ssl.X44",
    metrics=[Metric("val/cluster_miou", "maximize", reduce="best")],
    sampler="grid",
    fidelity="evaluations",
    stated=8,
    question="What do true classes teach codes that frozen features do not?",
    tags={"question": "X44"},
    notes="Eight are stated, of four sets; three of these are private and have no masks.",
)
def labels(trial: Trial) -> Segmentation:
    """MassMIND, with frozen features compared or true classes in their place."""
    return segmentation(MASSMIND, one_of(trial, "signal", "features", "labels"))


@sweep(
    name="ssl.segmentation_views",
    metrics=[Metric("val/cluster_miou", "maximize", reduce="best")],
    sampler="grid",
    fidelity="evaluations",
    stated=4,
    question="Do codes gain by crops of training pictures, or by moving with what they are of?",
    tags={"question": "X44"},
    notes="Published are five crops of half the sides, and an alignment of weight 0.",
)
def views(trial: Trial) -> Segmentation:
    """MassMIND, whole or five crops of each picture × with and without alignment."""
    crops = one_of(trial, "data.five_crop", None, 0.5)
    return segmentation(MASSMIND, crops, one_of(trial, "alignment.weight", 0.0, 0.1))


@sweep(
    name="ssl.segmentation_constants",
    metrics=[Metric("val/cluster_miou", "maximize", reduce="best")],
    sampler="grid",
    fidelity="evaluations",
    stated=5,
    question="Which of the published weights and shifts suit thermal pictures?",
    tags={"question": "X44"},
    choices=choices(constants=PUBLISHED),
)
def published(trial: Trial) -> Segmentation:
    """The published constants on MassMIND."""
    return segmentation(MASSMIND, labelled(trial, "constants", PUBLISHED))


@sweep(
    name="ssl.segmentation_small",
    metrics=[Metric("val/cluster_miou", "maximize", reduce="best")],
    sampler="tpe",
    fidelity="evaluations",
    trials=10,
    question="How much alike must features be to make codes alike, and do labels help?",
    tags={"question": "X44", "size": "small"},
    notes="How alike features are on average differs between networks, and shifts with it.",
)
def small(trial: Trial) -> Segmentation:
    """Frozen features or labels × shifts of an image itself and of others."""
    signal = one_of(trial, "signal", "features", "labels")
    shifts: Settings = {
        "correspondence.self_shift": trial.suggest_float("correspondence.self_shift", 0.0, 0.6),
        "correspondence.random_shift": trial.suggest_float("correspondence.random_shift", 0.2, 1.2),
    }
    return segmentation(SMALL, signal, shifts)


@sweep(
    name="ssl.segmentation_unlabelled",
    metrics=[Metric("val/clusters_used", "maximize")],
    sampler="grid",
    fidelity="evaluations",
    stated=4,
    question="Into what do codes divide scenes of which no class is known?",
    tags={"question": "X44"},
    notes="To be looked at: no score says whether clusters mean anything. For pictures without "
    "masks take data.classes=none in any sweep of segmentation.",
)
def unlabelled(trial: Trial) -> Segmentation:
    """CLEVR without masks, few or many clusters × whole scenes or five crops of each."""
    scenes: Settings = {
        **{name: one for name, one in SMALL.items() if not name.startswith("data.")},
        "data.name": "clevr",
        "data.classes": "none",
    }
    number = one_of(trial, "probes.extra_clusters", 7, 27)
    return segmentation(scenes, number, one_of(trial, "data.five_crop", None, 0.5))
