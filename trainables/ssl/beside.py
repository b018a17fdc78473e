"""A second checkpoint beside the network of a run: what each of them gets right, and how alike."""

# N images, D width of features, Q classes, R pictures.

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from trainables.core import checkpoint, liveness
from trainables.core.experiment import Evaluated, Experiment
from trainables.core.files import written
from trainables.core.measuring import unless_it_fails
from trainables.data.images import Split, stratified
from trainables.figures.embeddings import ClassPoints, class_maps
from trainables.figures.representations import map_rows_sheet
from trainables.layers.backbones import Backbone
from trainables.layers.last_blocks import block_features
from trainables.layers.vit import ViT
from trainables.metrics.cka import linear_cka
from trainables.metrics.embedding_maps import purity, tsne
from trainables.metrics.intervals import paired
from trainables.ssl import networks
from trainables.ssl.config import Pretraining, Supervised
from trainables.ssl.experiment import SupervisedExperiment
from trainables.ssl.explaining import attention, class_means, towards_means
from trainables.ssl.features import AT_ONCE, BANK, Features
from trainables.ssl.measuring import Measuring
from trainables.ssl.pictures import one_of_each
from trainables.ssl.pretraining_task import PretrainingTask
from trainables.ssl.probing import probed
from trainables.ssl.students import Student, exact

NAME = "beside"
"""Of the evaluation."""
_OF_TRAINING = (
    "limit", "labels_share", "labels_from", "long_tail", "balanced", "unlabelled", "noisy_labels",
    "standardise",
)  # fmt: skip
"""What of images says only which of them are learned from, and how they were seen."""
_NAMES = ("this one", "the other")


class Other(NamedTuple):
    """The network of another checkpoint, and by what its images are standardised."""

    network: Student
    mean: Any
    deviation: Any


class Beside:
    """The evaluation of an experiment beside the checkpoint that its configuration names.

    Raises:
        LookupError: there is no such file.
        ValueError: it is of another family, of other images, or has no such part.
    """

    def __init__(
        self, experiment: PretrainingTask, features: Features, measuring: Measuring
    ) -> None:
        self._experiment, self._features, self._measuring = experiment, features, measuring
        self._settings = experiment.config.evaluation.beside
        self._file = Path(self._settings.file or "").expanduser()
        check(self._file, experiment.config)
        self._seen: dict[str, Tensor] = {}

    def measure(self, last: bool) -> Evaluated:
        """At the last time: scores of the other one on the validation split, and differences.

        `knn` is its accuracy by neighbours in the same bank; `knn_gain` how much higher that of
        the network of the run is, within `knn_gain_low` and `knn_gain_high` with 95 % (pairs of
        answers); `knn_agreement` the share of images that both say the same of, `knn_only_here` and
        `knn_only_other` that of those which only one gets right; `probe…` the same of probes.
        `cka` says how alike features are, whatever their axes.
        """
        if not last:
            return Evaluated({})
        experiment, self._seen = self._experiment, {}
        other = opened(self._file, self._settings.part, experiment)
        network, blocks = experiment.learner.kept, partial(self._blocks, other)
        with experiment.learner.evaluating():
            ours = {one: self._features.of(network, one) for one in (BANK, "val")}
            theirs = {one: self._last(other, one) for one in (BANK, "val")}
            votes = self._measuring.votes
            answers = {"knn": [votes(one[BANK], one["val"]).argmax(1) for one in (ours, theirs)]}
            if experiment.config.evaluation.probe.steps:
                own = partial(self._features.of_blocks, network)
                answers["probe"] = [self._probed(one) for one in (own, blocks)]
            values = {"cka": linear_cka(ours["val"], theirs["val"])}
            labels = self._features.labels("val")
            for name, (here, there) in answers.items():
                values |= compared(name, here, there, labels)
            pictures = {
                "maps": partial(self._maps, other, ours[BANK], theirs[BANK]),
                "tsne": partial(self._tsne, ours["val"], theirs["val"]),
            }
            figures: dict[str, Callable[[Path], None]] = {}
            for name, make in pictures.items() if self._settings.images else ():
                figures |= unless_it_fails(f"beside: {name}", make) or {}
        self._seen = {}
        records = {"answers": partial(_write, answers=answers, labels=labels)}
        return Evaluated(values, figures, records)

    def _probed(self, features: Callable[[str], Tensor]) -> Tensor:
        """The answers of a probe on features, [N]."""
        experiment, settings = self._experiment, self._experiment.config.evaluation.probe
        classes = len(experiment.facts.classes)
        found = probed(experiment, settings, "val", classes, features, self._features.labels)
        assert found.probabilities is not None
        return found.probabilities.argmax(1)

    def _last(self, other: Other, split: str) -> Tensor:
        """Features [N, D] of the other network."""
        return self._blocks(other, split)[:, -other.network.backbone.width :]

    def _blocks(self, other: Other, split: str) -> Tensor:
        """The same of as many of its last blocks as a probe sees."""
        if split not in self._seen:
            probe = self._experiment.config.evaluation.probe
            images, positions = self._split(split)
            found: list[Tensor] = []
            for part in positions.split(AT_ONCE):
                liveness.alive()
                seen = other.network.sized(self._placed(other, images, part))
                blocks = probe.blocks if probe.steps else 1
                found.append(exact(block_features(other.network.backbone, seen, blocks)))
            self._seen[split] = torch.cat(found)
        return self._seen[split]

    def _split(self, name: str) -> tuple[Split, Tensor]:
        images = self._experiment.split("train" if name == BANK else name)
        return images, self._features.bank if name == BANK else torch.arange(len(images))

    def _placed(self, other: Other, images: Split, positions: Tensor) -> Tensor:
        """Images as the other network was trained on them."""
        return self._features.placed((images.pixels(positions) - other.mean) / other.deviation)

    def _maps(
        self, other: Other, ours: Tensor, theirs: Tensor
    ) -> dict[str, Callable[[Path], None]]:
        """Attention where there is a class token, and Grad-CAM, of both."""
        experiment, known = self._experiment, self._features.labels(BANK)
        split = experiment.split("val")
        there = torch.isin(split.labels, known).nonzero()[:, 0]
        positions = there[one_of_each(split.labels[there], self._settings.images)]
        labels = split.labels[positions]
        images = [
            self._features.placed(split.take(positions)),
            self._placed(other, split, positions),
        ]
        rows: list[tuple[str, Tensor]] = []
        both = (experiment.learner.kept, other.network)
        for name, network, seen in zip(_NAMES, both, images, strict=True):
            heads = attention(network, seen)
            rows += [] if heads is None else [(f"attention, {name}", heads.mean(1))]
        for name, network, seen, bank in zip(_NAMES, both, images, (ours, theirs), strict=True):
            goals = class_means(bank, known.to(bank.device))[labels.to(bank.device)]
            rows.append((f"Grad-CAM, {name}", towards_means(experiment, network, seen, goals)))
        draw = partial(
            map_rows_sheet,
            images=split.pixels(positions),
            rows=rows,
            names=[experiment.facts.classes[one] for one in labels.tolist()],
            title="What both networks look at",
        )
        return {"maps": draw}

    def _tsne(self, ours: Tensor, theirs: Tensor) -> dict[str, Callable[[Path], None]]:
        """Both maps of the same validation images."""
        settings = self._experiment.config.evaluation.figures.embedding
        labels, chosen = self._features.labels("val"), torch.arange(len(ours))
        if 0 < settings.points < len(labels):
            seed = self._experiment.config.data.split_seed
            chosen = torch.from_numpy(stratified(labels.numpy(), settings.points, seed))
        panels: list[ClassPoints] = []
        for name, vectors in zip(_NAMES, (ours, theirs), strict=True):
            points = tsne(
                vectors.cpu()[chosen].float(), perplexity=settings.perplexity, rate=settings.rate
            )
            pure = purity(points, labels[chosen])
            panels.append(ClassPoints(points, labels[chosen], f"{name}: purity {pure:.2f}"))
        draw = partial(class_maps, panels=panels, names=self._experiment.facts.classes)
        return {"tsne": draw}


def compared(name: str, here: Tensor, there: Tensor, labels: Tensor) -> dict[str, float]:
    """Scores of answers `there` [N] beside those `here`, of images with labels [N]; in 0…1, gains
    in −1…1.
    """
    right = [(one.cpu() == labels) for one in (here, there)]
    gain, low, high = paired(right[1], right[0])
    return {
        name: float(right[1].double().mean()),
        f"{name}_gain": gain,
        f"{name}_gain_low": low,
        f"{name}_gain_high": high,
        f"{name}_agreement": float((here == there).double().mean()),
        f"{name}_only_here": float((right[0] & ~right[1]).double().mean()),
        f"{name}_only_other": float((~right[0] & right[1]).double().mean()),
    }


def _write(path: Path, answers: dict[str, list[Tensor]], labels: Tensor) -> None:
    """A line for each validation image: its class, and what each one says."""
    heads = [f"{name}_{place}" for name in answers for place in ("here", "other")]
    columns = [one.tolist() for both in answers.values() for one in both]
    lines = [",".join(["image", "class", *heads])]
    for number, row in enumerate(zip(labels.tolist(), *columns, strict=True)):
        lines.append(",".join(map(str, (number, *row))))
    with written(path) as file:
        file.write("\n".join([*lines, ""]).encode())


def check(file: Path, config: Pretraining) -> None:
    """Refuses a checkpoint that cannot be put beside the network of a configuration."""
    saved = checkpoint.read(file)
    other = _configuration(saved, file)
    here, there = (_images(one) for one in (config, other))
    for name in dict.fromkeys([*here, *there]):
        if here.get(name) != there.get(name):
            raise ValueError(
                f"evaluation.beside.file must be of a network that was trained on the same images: "
                f"data.{name} is {there.get(name)!r} in {file} and {here.get(name)!r} here"
            )
    part = config.evaluation.beside.part
    if part == "teacher" and not (isinstance(other, Pretraining) and other.method.has_teacher):
        raise ValueError(
            f"evaluation.beside.part must be null or 'student' with a checkpoint of {other.name} "
            f"without a teacher, got 'teacher' ({file})"
        )


def opened(file: Path, part: str | None, like: Experiment) -> Other:
    """The network in a checkpoint, in evaluation mode, on the device of an experiment."""
    saved = checkpoint.read(file)
    config = _configuration(saved, file)
    with torch.inference_mode(False), torch.random.fork_rng(devices=[]):
        kind = SupervisedExperiment if isinstance(config, Supervised) else type(like)
        found: Any = kind.create(_with_true_labels(config).to_json())
        found.load()
        saved.restore(found)
    if isinstance(found, SupervisedExperiment):
        assert isinstance(found.network, ViT | Backbone)
        student, data = Student(found.network, nn.Identity(), found.config.data.side), found.data
    else:
        apart = found.learner.apart()
        student, data = apart[part] if part in apart else found.learner.kept, found.data
    device = next(like.parameters()).device
    network = student.requires_grad_(False).to(device).eval()
    networks.check_blocks(network.backbone, _blocks_seen(like))
    return Other(network, data.mean, data.deviation)


def _blocks_seen(experiment: Any) -> int:
    probe = experiment.config.evaluation.probe
    return probe.blocks if probe.steps else 1


def _configuration(saved: checkpoint.Saved, file: Path) -> Pretraining | Supervised:
    kinds = {one.name: one for one in (Pretraining, Supervised)}
    if saved.experiment not in kinds:
        raise ValueError(
            f"evaluation.beside.file must be a checkpoint of {' or '.join(kinds)}, got one of "
            f"{saved.experiment or 'an earlier version'} ({file})"
        )
    found = saved.configuration(kinds[saved.experiment])
    if isinstance(found, Supervised) and found.model.kind not in ("vit", "timm"):
        raise ValueError(
            f"evaluation.beside.file must be of a network with features (model.kind 'vit' or "
            f"'timm'), got {found.model.kind!r} ({file})"
        )
    return found


def _with_true_labels(config: Pretraining | Supervised) -> Pretraining | Supervised:
    """A configuration whose labels nobody else gives: nothing is learned here, and the checkpoint
    that gave them need not be there any more.
    """
    return config.with_values({"data.labels_from.by": "nobody"})


def _images(config: Pretraining | Supervised) -> dict[str, Any]:
    """What of the images both must have in common."""
    return {k: v for k, v in config.data.canonical().items() if k not in _OF_TRAINING}
