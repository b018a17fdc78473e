"""Use of clusters of codes on scenes whose classes are unknown."""

# K clusters.

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from trainables.core.experiment import Evaluated, References
from trainables.figures.semantic import class_table
from trainables.metrics.cluster_use import cluster_use
from trainables.ssl.segmentation_measuring import Clusters, Measuring, features_of
from trainables.ssl.segmentation_task import SegmentationTask


class ClusterUse:
    """The evaluations of an experiment without classes."""

    def __init__(self, experiment: SegmentationTask, measuring: Measuring) -> None:
        self._experiment, self._measuring = experiment, measuring

    def measure(self, split: str, last: bool) -> Evaluated:
        """`clusters_cosine`: the mean cosine of codes of pixels with the nearest cluster, −1…1;
        `clusters_used`: how many clusters are used (`metrics.cluster_use`), 1…K. At the last time
        pictures of clusters, with what a random field makes of them if it is asked for.
        """
        settings = self._experiment.config.evaluation
        counts, total, pixels = torch.zeros(0), 0.0, 0
        images: list[Tensor] = []
        maps: dict[str, list[Tensor]] = {}
        for look in self._measuring.looks(self._measuring.part(split)):
            cosines = self._measuring.read(look)[1]
            nearest, number = cosines.argmax(1), cosines.shape[1]
            found = torch.bincount(nearest.flatten(), minlength=number)
            counts = found if not pixels else counts + found
            total, pixels = total + float(cosines.amax(1).double().sum()), pixels + nearest.numel()
            if last and sum(map(len, images)) < settings.pictures:
                images.append(look.images)
                kinds = self._measuring.predicted(look, settings.crf)
                for name, (own, _) in kinds.items():
                    maps.setdefault(_HEADS[name], []).append(own)
        values = {"clusters_cosine": total / pixels, "clusters_used": cluster_use(counts)}
        if not images:
            return Evaluated(values)
        most = settings.pictures
        draw = partial(
            class_table,
            images=torch.cat(images)[:most].cpu(),
            maps={name: torch.cat(own)[:most].cpu() for name, own in maps.items()},
            classes=[f"cluster {number + 1}" for number in range(len(counts))],
            title=f"{self._experiment.config.data.name}, {split}: "
            f"{values['clusters_used']:.1f} of {len(counts)} clusters are used",
        )
        return Evaluated(values, {"segments": draw})

    def references(self, split: str) -> References:
        """How many clusters what learns nothing uses, on the same pixels.

        `colours`: k-means of the colours of pixels; `features`: of the directions of the frozen
        features; both fitted to training images.
        """
        measuring, number = self._measuring, self._experiment.config.probes.extra_clusters
        by_colour = Clusters(measuring.fitted(lambda look: look.images), number, spherical=False)
        by_features = Clusters(measuring.fitted(features_of), number, spherical=True)
        counts = {name: torch.zeros(number) for name in ("colours", "features")}
        for look in measuring.looks(measuring.part(split)):
            maps = functional.interpolate(look.maps, look.images.shape[2:], mode="bilinear")
            for name, found in (
                ("colours", by_colour(look.images)),
                ("features", by_features(maps)),
            ):
                counts[name] += torch.bincount(found.flatten(), minlength=number).cpu()
        return {name: {"clusters_used": cluster_use(one)} for name, one in counts.items()}


_HEADS = {"cluster": "clusters", "cluster_crf": "clusters, field"}
