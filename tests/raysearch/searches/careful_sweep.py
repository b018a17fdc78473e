"""The sweep over `careful`: everything that draws random numbers is on."""

from __future__ import annotations

from typing import ClassVar

from raysearch.sweeps.sweep import Metric, Trial, sweep
from trainables.core.training import Training
from trainables.ssl.config import AdamW, Augmentation, Model, Supervised


class Carefully(Supervised):
    """Supervised training that writes down its data."""

    experiment: ClassVar[str] = "tests.raysearch.searches.careful:Careful"
    name: ClassVar[str] = "tests.careful"


@sweep(metrics=[Metric("val/accuracy", "maximize", reduce="best")], sampler="grid")
def careful(trial: Trial) -> Carefully:
    """Two configurations with dropout, drop path, augmentation, mixing and accumulation."""
    return Carefully(
        model=Model(
            patch_size=4,
            layers=trial.suggest_int("model.layers", 2, 3),
            dropout=0.2,
            attention_dropout=0.1,
            drop_path=0.1,
        ),
        augmentation=Augmentation(shift=1, smallest_crop=0.7, mixup=0.2, cutmix=0.5),
        optimizer=AdamW(lr=3e-3),
        training=Training(epochs=12, batch_size=32, num_micro_batches=2),
    )
