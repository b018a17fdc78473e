"""Settings of the evaluations of representations: segments, probes, number of scenes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from trainables.core.config import Config
from trainables.settings.ranges import Count, Natural


class Segmentation(Config):
    """How maps of slots become masks, and how these are compared.

    `source`: the attention of the `first` or `last` layer or iteration, their `mean`, or the
    `rollout` of all; with `heads` reduced to their mean or largest. A rollout of the backbone may
    follow (`through_backbone`), whose layers are (A + I) / 2: without I if not `adds_residual`,
    without ½ as was published if not `halves`. `rule`: pixels above Otsu's threshold of each map,
    or the slot of the largest value. `dilates` true masks as was published: each pixel that a
    resized mask touches.
    """

    source: Literal["first", "mean", "last", "rollout"] = "last"
    heads: Literal["mean", "max"] = "mean"
    through_backbone: bool = False
    adds_residual: bool = True
    halves: bool = True
    rule: Literal["otsu", "argmax"] = "otsu"
    enlargement: Literal["bilinear", "nearest"] = "bilinear"
    dilates: bool = False

    def void(self) -> frozenset[str]:
        """Without a rollout of the backbone, what its layers are."""
        void = frozenset[str]() if self.through_backbone else frozenset({"adds_residual", "halves"})
        if self.adds_residual and self.through_backbone:
            return void
        return void | {"halves"}


class Probe(Config):
    """Linear probes on features of the scenes of an evaluation, of which a quarter tests them.

    They are fitted for at most `steps` steps (0: there are none) and stop early; or for all of
    them, on features as they are and at a small rate, as was published with 4,000 or 10,000.
    `neighbours` vote on the number of objects.
    """

    steps: Natural = 1000
    stops_early: bool = True
    neighbours: Count = 10

    def void(self) -> frozenset[str]:
        """Without steps, how they end, and what is read off with them."""
        return frozenset() if self.steps else frozenset({"stops_early", "neighbours"})


class Evaluations(Config):
    """How networks are measured: on `scenes` scenes (None: all), with `num_slots` slots (None: as
    trained) but for the loss of views.

    Where views are frames, those of clips that have so many scenes together are compared.
    `shares_draws` gives all images the same normal queries, as was published: a loss that is too
    low. `pictures` scenes are shown in figures.
    """

    scenes: Annotated[int, Field(ge=2)] | None = 2000
    num_slots: Count | None = None
    segmentation: Segmentation = Segmentation()
    probe: Probe = Probe()
    shares_draws: bool = False
    pictures: Natural = 4

    def void(self) -> frozenset[str]:
        """What is as trained, and what is only to be looked at."""
        void = {"pictures"} | ({"num_slots"} if self.num_slots is None else set())
        return frozenset(void if self.shares_draws else void | {"shares_draws"})
