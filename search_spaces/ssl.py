"""Sweeps of the family ssl: representation learning on images."""

from __future__ import annotations

from raysearch.declare.sweep import Metric, Trial, sweep
from trainables.core.training import Training
from trainables.ssl.config import (
    SGD,
    AdamW,
    Augmentation,
    Evaluation,
    Model,
    Schedule,
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
