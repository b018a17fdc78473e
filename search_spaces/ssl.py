"""Sweeps of the family ssl: representation learning on images."""

from __future__ import annotations

from raysearch.sweeps.sweep import Metric, Trial, sweep
from trainables.core.training import Training
from trainables.settings.backbones import Backbone
from trainables.settings.images import Images
from trainables.settings.schedules import Schedule
from trainables.ssl.config import (
    LARS,
    SAM,
    SGD,
    AdamW,
    Augmentation,
    Evaluation,
    Model,
    Supervised,
)

ACCURACY = [Metric("val/accuracy", "maximize", reduce="best")]


@sweep(
    metrics=ACCURACY,
    sampler="tpe",
    pruner="median:warmup=5,startup=5",  # the rate warms up for 2 epochs; 3 more show its effect
    trials=32,
    question="Which small vision transformer reads digits best, and how is it trained?",
    tags={"data": "digits"},
)
def digits_vit(trial: Trial) -> Supervised:
    """Size, patches, dropout and schedule, and an optimiser with ranges of its own."""
    model = Model(
        patch_size=trial.suggest_categorical("model.patch_size", [2, 4]),
        width=trial.suggest_categorical("model.width", [16, 32, 64]),
        layers=trial.suggest_int("model.layers", 1, 4),
        heads=trial.suggest_categorical("model.heads", [1, 2, 4]),
        dropout=trial.suggest_float("model.dropout", 0.0, 0.3),
    )
    optimizer: AdamW | SGD
    if trial.suggest_categorical("optimizer.kind", ["adamw", "sgd"]) == "adamw":
        optimizer = AdamW(
            lr=trial.suggest_float("optimizer[adamw].lr", 1e-4, 3e-2, log=True),
            weight_decay=trial.suggest_float("optimizer[adamw].weight_decay", 1e-3, 1.0, log=True),
        )
    else:
        optimizer = SGD(
            lr=trial.suggest_float("optimizer[sgd].lr", 1e-3, 1.0, log=True),
            momentum=trial.suggest_float("optimizer[sgd].momentum", 0.0, 0.95),
        )
    return Supervised(
        augmentation=Augmentation(shift=trial.suggest_int("augmentation.shift", 0, 1)),
        model=model,
        optimizer=optimizer,
        schedule=Schedule(
            kind=trial.suggest_categorical("schedule.kind", ["cosine", "linear", "constant"])
        ),
        training=Training(epochs=20, batch_size=32),
    )


@sweep(
    metrics=ACCURACY,
    sampler="grid",
    pruner="none",
    question="How many layers and heads, and which patches?",
    tags={"data": "digits"},
)
def digits_grid(trial: Trial) -> Supervised:
    """Layers × heads × patches: 18 points."""
    model = Model(
        layers=trial.suggest_int("model.layers", 1, 3),
        heads=trial.suggest_categorical("model.heads", [1, 2, 4]),
        patch_size=trial.suggest_categorical("model.patch_size", [2, 4]),
    )
    return Supervised(model=model, training=Training(epochs=10, batch_size=32))


@sweep(
    metrics=ACCURACY,
    evaluates="ssl.digits_vit",
    question="How much noise do the digit readers bear?",
    tags={"data": "digits"},
)
def digits_noise(trial: Trial) -> Supervised:
    """Five levels, from none to noise as large as what the standardised images show."""
    noise = trial.suggest_float("evaluation.noise", 0.0, 1.0, step=0.25)
    return Supervised(evaluation=Evaluation(noise=noise))


@sweep(
    metrics=ACCURACY,
    sampler="tpe",
    pruner="median:warmup=2,startup=5",  # the first epoch shows how fast a rate is, not how good
    trials=16,
    question="Which small network learns garments from 2,000 pictures, and do photographs help?",
    tags={"data": "fashion_mnist"},
    notes="Validation on 400 pictures: differences below 0.03 are noise.",
)
def fashion_backbones(trial: Trial) -> Supervised:
    """A vision transformer or a network of timm, pretrained and frozen or not, and an optimiser."""
    return Supervised(
        data=Images(name="fashion_mnist", limit=2000),
        augmentation=Augmentation(shift=trial.suggest_int("augmentation.shift", 0, 2)),
        model=_backbone(trial),
        optimizer=_optimizer(trial),
        training=Training(epochs=5, batch_size=64),
    )


def _backbone(trial: Trial) -> Model | Backbone:
    """Networks of timm see 32 × 32 pixels: they halve an image five times."""
    if trial.suggest_categorical("model.kind", ["vit", "timm"]) == "vit":
        layers = trial.suggest_int("model.layers", 1, 4)
        return Model(patch_size=4, width=64, heads=4, layers=layers)
    names = ["resnet10t", "mobilenetv3_small_050", "tf_efficientnet_lite0"]
    name = trial.suggest_categorical("model.name", names)
    pretrained = frozen = False
    if name == "tf_efficientnet_lite0":  # the only one whose weights are in a package
        pretrained = trial.suggest_categorical("model.pretrained", [False, True])
    if pretrained:
        frozen = trial.suggest_categorical("model.frozen", [False, True])
    return Backbone(name=name, pretrained=pretrained, frozen=frozen, image_size=32)


def _optimizer(trial: Trial) -> AdamW | SGD | LARS | SAM:
    kind = trial.suggest_categorical("optimizer.kind", ["adamw", "sgd", "lars", "sam"])
    if kind == "adamw":
        return AdamW(lr=trial.suggest_float("optimizer[adamw].lr", 1e-4, 3e-2, log=True))
    if kind == "sgd":
        return SGD(lr=trial.suggest_float("optimizer[sgd].lr", 1e-3, 1.0, log=True))
    if kind == "lars":
        return LARS(lr=trial.suggest_float("optimizer[lars].lr", 0.03, 10.0, log=True))
    return SAM(
        lr=trial.suggest_float("optimizer[sam].lr", 1e-4, 3e-2, log=True),
        rho=trial.suggest_float("optimizer.rho", 0.01, 0.5, log=True),
    )
