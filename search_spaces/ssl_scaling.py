"""Sweeps of scaling: how errors fall with what they are given.

raysearch data get fashion_mnist
raysearch search ssl.scaling_small --name garments
raysearch scaling garments data.labels_share
raysearch report garments --by data.labels_share
"""

from __future__ import annotations

from raysearch.sweeps.sweep import Metric, Trial, sweep
from search_spaces.settings import Settings, one_of
from search_spaces.ssl_robust import SMALL, supervised
from trainables.ssl.config import Supervised

SHARES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Of 16,000 images: from 500 on, twice as many each time."""
COMMON: Settings = {
    **{name: one for name, one in SMALL.items() if not name.startswith("evaluation.")},
    "data.limit": 16_000,
    "training.steps": 500,
    "training.evaluate_every": 500,
    "training.save_every": 500,
}
"""Equal steps: what differs is how many images they show, not how long they train."""


@sweep(
    name="ssl.scaling_small",
    metrics=[Metric("val/accuracy", "maximize")],
    sampler="grid",
    repeats=3,
    stated=6,
    tags={"date": "2022-11-07", "size": "small"},
    question="By which power of the number of images does the error of a classifier fall?",
    notes="A share of a limit, and not the limit, varies: validation shrinks with the limit, and "
    "all trials are to be measured on the same 3,200 images.",
)
def scaling_small(trial: Trial) -> Supervised:
    """Six sizes of the training split × three seeds."""
    return supervised(COMMON, one_of(trial, "data.labels_share", *SHARES))
