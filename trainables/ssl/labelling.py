"""Labels of training images by a network of a finished trial: pseudo-labels."""

# N images, M of them with known labels, D width of features, C classes.

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from trainables.core import checkpoint, liveness
from trainables.core.measuring import device_of_runs
from trainables.core.randomness import derive
from trainables.data.digits import Digits
from trainables.data.images import Images, Split
from trainables.data.joined import NO_LABEL
from trainables.data.relabelled import Relabelled
from trainables.layers.backbones import Backbone
from trainables.layers.vit import ViT
from trainables.layers.weights import Weights
from trainables.metrics.knn import class_votes
from trainables.metrics.probe import fit_classifier
from trainables.settings.images import Images as Settings
from trainables.settings.labels import LabelsFrom
from trainables.ssl import controls, going_on, networks
from trainables.ssl.config import Pretraining, Supervised
from trainables.ssl.students import AT_ONCE, Student, exact

_PROBE_STEPS = 500
_CLASSIFIER = "learner.classifier."
_NETWORK = "network."


class Labelled(NamedTuple):
    """What is trained on, and facts on how rightly it was labelled."""

    split: Relabelled
    facts: dict[str, object]


def labelled(settings: Settings, data: Digits | Images, classes: int) -> Labelled:
    """Training images with labels that a network of an earlier trial gives them.

    Images are standardised by the training split of `data`, as for a network that goes on from a
    checkpoint. By a classifier all images are labelled; otherwise those whose labels are known keep
    them, and label the others. Facts are `data.labels_from`: how many have labels (`labelled`), of
    how many that may be looked up (`compared`) how many rightly (`right`), the share that is right
    (`accuracy`) beside that of always the most frequent class (`majority`), and how many were too
    unsure (`left_out`). Images whose labels were known count in none of them but `known`.

    Raises:
        ValueError: the file is no checkpoint of this family, has no such network, or nothing is as
            sure as it has to be.
    """
    chosen, every = settings.labels_from, data.with_unlabelled or data.train
    truth = data.train.labels if data.truth is None else data.truth
    trial = _Trial.read(chosen)
    said, known = trial.answers(settings, data, every, classes), every.labels >= 0
    if chosen.by == "classifier":
        known = torch.zeros_like(known)
    sure, labels = said.max(1)
    labels = torch.where(known, every.labels, labels)
    kept = known | (sure >= chosen.least_confidence)
    given = kept & ~known
    if not bool(given.any()):
        raise ValueError(
            f"data.labels_from.least_confidence must leave images that are labelled, got "
            f"{chosen.least_confidence:g}: the surest of {int((~known).sum())} is "
            f"{float(sure[~known].max()):.3f}"
        )
    positions = kept.nonzero()[:, 0]
    facts = {**trial.facts, **_account(labels[given], truth[given], classes)}
    facts |= {"known": int(known.sum()), "left_out": int((~kept).sum())}
    return Labelled(
        Relabelled(every, positions, labels[positions]), {"data.labels_from": dict(facts)}
    )


def _account(labels: Tensor, truth: Tensor, classes: int) -> dict[str, object]:
    """How many of some labels [N] are those of the truth [N], which is −1 where nobody knows."""
    there = truth != NO_LABEL
    number, right = int(there.sum()), int((labels == truth)[there].sum())
    most = int(truth[there].bincount(minlength=classes).max()) if number else 0
    shares = {"accuracy": right / number, "majority": most / number} if number else {}
    return {"labelled": len(labels), "compared": number, "right": right, **shares}


class _Trial(NamedTuple):
    """A finished trial: its configuration, and the states of its networks."""

    settings: LabelsFrom
    file: Weights
    config: Pretraining | Supervised
    state: Mapping[str, Any]

    @classmethod
    def read(cls, settings: LabelsFrom) -> _Trial:
        """Raises ValueError if the file is none of this family."""
        file = Weights(Path(str(settings.weights_file)).expanduser(), part=settings.weights_part)
        try:
            saved = checkpoint.read(file.path)
            config = going_on.configuration(saved)
        except ValueError as error:
            raise ValueError(
                f"data.labels_from.weights_file must be a checkpoint of a trial: {error}"
            ) from None
        return cls(settings, file, config, saved.model)

    @property
    def facts(self) -> dict[str, object]:
        """Which network it is, and how it says classes."""
        return {**self.file.facts(), "by": self.settings.by}

    @torch.no_grad()
    def answers(
        self, settings: Settings, data: Digits | Images, every: Split, classes: int
    ) -> Tensor:
        """What is said of each class [N, C]: probabilities, or shares of votes."""
        network = self._network(settings, data, classes if self._is_its_own else 0)
        network.eval().to(device_of_runs())
        if self._is_its_own:
            return _seen(network, every).softmax(1)
        features, known = _seen(network, every), every.labels >= 0
        bank, labels = features[known], every.labels[known]
        if self.settings.by == "neighbours":
            return class_votes(
                bank,
                labels,
                features,
                neighbors=min(self.settings.neighbours, len(bank)),
                num_classes=classes,
                temperature=self.settings.temperature,
            )
        draw = torch.Generator().manual_seed(derive(settings.split_seed, "labels"))
        probe = fit_classifier(bank, labels, classes, generator=draw, steps=_PROBE_STEPS)
        return probe(features).softmax(1)

    @property
    def _is_its_own(self) -> bool:
        return self.settings.by == "classifier"

    def _network(self, settings: Settings, data: Digits | Images, classes: int) -> nn.Module:
        """Features of images, or their logits for so many classes, if there are any."""
        config = self.config
        if config.data.standardise != settings.standardise:
            raise ValueError(
                f"data.standardise must be {config.data.standardise!r}, as in the checkpoint "
                f"{self.file.path}, by which images are labelled, got {settings.standardise!r}"
            )
        if isinstance(config, Supervised):
            self._check_side(settings.side)
        if isinstance(config.model, controls.Control):
            return self._control(config.model, settings, classes)
        backbone = self._backbone(settings, data, classes)
        if isinstance(config, Supervised) and classes:
            self._load(backbone.head, f"{_NETWORK}head.", classes)
            return backbone
        embedding = _Embedding(Student(backbone, nn.Identity(), _side(config)))
        if not classes:
            return embedding
        layer = nn.Linear(backbone.width, classes)
        self._load(layer, _CLASSIFIER, classes)
        return nn.Sequential(embedding, layer)

    def _backbone(self, settings: Settings, data: Digits | Images, classes: int) -> ViT | Backbone:
        """The backbone as it was, and a layer for so many classes where it had one."""
        model = going_on.model_of(self.config, self.file)
        try:
            network = networks.build(
                model,
                image_size=_side(self.config),
                channels=settings.num_channels,
                classes=classes if isinstance(self.config, Supervised) else 0,
            )
        except (LookupError, ValueError) as error:
            said = str(error).replace("model.weights", "data.labels_from.weights")
            raise type(error)(said) from None
        networks.prepare(network, model, data.mean, data.deviation)
        return network

    def _control(self, model: controls.Control, settings: Settings, classes: int) -> nn.Module:
        """One of the small networks, which has a classifier alone."""
        if not classes:
            raise ValueError(
                f"data.labels_from.by must be 'classifier' with a checkpoint of model.kind "
                f"{model.kind!r}, which gives no features, got {self.settings.by!r}"
            )
        network = networks.build_control(
            model, image_size=settings.side, channels=settings.num_channels, classes=classes
        )
        self._load(network, _NETWORK, classes)
        return network

    def _load(self, layer: nn.Module, prefix: str, classes: int) -> None:
        """Gives a layer, or a whole network, its tensors, which must be of so many classes."""
        state = {
            name.removeprefix(prefix): value
            for name, value in self.state.items()
            if name.startswith(prefix)
        }
        if not state:
            raise ValueError(
                f"data.labels_from.by must be 'neighbours' or 'probe' with {self.file.path}, whose "
                f"trial has no classifier, got 'classifier'"
            )
        own = layer.state_dict()
        shapes = {name: list(value.shape) for name, value in state.items()}
        if shapes != {name: list(value.shape) for name, value in own.items()}:
            raise ValueError(
                f"data.labels_from.weights_file must be of a trial with the {classes} classes, the "
                f"side and the channels of data.name, and {self.file.path} is not"
            )
        layer.load_state_dict(state)

    def _check_side(self, side: int) -> None:
        if self.config.data.side != side:
            raise ValueError(
                f"data.labels_from.weights_file must be of a trial on images of {side} pixels a "
                f"side, got one on {self.config.data.side} ({self.file.path})"
            )


class _Embedding(nn.Module):
    """Features in place of logits."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """[n, D] of images [n, C, S, S], in single precision at least."""
        return exact(self.network.embed(images))


def _side(config: Pretraining | Supervised) -> int:
    """That of images that the network was made for."""
    if isinstance(config, Pretraining):
        return next(iter(config.sides().values()))
    return config.data.side


def _seen(network: nn.Module, images: Split) -> Tensor:
    """What a network makes of all images of a split, on the CPU."""
    like, found = next(network.parameters()), list[Tensor]()
    for positions in torch.arange(len(images)).split(AT_ONCE):
        liveness.alive()
        shown = images.take(positions).to(like.device, like.dtype)
        found.append(network(shown).float().cpu())
    return torch.cat(found)
