"""Sweeps of pretraining on CIFAR-10 as they are in a diary of 2022 and 2023, by their numbers.

raysearch data get cifar10
raysearch search ssl.X35 --gpus 1
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from raysearch.sweeps.sweep import Metric, Sweep, Trial, sweep
from search_spaces.settings import Settings, choices, labelled, one_of
from search_spaces.ssl_small import CONTRAST, pretraining
from trainables.ssl.config import Pretraining

CIFAR: Settings = {
    "data.name": "cifar10",
    "views.size": 32,
    "model.patch_size": 4,
    "model.width": 192,
    "model.layers": 9,
    "model.heads": 3,
    "model.mlp_ratio": 2.0,
}
"""The small vision transformer of the diary, on pictures of 32 × 32 pixels."""
OFFICIAL: Settings = {
    "views.local_crop_input_factor": 2.0,
    "compatibility": "official",
    "training.clip_norm": 0.0,
    "clip_each": 3.0,
    "method.head.prototypes": 65_536,
}
"""The defaults of the code of DINO, but for what depends on the length and on the batch."""
NOTES: Settings = {
    "views.local_crop_input_factor": 2.0,
    "views.min_area": 0.7,
    "views.small.min_area": 0.2,
    "views.small.max_area": 0.5,
    "views.values": "notes",
    "method.head.prototypes": 1024,
    "method.head.norm_last_layer": False,
    "method.momentum": 0.9995,
    "optimizer.lr": 1e-4,
    "training.batch_size": 128,
    "training.epochs": 100,
}
"""The last settings of the diary."""
UNSCHEDULED: Settings = {
    "schedule.kind": "constant",
    "schedule.warm_up": 0.0,
    "optimizer.final_weight_decay": None,
    "method.final_momentum": 0.9995,
}
"""Neither warm-up nor schedules."""
PUBLISHED: Mapping[str, Settings] = {
    "vit_small": {
        "model.kind": "timm",
        "model.name": "vit_small_patch16_224",
        "model.drop_path": 0.1,
        "views.min_area": 0.25,
        "views.small.count": 10,
        "views.small.max_area": 0.25,
        "method.head.prototypes": 65_536,
        "method.head.norm_last_layer": False,
        "method.head.batch_norm": False,
        "method.teacher_temperature_epochs": 30,
        "optimizer.kind": "adamw",
        "optimizer.lr": 5e-4,
        "training.batch_size": 1024,
        "schedule.floor": 1e-5 / (5e-4 * 1024 / 256),
    },
    "resnet50": {
        "model.kind": "timm",
        "model.name": "resnet50",
        "model.drop_path": 0.0,
        "views.min_area": 0.14,
        "views.small.count": 6,
        "views.small.max_area": 0.14,
        "method.head.prototypes": 60_000,
        "method.head.norm_last_layer": True,
        "method.head.batch_norm": True,
        "method.teacher_temperature_epochs": 50,
        "optimizer.kind": "lars",
        "optimizer.lr": 0.3,
        "training.batch_size": 4080,
        "schedule.floor": 0.0048 / (0.3 * 4080 / 256),
    },
}
"""Two of the settings that were published with DINO."""


def logged(
    number: str,
    when: str,
    *,
    question: str,
    stated: int = 1,
    notes: str = "",
    metric: str = "val/knn",
    **tables: Mapping[str, Settings],
) -> Callable[[Callable[[Any], Any]], Sweep]:
    """A grid with its number and the day of its runs, its metric, and the tables of its choices."""
    return sweep(
        name=f"ssl.{number}",
        sampler="grid",
        tags={"date": when},
        stated=stated,
        question=question,
        notes=notes,
        metrics=[Metric(metric, "maximize")],
        choices=choices(**tables),
    )


@logged(
    "X16",
    "2022-11-18",
    question="Why was the loss stuck at 6.35?",
    notes="Noted is one run, whose teacher never moved and whose centre was a scalar.",
)
def first_version(trial: Trial) -> Pretraining:
    """No warm-up and no schedules: centre × teacher."""
    return pretraining(
        CIFAR,
        NOTES,
        UNSCHEDULED,
        one_of(trial, "method.centre", "scalar", "vector"),
        one_of(trial, "method.teacher", "frozen", "moving"),
    )


@logged("X17", "2022-11-18", question="Does DINO as in its code learn from CIFAR-10?")
def official(trial: Trial) -> Pretraining:
    """40 epochs with the defaults of the code: 10 of warm-up, down to a rate of 1e-6."""
    epochs, batch = 40, 64
    size: Settings = {
        "training.epochs": epochs,
        "training.batch_size": batch,
        "schedule.warm_up": 10 / epochs,
        "schedule.floor": 1e-6 / (5e-4 * batch / 256),
    }
    return pretraining(CIFAR, OFFICIAL, size)


@logged(
    "X18",
    "2022-11-19",
    question="Do warm-up and schedules help, and with which size of a batch?",
    stated=3,
    notes="The sizes are not noted.",
)
def batch_sizes(trial: Trial) -> Pretraining:
    """Warm-up and schedules × three sizes of a batch."""
    return pretraining(CIFAR, NOTES, one_of(trial, "training.batch_size", 64, 128, 256))


METHODS: Mapping[str, Settings] = {
    "dino": {},
    "simclr": {**CONTRAST, "views.size": 32, "method.kind": "simclr", "optimizer.lr": 5e-4},
    "supcon": {**CONTRAST, "views.size": 32, "method.kind": "supcon", "optimizer.lr": 5e-4},
}
"""DINO as noted; the others with two views of their own."""


@logged(
    "X35",
    "2023-02-15",
    question="Is contrastive learning as good as DINO, or better?",
    stated=3,
    method=METHODS,
)
def contrastive(trial: Trial) -> Pretraining:
    """DINO, SimCLR, SupCon; the last one sees the labels."""
    chosen = labelled(trial, "method", METHODS)
    notes: Settings = NOTES if not chosen else {"training.epochs": 100, "training.batch_size": 128}
    return pretraining(CIFAR, notes, chosen)


@logged(
    "X60",
    "2022-11-14",
    question="What do the published settings of DINO give?",
    stated=2,
    notes="Published on ImageNet: data.name=folder data.path=… data.image_size=256.",
    network=PUBLISHED,
)
def published(trial: Trial) -> Pretraining:
    """ViT-S/16 and ResNet-50, 800 epochs in compatibility with the code."""
    common: Settings = {
        "data.name": "cifar10",
        "views.size": 224,
        "views.local_crop_input_factor": 224 / 96,
        "compatibility": "official",
        "training.clip_norm": 0.0,
        "training.epochs": 800,
        "schedule.warm_up": 10 / 800,
        "method.teacher_temperature": 0.07,
    }
    chosen = labelled(trial, "network", PUBLISHED)
    steady: Settings = (
        {"optimizer.final_weight_decay": None, "optimizer.weight_decay": 1e-6}
        if chosen["optimizer.kind"] == "lars"
        else {}
    )
    return pretraining(common, chosen, steady)
