"""Sweeps of natural robustness: whether answers stay as pictures change a little, or in time.

    raysearch data get fashion_mnist
    raysearch search ssl.natural_small

Where there are no sequences, translation, saturation, hue and brightness stand in for them. With
one's own pictures of sequences their names say which frames are neighbours:

    raysearch search ssl.X37 data.path=sea/samples.json
    raysearch search ssl.frames --of SEARCH
"""

from __future__ import annotations

from raysearch.sweeps.sweep import Metric, Trial, sweep
from search_spaces.settings import Settings, choices, labelled, one_of
from search_spaces.ssl_robust import DISTORTIONS, SMALL, supervised
from search_spaces.ssl_sea import embedded
from search_spaces.ssl_small import pretraining
from trainables.ssl.config import Pretraining, Supervised

STEADY = [Metric("natural/right", "maximize"), Metric("natural/same", "maximize")]
CHANGED: Settings = {"evaluation.natural.images": 1000}
"""± 0.03 of each share with 95 %; differences of two networks on the same images are surer."""


@sweep(
    name="ssl.natural_small",
    metrics=[*STEADY, Metric("val/accuracy", "maximize")],
    sampler="grid",
    stated=5,
    tags={"date": "2022-10-03", "size": "small"},
    question="Which augmentation keeps a classifier of garments right when they move or brighten?",
    notes="Garments have one channel, so that hue and saturation do not change.",
    choices=choices(distortion=DISTORTIONS),
)
def natural_small(trial: Trial) -> Supervised:
    """What is done to training images."""
    plain = {name: one for name, one in SMALL.items() if not name.startswith("evaluation.")}
    return supervised(plain, CHANGED, labelled(trial, "distortion", DISTORTIONS))


@sweep(
    name="ssl.steady_starts",
    evaluates="ssl.robust_starts",
    metrics=STEADY,
    stated=1,
    tags={"date": "2022-10-03"},
    question="Are features that were learned without labels steadier than those with them?",
    notes="Neighbours of changed pictures. The drawn network and pixels are beside each.",
)
def steady_starts(trial: Trial) -> Pretraining:
    """The trials of another search, on changed pictures."""
    return pretraining(CHANGED)


@sweep(
    name="ssl.frames",
    evaluates="ssl.X37",
    metrics=[
        Metric("natural/frames_right", "maximize"),
        Metric("natural/frames_same", "maximize"),
    ],
    stated=3,
    tags={"date": "2022-10-03"},
    question="Does a boat stay what it is from frame to frame?",
    notes="The worst frame around a picture counts, so that shares fall with more frames.",
)
def frames(trial: Trial) -> Pretraining:
    """Neighbours within one, two and five frames."""
    within = one_of(trial, "evaluation.natural.frames", 1, 2, 5)
    return embedded(CHANGED, within)
