"""What the campaign of faults searches over."""

from __future__ import annotations

from typing import ClassVar

from raysearch.sweeps.sweep import Metric, Trial, sweep
from trainables.core.training import Training
from trainables.ssl.config import AdamW, Augmentation, Model, Supervised


class Written(Supervised):
    """Supervised training that writes down what it does."""

    experiment: ClassVar[str] = "tests.cluster.written:Writing"
    name: ClassVar[str] = "tests.written"


@sweep(metrics=[Metric("val/accuracy", "maximize", reduce="best")], sampler="grid")
def trained(trial: Trial) -> Written:
    """Four configurations; dropout, augmentation and accumulation draw random numbers."""
    return Written(
        model=Model(
            patch_size=4, layers=2, dropout=trial.suggest_categorical("model.dropout", [0.0, 0.2])
        ),
        augmentation=Augmentation(shift=1, smallest_crop=0.7, mixup=0.2),
        optimizer=AdamW(lr=trial.suggest_categorical("optimizer.lr", [1e-3, 3e-3])),
        training=Training(
            steps=160, batch_size=32, num_micro_batches=2, evaluate_every=20, save_every=20
        ),
    )
