"""Evaluation of segmentation: classes of pixels by codes, and by references that learn nothing."""

# B images, H × W pixels, D width of features, C classes, K clusters.

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from trainables.core import liveness
from trainables.core.experiment import Evaluated, References
from trainables.core.randomness import generator
from trainables.data.features import identity
from trainables.data.scores import kept_scores
from trainables.figures.semantic import class_table
from trainables.layers.kmeans import first_centroids, kmeans
from trainables.metrics.mean_field import mean_field
from trainables.metrics.semantic import (
    PixelScores,
    cluster_scores,
    match,
    pixel_scores,
    tally,
    with_mirror,
)
from trainables.ssl import segmentation_data
from trainables.ssl.segmentation_data import Part
from trainables.ssl.segmentation_task import SegmentationTask

AT_ONCE = 16
"""So many images are looked at together."""
_FITTED, _VECTORS = 256, 20_000  # training images that clusters without learning see, and places

Kinds = dict[str, Tensor]
"""What is predicted of each pixel, by how."""


class Look(NamedTuple):
    """Images [B, 3, H, W] in 0…1, classes [B, H, W] (all 0 where there are none), maps
    [B, D, h, w], and mirror images' maps.
    """

    images: Tensor
    labels: Tensor
    maps: Tensor
    mirrored: Tensor | None


@dataclass
class _Counted:
    """Counts of pixels by what was predicted, and the first images of all."""

    classes: int
    counts: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    shown: list[tuple[Look, Kinds]] = field(default_factory=list[tuple[Look, Kinds]])

    def add(self, look: Look, kinds: dict[str, tuple[Tensor, int]]) -> None:
        """Counts predictions, each with the number of what may be predicted."""
        for name, (predicted, number) in kinds.items():
            found = tally(predicted, look.labels, self.classes, number)
            self.counts[name] = self.counts.get(name, torch.zeros_like(found)) + found

    def scores(self, name: str) -> PixelScores:
        """Those of a kind; of clusters once they are matched."""
        counts = self.counts[name]
        return cluster_scores(counts) if name.startswith("cluster") else pixel_scores(counts)


class Measuring:
    """The evaluations of an experiment."""

    def __init__(self, experiment: SegmentationTask) -> None:
        self._experiment = experiment
        self._settings = experiment.config.evaluation
        self._names = experiment.config.data.class_names

    def measure(self, split: str, last: bool) -> Evaluated:
        """`cluster_miou` and `cluster_accuracy`, of clusters that are matched with classes on these
        very pixels, and `linear_miou` and `linear_accuracy`, of the linear layer; at the last time
        the IoU of each class, what a random field makes of both, and pictures.
        """
        counted = _Counted(len(self._names))
        with_field = last and self._settings.crf
        for look in self.looks(self.part(split)):
            kinds = self.predicted(look, with_field)
            counted.add(look, kinds)
            missing = self._settings.pictures - sum(len(one.images) for one, _ in counted.shown)
            if last and missing > 0:
                counted.shown.append((look, {name: one for name, (one, _) in kinds.items()}))
        values: dict[str, float] = {}
        for name in counted.counts:
            found = counted.scores(name)
            values |= {f"{name}_miou": found.miou, f"{name}_accuracy": found.accuracy}
            if last:
                each = zip(self._names, found.iou.tolist(), strict=True)
                values |= {f"{name}_iou/{one}": iou for one, iou in each if iou == iou}
        if not last or not counted.shown:
            return Evaluated(values)
        title = f"{self._experiment.config.data.name}, {split}: mIoU of clusters "
        title += f"{values['cluster_miou']:.3f}, linear {values['linear_miou']:.3f}"
        draw = partial(self._draw, counted=counted, title=title)
        return Evaluated(values, {"segments": draw})

    def references(self, split: str) -> References:
        """What learns nothing, on the same pixels.

        `majority`: all are of the class that training has most of. `colours`: k-means of the
        colours of pixels, `features`: of the directions of the frozen features, fitted to training
        images. They do not depend on the run, and are kept for all.
        """
        config, data, part = self._experiment.config, self._experiment.data, self.part(split)
        facts = [
            "segmentation", data.store.fingerprint, config.data.classes, part.store.fingerprint,
            data.train().store.fingerprint, config.probes.extra_clusters,
            identity({"positions": hashlib.sha256(part.positions.tobytes()).hexdigest()}),
        ]  # fmt: skip
        return kept_scores(Path(config.data.root), facts, lambda: self._references(split))

    def _references(self, split: str) -> References:
        clusters = len(self._names) + self._experiment.config.probes.extra_clusters
        by_colour = Clusters(self.fitted(lambda look: look.images), clusters, spherical=False)
        by_features = Clusters(self.fitted(features_of), clusters, spherical=True)
        most = int(self._training_classes().argmax())
        counted = _Counted(len(self._names))
        for look in self.looks(self.part(split)):
            size = (look.labels.shape[1], look.labels.shape[2])
            features = functional.interpolate(features_of(look), size, mode="bilinear")
            always = torch.full_like(look.labels, most)
            kinds = {
                "linear": (always, len(self._names)),
                "cluster_colours": (by_colour(look.images), clusters),
                "cluster_features": (by_features(features), clusters),
            }
            counted.add(look, kinds)
        rows = {name: counted.scores(name) for name in counted.counts}
        found = {
            name: {"cluster_miou": own.miou, "cluster_accuracy": own.accuracy}
            for name, own in (
                ("colours", rows["cluster_colours"]),
                ("features", rows["cluster_features"]),
            )
        }
        blind = rows["linear"]
        majority = {
            f"{kind}_{name}": value
            for kind in ("cluster", "linear")
            for name, value in (("miou", blind.miou), ("accuracy", blind.accuracy))
        }
        return {"majority": majority, **found}

    def part(self, split: str) -> Part:
        """The scenes of a split that are measured."""
        settings = self._settings
        return self._experiment.data.measured(split, settings.scenes, mirrors=settings.mirrors)

    def looks(self, part: Part, most: int | None = None) -> Iterator[Look]:
        """The scenes of a part in batches, on the device of the networks."""
        experiment, device = self._experiment, next(self._experiment.parameters()).device
        number = len(part.positions)
        each = len(part.store) // number
        for rows in torch.arange(min(number, most or number)).split(AT_ONCE):
            liveness.alive()
            maps = [
                experiment.maps(
                    part,
                    segmentation_data.to(segmentation_data.taken(part, each * rows + own), device),
                )
                for own in range(each)
            ]
            images = segmentation_data.seen(part, rows).to(device)
            labels = torch.zeros_like(images[:, 0], dtype=torch.uint8)
            if self._names:
                labels = experiment.data.labels(part, rows).to(device)
            yield Look(
                images,
                labels,
                maps[0],
                maps[1] if each == 2 else None,
            )

    def predicted(self, look: Look, with_field: bool) -> dict[str, tuple[Tensor, int]]:
        """Clusters and classes of pixels, each with how many there are."""
        logits, cosines = self.read(look)
        found = {"cluster": cosines}
        if logits is not None:
            found["linear"] = logits
        if with_field:  # cosines times 2, as the published code has it
            found["cluster_crf"] = mean_field(look.images, 2 * cosines)
            if logits is not None:
                found["linear_crf"] = mean_field(look.images, logits)
        return {name: (one.argmax(1), one.shape[1]) for name, one in found.items()}

    def read(self, look: Look) -> tuple[Tensor | None, Tensor]:
        """Logits of classes, if there are any, and cosines with clusters, of pixels."""
        network = self._experiment.network
        codes = network.codes(look.maps)
        if look.mirrored is not None:
            codes = with_mirror(codes, network.codes(look.mirrored))
        return network.read(codes, (look.labels.shape[1], look.labels.shape[2]))

    def fitted(self, of: Callable[[Look], Tensor]) -> Tensor:
        """Vectors [1, N, …] of places of training images, drawn always the same."""
        part = self._experiment.data.train()
        found = [of(look).movedim(1, -1).flatten(0, -2) for look in self.looks(part, _FITTED)]
        vectors = torch.cat(found)
        kept = torch.randperm(len(vectors), generator=generator(0, "vectors"))[:_VECTORS]
        return vectors[kept.to(vectors.device)].float()[None]

    def _training_classes(self) -> Tensor:
        """How many pixels of each class training images have."""
        data, classes = self._experiment.data, len(self._names)
        part, counts = data.train(), torch.zeros(len(self._names), 1, dtype=torch.int64)
        for rows in torch.arange(len(part.positions)).split(AT_ONCE):
            labels = data.labels(part, rows)
            counts += tally(torch.zeros_like(labels), labels, classes, 1)
        return counts[:, 0]

    def _draw(self, path: Path, *, counted: _Counted, title: str) -> None:
        """Images, their classes, and what is predicted; clusters have the colour of their class."""
        most = self._settings.pictures

        def joined(parts: list[Tensor]) -> Tensor:
            return torch.cat(parts)[:most].cpu()

        maps = {"truth": joined([look.labels for look, _ in counted.shown])}
        for name in counted.counts:
            found = joined([kinds[name] for _, kinds in counted.shown])
            if name.startswith("cluster"):
                found = match(counted.counts[name]).cpu()[found]
            maps[_HEADS[name]] = found
        truth, right = maps["truth"].long(), [maps["clusters"], maps["linear"]]
        is_known = truth < len(self._names)
        notes = [
            f"clusters {float((one == y)[k].float().mean()):.0%}, "
            f"linear {float((two == y)[k].float().mean()):.0%} right"
            for one, two, y, k in zip(*right, truth, is_known, strict=True)
        ]
        images = joined([look.images for look, _ in counted.shown])
        class_table(path, images=images, maps=maps, classes=self._names, notes=notes, title=title)


_HEADS = {
    "cluster": "clusters",
    "linear": "linear",
    "cluster_crf": "clusters, field",
    "linear_crf": "linear, field",
}


class Clusters:
    """K-means of vectors [1, N, D], by which others have a cluster too."""

    def __init__(self, vectors: Tensor, number: int, *, spherical: bool) -> None:
        draws = torch.rand(1, vectors.shape[1], generator=generator(0, "centroids"))
        start = first_centroids(vectors, draws.to(vectors.device), number)
        self._is_spherical = spherical
        self._centroids = kmeans(vectors, start, spherical=spherical).centroids[0]

    def __call__(self, maps: Tensor) -> Tensor:
        """The clusters [B, H, W] of maps [B, D, H, W]."""
        scores = torch.einsum("bdhw,kd->bkhw", maps.float(), self._centroids)
        if self._is_spherical:  # the largest cosine: lengths of vectors do not count
            return scores.argmax(1)
        return (2 * scores - self._centroids.square().sum(1)[:, None, None]).argmax(1)


def features_of(look: Look) -> Tensor:
    """The frozen features."""
    return look.maps
