"""Settings of the loss landscape of a trained network, and of its pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from trainables.core.config import Config
from trainables.settings.contents import by_checkpoints
from trainables.settings.ranges import Count, Natural, Positive

_FEWEST = 4
"""Checkpoints of a path: two principal components of three networks before the last one."""


class Landscape(Config):
    """A loss around the weights of a trained network, along one or two random directions.

    There are `resolution` points along each of `dimensions` (0: no landscape), from −`distance` to
    `distance`; at 1 a direction is as large as the weights. Directions are drawn by a `seed` of
    their own and normalised by a `norm`, as in `trainables.metrics.directions`; biases and gains
    are moved if it `moves_vectors`, class and position tokens if it `moves_tokens`. The loss is
    that of so many `images` of a split, with the same share of each class, without augmentation.
    Pictures have `heights` that are cut off at 10 and logarithmic, or losses as they are.

    `path` is a folder with checkpoints of the training (null: none), such as the folder of a trial
    with `training.weights_every`: where they lie is drawn over two dimensions. With the `plane` of
    the `path` these are the two in which it moved most, and at a `distance` of 1 the picture
    reaches as far as it does.
    What was computed is kept in the folder `cache` (null: nowhere), by all that it depends on.
    """

    resolution: Natural = 0
    dimensions: Literal[1, 2] = 2
    distance: Positive = 1.0
    direction: Literal["gaussian", "uniform"] = "gaussian"
    norm: Literal["filter", "layer", "weight", "dfilter", "dlayer"] = "filter"
    moves_vectors: bool = False
    moves_tokens: bool = True
    images: Count = 500
    split: Literal["train", "val"] = "train"
    heights: Literal["clipped_log", "linear"] = "clipped_log"
    seed: Natural = 0
    path: str | None = None
    plane: Literal["random", "path"] = "random"
    cache: str | None = None

    @model_validator(mode="after")
    def _a_path_spans_its_plane(self) -> Landscape:
        if self.resolution and self.plane == "path" and (self.path is None or self.dimensions < 2):
            raise ValueError(
                "plane must be 'random' unless path names a folder of checkpoints and dimensions "
                "are 2, got 'path'"
            )
        return self

    @model_validator(mode="after")
    def _the_network_is_a_point(self) -> Landscape:
        if self.resolution and (self.resolution < 3 or self.resolution % 2 == 0):
            near = max(3, self.resolution + 1)
            raise ValueError(
                f"resolution must be 0 or odd and at least 3, so that the network itself is a "
                f"point, got {self.resolution}; try {near}"
            )
        return self

    def void(self) -> frozenset[str]:
        """Of no landscape everything; curves have one way to be drawn, and no path over them; how
        random directions are drawn where there are none; what is the usual; where it is kept.
        """
        if not self.resolution:
            return frozenset(type(self).model_fields)
        void = {"cache"} | ({"heights", "path"} if self.dimensions == 1 else set[str]())
        void |= {"plane"} if self.plane == "random" else {"direction", "norm", "seed"}
        return frozenset(void | ({"path"} if self.path is None else set[str]()))

    def missing(self, place: str) -> str | None:
        """The sentence on a folder without a path; begins with a path below `place`."""
        if not self.resolution or self.path is None or self.dimensions == 1:
            return None
        folder = Path(self.path).expanduser()
        if len(list(folder.rglob("*.pt"))) >= _FEWEST:
            return None
        return (
            f"{place}.path must be a folder with at least {_FEWEST} checkpoints (*.pt), got "
            f"{self.path!r}"
        )

    def _canonical(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        return by_checkpoints(super()._canonical(plain), "path")

    def unreported(self, metric: str, place: str) -> str | None:
        """The sentence on why no run reports a metric; begins with it, names a path below `place`;
        None if it may.
        """
        if not metric.startswith("landscape/"):
            return None
        if not self.resolution:
            return f"metric {metric} needs a landscape; take {place}.resolution of at least 3, odd"
        if metric == "landscape/cosine" and self.dimensions == 1:
            return f"metric {metric} is of two directions; take {place}.dimensions of 2"
        if metric == "landscape/path_share" and "path" in self.void():
            return f"metric {metric} needs a folder of checkpoints; take {place}.path"
        return None


class LandscapeOfViews(Landscape):
    """The same of a network that was trained on views.

    `own` is the loss of its method, of views that stay the same, with teacher, centre and queue as
    they are at the end: not comparable between methods. `probe` is the cross entropy of a linear
    layer that was fitted on features of the same images, and stays.
    """

    loss: Literal["own", "probe"] = "own"

    @model_validator(mode="after")
    def _images_are_compared(self) -> LandscapeOfViews:
        if self.resolution and self.loss == "own" and self.images < 2:
            raise ValueError(
                f"images must be at least 2 with loss 'own', which may compare them, got "
                f"{self.images}; or take loss 'probe'"
            )
        return self

    def unreported(self, metric: str, place: str) -> str | None:
        """As of any landscape; the loss of a method names no classes."""
        problem = super().unreported(metric, place)
        if problem is None and metric == "landscape/accuracy" and self.loss == "own":
            return f"metric {metric} needs a classifier; take {place}.loss 'probe'"
        return problem
