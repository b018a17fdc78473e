"""The loss around the weights of a trained network, as an evaluation at the end of a run."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from trainables.core import liveness
from trainables.core.experiment import Batch, Evaluated, Experiment
from trainables.core.files import written
from trainables.core.measuring import differentiable, learning, unless_it_fails
from trainables.core.randomness import derive
from trainables.data.choosing import stratified
from trainables.data.images import Split
from trainables.figures import landscape as figures
from trainables.metrics import directions
from trainables.metrics.directions import Weights
from trainables.metrics.landscape import (
    Classification,
    Landscape,
    Measure,
    cached,
    content,
    coordinates,
    landscape,
)
from trainables.metrics.probe import fit_classifier
from trainables.metrics.roughness import (
    complaint,
    heights,
    local_minima,
    not_finite,
    roughness,
    share_below,
)
from trainables.settings.landscapes import Landscape as Settings
from trainables.ssl import paths
from trainables.ssl.learners import Learner
from trainables.ssl.pretraining_task import PretrainingTask
from trainables.ssl.students import exact
from trainables.ssl.supervised_task import SupervisedTask

Network = TypeVar("Network", bound=nn.Module)
AT_ONCE = 128
"""So many images are looked at together: their maps stay in the cache of a processor."""

log = logging.getLogger(__name__)


def check(experiment: SupervisedTask | PretrainingTask) -> None:
    """Refuses checkpoints that are not of the networks of an experiment, before it is trained."""
    settings = experiment.config.evaluation.landscape
    if settings.path is not None and settings.dimensions == 2:
        paths.check(Path(settings.path).expanduser(), experiment)


def of_classes(experiment: SupervisedTask, split: Split, last: bool) -> Evaluated:
    """The loss of training and the accuracy, of images of a split; at the last time alone.

    A landscape that fails ends no run.
    """
    found = unless_it_fails("landscape", partial(_of_classes, experiment, split)) if last else None
    return found or Evaluated({})


def of_views(experiment: PretrainingTask, last: bool) -> Evaluated:
    """The loss of the method, or of a linear layer on features; else as `of_classes`."""
    found = unless_it_fails("landscape", partial(_of_views, experiment)) if last else None
    return found or Evaluated({})


def _of_classes(experiment: SupervisedTask, split: Split) -> Evaluated:
    settings = experiment.config.evaluation.landscape
    network = _aside(experiment.network)
    chosen = _chosen(split, settings, experiment.config.data.split_seed)
    images, labels = (
        _placed(experiment, one) for one in (split.take(chosen), split.labels[chosen])
    )
    smoothing = experiment.config.label_smoothing
    measure = Classification(network, images, labels, batch_size=AT_ONCE, label_smoothing=smoothing)
    weights = dict(network.named_parameters())
    path = _path(experiment, settings, experiment.network, weights)
    parts = ("classes", images, labels, smoothing)
    return look(settings, network, weights, measure, path=path, parts=parts)


def _of_views(experiment: PretrainingTask) -> Evaluated:
    settings = experiment.config.evaluation.landscape
    split = experiment.split(settings.split)
    chosen = _chosen(split, settings, experiment.config.data.split_seed)
    if settings.loss == "probe":
        return _of_probe(experiment, split, chosen)
    learner = copy.deepcopy(experiment.learner)
    trained = [name for name, one in experiment.learner.named_parameters() if one.requires_grad]
    named = dict(learner.named_parameters())
    measure, weights = (
        FrozenViews(experiment, learner, chosen),
        {one: named[one] for one in trained},
    )
    path = _path(experiment, settings, experiment.learner, weights)
    method = experiment.config.method.model_dump_json()
    parts = ("views", method, measure.batches)
    return look(settings, learner, weights, measure, path=path, parts=parts)


class FrozenViews:
    """The loss of a method, of views that are cut once: a `Measure` [1].

    Teacher, centre and queue stay as they are; batches are as large as micro-batches of training.
    """

    def __init__(self, experiment: PretrainingTask, learner: Learner, chosen: Tensor) -> None:
        training, split = experiment.config.training, experiment.config.evaluation.landscape.split
        size = max(2, training.batch_size // training.num_micro_batches)
        self._learner, self.batches = learner, list[Batch]()
        for positions in chosen.split(size):
            if len(positions) > 1:  # one image alone has none to be compared with
                made = experiment.views(split, positions, "landscape", 0, positions)
                self.batches.append({k: _placed(experiment, one) for k, one in made.items()})

    def __call__(self) -> Tensor:
        """[loss], the mean over images."""
        found: list[Tensor] = []
        with self._learner.evaluating():
            for batch in self.batches:
                loss = self._learner.compare(batch, lambda values: values).total
                found.append(loss.double() * len(batch["labels"]))
        return torch.stack(found).sum()[None] / sum(len(one["labels"]) for one in self.batches)


def _of_probe(experiment: PretrainingTask, split: Split, chosen: Tensor) -> Evaluated:
    """The cross entropy of a linear layer that was fitted to the features as they are."""
    backbone = _aside(experiment.learner.kept.backbone)
    images, labels = (
        _placed(experiment, one) for one in (split.take(chosen), split.labels[chosen])
    )
    images = experiment.learner.kept.sized(images)
    features = torch.cat([exact(backbone.embed(part)) for part in images.split(AT_ONCE)])
    classes = len(experiment.facts.classes)
    with learning(experiment, "landscape probe") as draw:
        probe = fit_classifier(differentiable(features), labels, classes, generator=draw)

    def predict(images: Tensor) -> Tensor:
        return probe(exact(backbone.embed(images)))

    measure = Classification(predict, images, labels, batch_size=AT_ONCE)
    weights, settings = dict(backbone.named_parameters()), experiment.config.evaluation.landscape
    path = _path(experiment, settings, experiment.learner.kept.backbone, weights)
    parts = ("probe", images, labels, probe.weight, probe.bias, probe.mean, probe.deviation)
    return look(settings, backbone, weights, measure, path=path, parts=parts)


def _path(
    experiment: Experiment, settings: Settings, network: nn.Module, weights: Weights
) -> list[Weights] | None:
    """The network as it was in the checkpoints of its training, if they are given."""
    if settings.path is None or settings.dimensions == 1:
        return None
    return paths.networks(Path(settings.path).expanduser(), experiment, network, weights)


def look(
    settings: Settings,
    network: nn.Module,
    weights: Weights,
    measure: Measure,
    *,
    path: list[Weights] | None = None,
    parts: Sequence[object] = (),
) -> Evaluated:
    """The numbers and pictures of a landscape; what a range does not show is said in the log.

    `centre` is the loss itself, `share_below_10` that of points below 10, `minima` how many of them
    are lower than all around them; `roughness` is that of heights that are cut off at 10 and
    logarithmic, `cosine` that of both directions, `layer_scale` the largest norm of a layer scale,
    if there are any; `path_share` how much of a path of networks lies in the plane. `parts` are
    what the loss depends on beside the network: by them a landscape that was kept is found again.
    """
    ways, places = _ways(settings, weights, path)
    axes = [coordinates(settings.distance, settings.resolution)] * settings.dimensions
    compute = partial(landscape, network, measure, ways, axes, alive=liveness.alive)
    found = _kept(settings, compute, network.state_dict(), ways, axes, *parts)
    if problem := complaint(found.losses):
        log.warning("%s than evaluation.landscape.distance=%g", problem, settings.distance)
    values = _numbers(found)
    if len(ways) == 2:
        values["cosine"] = directions.cosine(*ways)
    if scales := directions.layer_scales(network):
        values["layer_scale"] = max(scales.values())
    if places is not None:
        values["path_share"] = places.share
    return Evaluated(values, _pictures(settings, found, places), files=_files(settings, found))


def _ways(
    settings: Settings, weights: Weights, path: list[Weights] | None
) -> tuple[list[Weights], paths.Projected | None]:
    """The directions, and where a path lies along them."""
    if path is not None and settings.plane == "path":
        ways = paths.plane(path, moves_vectors=settings.moves_vectors)
        return ways, paths.projected(path, ways)
    seeds = [derive(settings.seed, "landscape direction", i) for i in range(settings.dimensions)]
    ways = [
        directions.random_direction(
            weights,
            seed,
            kind=settings.direction,
            norm=settings.norm,
            moves_vectors=settings.moves_vectors,
            fixed=() if settings.moves_tokens else directions.tokens(weights),
        )
        for seed in seeds
    ]
    return list(ways), None if path is None else paths.projected(path, list(ways))


def _kept(settings: Settings, compute: Callable[[], Landscape], *parts: object) -> Landscape:
    """The landscape of all that it depends on, which may have been computed before."""
    if settings.cache is None:
        return compute()
    return cached(Path(settings.cache).expanduser(), content(*parts), compute)


def _numbers(found: Landscape) -> dict[str, float]:
    high, centre = heights(found.losses), found.at(*[0.0] * len(found.axes))
    values = {
        "centre": float(centre[0]),
        "share_below_10": share_below(found.losses),
        "roughness": roughness(high),
        "minima": float(local_minima(found.losses)),
        "not_finite": float(not_finite(found.losses)),
    }
    return values | ({"accuracy": float(centre[1])} if len(centre) > 1 else {})


def _pictures(
    settings: Settings, found: Landscape, path: paths.Projected | None
) -> dict[str, Callable[[Path], None]]:
    """A curve; or contours, areas, a heat map and a surface, with a path [n, 2] on them."""
    title = f"{settings.direction} directions, norm {settings.norm}"
    if path is not None:
        title = "the plane in which training moved most" if settings.plane == "path" else title
        title += f": {path.share:.0%} of its path"
    if len(found.axes) == 1:
        accuracies = found.values[:, 1] if found.values.shape[-1] > 1 else None
        given = {"accuracies": accuracies, "title": title}
        return {"curve": partial(_curve, found=found, **given)}
    drawn: dict[str, Any] = {
        "logs": settings.heights == "clipped_log",
        "clips": settings.heights == "clipped_log",
    }
    whole = (*found.axes, found.losses)
    drawn["trajectory"] = None if path is None else path.places
    styles = {
        style: partial(_plane, whole=whole, style=style, title=title, **drawn)
        for style in ("contour", "filled", "heat")
    }
    return {**styles, "surface": partial(_surface, whole=whole, title=title, **drawn)}


def _files(settings: Settings, found: Landscape) -> dict[str, Callable[[Path], None]]:
    """All values with their coordinates and the seed; and a surface for other programs."""
    files: dict[str, Callable[[Path], None]] = {"grid.npz": partial(_save, settings, found)}
    if len(found.axes) == 2:
        files["surface.vtk"] = partial(_vtk, found)
    return files


def _curve(path: Path, found: Landscape, **given: Any) -> None:
    figures.curve(path, found.axes[0], found.losses, **given)


def _plane(path: Path, whole: tuple[Tensor, Tensor, Tensor], **given: Any) -> None:
    figures.plane(path, *whole, **given)


def _surface(path: Path, whole: tuple[Tensor, Tensor, Tensor], **given: Any) -> None:
    figures.surface(path, *whole, **given)


def _vtk(found: Landscape, path: Path) -> None:
    first, second = found.axes
    figures.vtk(path, first, second, found.losses)


def _save(settings: Settings, found: Landscape, path: Path) -> None:
    axes: dict[str, Any] = {f"axis{place}": axis.numpy() for place, axis in enumerate(found.axes)}
    with written(path, syncs=False) as file:
        np.savez(file, values=found.values.numpy(), seed=settings.seed, **axes)


def _aside(network: Network) -> Network:
    """A copy to be moved about, in a layout in which convolutions are fast."""
    copied = copy.deepcopy(network)
    has_maps = any(isinstance(module, nn.Conv2d) for module in copied.modules())
    return copied.to(memory_format=torch.channels_last) if has_maps else copied


def _chosen(split: Split, settings: Settings, seed: int) -> Tensor:
    """Positions of so many images with the same share of each class, or of all."""
    if settings.images >= len(split):
        return torch.arange(len(split))
    return torch.from_numpy(stratified(split.labels.numpy(), settings.images, seed))


def _placed(experiment: nn.Module, values: Tensor) -> Tensor:
    """On the device of the networks, and of their precision if it is floating."""
    like = next(experiment.parameters())
    kind = like.dtype if values.is_floating_point() else values.dtype
    return values.to(like.device, kind)
