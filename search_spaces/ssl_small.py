"""Small versions of sweeps of pretraining: minutes on two cores, on 10,000 pictures of garments.

    raysearch data get fashion_mnist

What was found by a search is told apart by seeds and more steps:

    raysearch search ssl.teacher_small --repeats 3 training.steps=2000 training.evaluate_every=200
"""

from __future__ import annotations

from collections.abc import Mapping

from raysearch.sweeps.sweep import Metric, Trial, sweep
from search_spaces.settings import Settings, choices, labelled, merged
from trainables.ssl.config import Pretraining

SMALL: Settings = {
    "data.name": "fashion_mnist",
    "data.limit": 10_000,
    "views.size": 28,
    "model.patch_size": 7,
    "model.width": 64,
    "model.layers": 3,
    "model.heads": 4,
    "optimizer.lr": 4e-3,  # 1e-3 with 64 pictures
    "training.steps": 300,
    "training.batch_size": 64,
    "training.log_every": 50,
    "training.evaluate_every": 100,
    "training.save_every": 300,
    "evaluation.neighbours.bank": 5000,
}
"""What is common to all of them. Their size is set here."""
DINO: Settings = {
    "views.local_crop_input_factor": 2.0,
    "views.small.count": 4,
    "method.head.hidden": 256,
    "method.head.bottleneck": 64,
    "method.momentum": 0.99,
    "method.last_layer_epochs": 0,  # an epoch is a large part of so few steps
}
"""Two large and four small views, a small head, and a teacher that follows in a hundred steps."""
CONTRAST: Settings = {
    "views.kind": "contrastive",
    "views.size": 28,
    "optimizer.final_weight_decay": None,
}
"""Two views that are made alike."""

TEACHERS: Mapping[str, Settings] = {
    "moving": {"method.teacher": "moving", "method.centre": "vector"},
    "frozen": {"method.teacher": "frozen", "method.centre": "vector"},
    "scalar_centre": {"method.teacher": "moving", "method.centre": "scalar"},
}
"""As published, and with each of two faults."""


def pretraining(*settings: Settings) -> Pretraining:
    """The default with all of these settings, the later before the earlier."""
    return Pretraining().with_values(merged(*settings))


@sweep(
    name="ssl.methods_small",
    metrics=[Metric("val/knn", "maximize")],
    sampler="tpe",
    pruner="successive-halving:min=1,factor=2",
    fidelity="evaluations",
    trials=24,
    question="Which method of pretraining, and at which rate, temperature and scale of crops?",
    tags={"question": "X35", "size": "small"},
    notes="SupCon sees the labels: its neighbours are not comparable with those of the others.",
)
def methods(trial: Trial) -> Pretraining:
    """Method × rate × temperature × momentum × scale of the large crops."""
    kind = trial.suggest_categorical("method.kind", ["dino", "simclr", "supcon"])
    rate: Settings = {"optimizer.lr": trial.suggest_float("optimizer.lr", 1e-3, 2e-2, log=True)}
    area: Settings = {"views.min_area": trial.suggest_float("views.min_area", 0.1, 0.7)}
    if kind == "dino":
        own: Settings = {
            "method.teacher_temperature": trial.suggest_float(
                "method[dino].teacher_temperature", 0.02, 0.07
            ),
            "method.momentum": trial.suggest_float("method[dino].momentum", 0.97, 0.998),
        }
        return pretraining(SMALL, DINO, rate, area, own)
    low, high = (0.1, 0.7) if kind == "simclr" else (0.05, 0.3)
    name = f"method[{kind}].temperature"
    own = {"method.kind": kind, "method.temperature": trial.suggest_float(name, low, high)}
    return pretraining(SMALL, CONTRAST, rate, area, own)


BESIDE: Mapping[str, Settings] = {
    "cross_entropy": merged(
        SMALL,
        CONTRAST,
        {"method.kind": "cross_entropy", "training.steps": 1500, "training.evaluate_every": 300},
    ),
    "pretrained": {
        "data.name": "fashion_mnist",
        "data.limit": 10_000,
        **CONTRAST,
        "model.kind": "timm",
        "model.name": "tf_efficientnet_lite0",
        "model.pretrained": True,
        "model.image_size": 64,
        "method.kind": "simclr",
        "training.steps": 0,
        "evaluation.health": 0,
        "evaluation.neighbours.bank": 5000,
    },
}
"""Labels for the same network and pictures; and another network, as it was published."""


@sweep(
    name="ssl.methods_beside",
    metrics=[Metric("val/knn", "maximize")],
    sampler="grid",
    stated=2,
    question="What do labels, or a network that saw ImageNet, give on the same pictures?",
    tags={"question": "X35", "size": "small"},
    choices=choices(beside=BESIDE),
    notes="Rows beside ssl.methods_small; both saw labels, of these pictures or of others.",
)
def beside(trial: Trial) -> Pretraining:
    """Trained with labels in as many steps, and a pretrained network without any."""
    return pretraining(labelled(trial, "beside", BESIDE))


@sweep(
    name="ssl.teacher_small",
    metrics=[Metric("val/student/knn", "maximize")],
    sampler="grid",
    fidelity="evaluations",
    stated=3,
    question="Did the teacher have to move, and its centre to be a vector?",
    tags={"question": "X16", "size": "small"},
    choices=choices(teacher=TEACHERS),
    notes="Students are compared; look at health/distance, which stands still if a teacher does.",
)
def teacher(trial: Trial) -> Pretraining:
    """A teacher that moves, one that stays as it was drawn, and one whose centre is a number."""
    longer: Settings = {
        "training.steps": 1000,
        "training.evaluate_every": 200,
        "training.save_every": 1000,
    }
    return pretraining(SMALL, DINO, longer, labelled(trial, "teacher", TEACHERS))


@sweep(
    name="ssl.channels_small",
    metrics=[Metric("val/knn", "maximize")],
    sampler="grid",
    stated=6,
    question="How are pictures of one channel shown to a network that was trained with three?",
    tags={"question": "X37", "size": "small"},
    notes="stem1to3 begins as copy3 and differs only when it is trained: ssl.X37.",
)
def channels(trial: Trial) -> Pretraining:
    """Neighbours by a pretrained network, without a step of training, in each channel mode."""
    modes = ["copy3", "red", "green", "blue", "mean", "sum"]
    shown: Settings = {
        "model.kind": "timm",
        "model.name": "tf_efficientnet_lite0",
        "model.pretrained": True,
        "model.image_size": 64,
        "model.channel_mode": trial.suggest_categorical("model.channel_mode", modes),
        "method.kind": "simclr",
        "training.steps": 0,
        "evaluation.health": 0,
    }
    garments: Settings = {"data.name": "fashion_mnist", "data.limit": 6000}
    return pretraining(garments, CONTRAST, shown)
