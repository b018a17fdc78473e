"""Configurations of the experiments of `groups`; no torch, so that a sweep can declare them."""

from __future__ import annotations

from typing import ClassVar

from trainables.core.training import Training
from trainables.ssl.config import Augmentation, Model, Supervised


class PreciselySupervised(Supervised):
    """Supervised training in double precision."""

    experiment: ClassVar[str] = "tests.trainables.groups:Precise"
    name: ClassVar[str] = "tests.precise"


TWENTY_STEPS = PreciselySupervised(
    augmentation=Augmentation(shift=1, smallest_crop=0.7, mixup=0.4, cutmix=0.4),
    model=Model(patch_size=4, width=8, layers=2, mlp_ratio=1.0),
    training=Training(steps=20, batch_size=24, log_every=1, evaluate_every=10, save_every=5),
)
"""Twenty steps with augmentation and mixing, and without dropout."""
