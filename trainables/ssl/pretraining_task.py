"""The task of pretraining: networks, views of images, the loss of a method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainables.core import distributed
from trainables.core.experiment import Batch, Experiment, Loss
from trainables.core.groups import MAIN, GroupSettings
from trainables.core.optimizers import build
from trainables.core.randomness import uniform
from trainables.core.schedules import SCHEDULES, cosine_between, cosine_of_dino
from trainables.data.balance import balanced
from trainables.data.digits import Digits
from trainables.data.images import Images, Split, load
from trainables.layers.backbones import Backbone
from trainables.layers.projectors import UnitLinear
from trainables.layers.vit import ViT
from trainables.ssl import (
    costing,
    networks,
    strong,
    views,
)
from trainables.ssl.building import learner
from trainables.ssl.config import Pretraining
from trainables.ssl.labelling import labelled
from trainables.ssl.learners import Gather, Moment
from trainables.ssl.optimization import OURS, peak

AT_ONCE = 16
"""So many images are cut into views together, so that they stay in the cache."""

LABELLED = "labelled"
"""The split of training images that a network of an earlier trial has labelled."""

_TABLES = ("positions", "class_token", "pos_embed", "cls_token", "reg_token", "dist_token")
"""What parameters are called that are tokens or positions, here and in timm."""


class PretrainingTask(Experiment):
    """The loss of views of each image by a method; what measures it is in `ssl.measuring`."""

    config_class = Pretraining
    config: Pretraining  # pyright: ignore[reportIncompatibleVariableOverride]
    data: Digits | Images

    def __init__(self, config: Pretraining) -> None:
        super().__init__(config)
        self.step = 0
        """That of evaluations, for the names of pictures; each step says it again, so no state."""
        self.facts = config.data.facts()
        self._labelled: Split | None = None
        self.learner = learner(config, self.facts.channels, len(self.facts.classes))
        if config.evaluation.probe.steps:
            networks.check_blocks(self.learner.student.backbone, config.evaluation.probe.blocks)

    def load(self) -> dict[str, object]:
        """Reads the images in their splits, or maps them."""
        settings = self.config.data
        self.data = load(
            self.facts,
            root=Path(settings.root),
            path=Path(settings.path) if settings.path is not None else None,
            seed=settings.split_seed,
            limit=settings.limit,
            long_tail=settings.long_tail.factor,
            tail_shape=settings.long_tail.shape,
            **settings.arguments(),
        )
        students = {"": self.learner.student, **self.learner.apart()}
        facts: dict[str, object] = {}
        for student in students.values():
            standardised = (self.data.mean, self.data.deviation)
            facts |= networks.prepare(student.backbone, self.config.model, *standardised)
        if self.config.method.sees_labels:
            facts["sees_labels"] = True
            if settings.labels_from.is_used:
                self._labelled, told = labelled(settings, self.data, len(self.facts.classes))
                facts |= told
        learned = self.split("train" if self._labelled is None else LABELLED)
        self.learner.prepare(learned.labels.bincount(minlength=len(self.facts.classes)))
        sizes = {name: len(self.split(name)) for name in ("train", "val", "test")}
        return {
            **facts,
            **costing.facts(self.learner.kept.backbone, self._shape, _embedded),
            "data.name": self.facts.name,
            **({"data.classes": list(self.facts.classes)} if settings.is_own else {}),
            "data.fingerprint": self.data.fingerprint,
            "data.split_sizes": sizes,
            **({"data.trained_on": self.num_examples} if self.trained_on != "train" else {}),
        }

    def split(self, name: str) -> Split:
        """A split by its name."""
        found: Split | None = self._labelled if name == LABELLED else getattr(self.data, name)
        assert found is not None
        return found

    @property
    def trained_on(self) -> str:
        """The name of the split that is learned from: with images without labels, if there are any
        and the method sees none; that whose labels another network gave, if one did.
        """
        if self._labelled is not None:
            return LABELLED
        has_more = self.data.with_unlabelled is not None and not self.config.method.sees_labels
        return "with_unlabelled" if has_more else "train"

    @property
    def num_examples(self) -> int:
        """Images that are learned from, once they are read."""
        return len(self.split(self.trained_on))

    def taken(self, step: int, places: Tensor) -> Tensor:
        """As of any experiment, or balanced: functions of the seed, the step and the places."""
        if not self.config.data.balanced:
            return super().taken(step, places)
        draws = uniform(self.config.seed, "balanced", step, places, 2)
        return balanced(self.split(self.trained_on).labels, draws)

    def batch(self, step: int) -> Batch:
        """Views [B, V, C, S, S] and small ones, standardised, and labels [B]."""
        return self.share(step, torch.arange(self.config.training.batch_size))

    def share(self, step: int, places: Tensor) -> Batch:
        """As `batch`, of the examples at these places."""
        taken = self.taken(step, places)
        return {"examples": taken, **self.views(self.trained_on, taken, "train", step, places)}

    def views(
        self, split: str, positions: Tensor, purpose: str, step: int, places: Tensor
    ) -> Batch:
        """Views of images of a split, and their labels [B].

        Draws are functions of the seed, the purpose, the step and the places [B].
        """
        images, settings = self.split(split), self.config.views
        found: list[Batch] = []
        for own in torch.arange(len(positions)).split(AT_ONCE):
            pixels = images.pixels(positions[own])
            made = views.cut(pixels, settings, self.config.seed, purpose, step, places[own])
            made = {name: self._standardised(one) for name, one in made.items()}
            key = (self.config.seed, purpose, step, places[own])
            found.append(strong.all_covered(made, settings, *key))
        joined = {name: torch.cat([one[name] for one in found]) for name in found[0]}
        return {**joined, "labels": images.labels[positions]}

    def _standardised(self, pixels: Tensor) -> Tensor:
        """Pixels in 0…1, [..., C, S, S], as the splits standardise theirs."""
        return (pixels - self.data.mean) / self.data.deviation

    def forward(self, batch: Batch, step: int) -> Loss:
        """The loss of the micro-batch of all workers, and its terms (see `ssl.learners`)."""
        return self.compare(batch, distributed.gather, self.moment(step))

    def compare(self, batch: Batch, gather: Gather, moment: Moment | None = None) -> Loss:
        """The loss of views, as made by `views`, on the device of the networks."""
        return self.learner.compare(batch, gather, moment)

    def moment(self, step: int) -> Moment:
        """When a step is, once the data is read."""
        training, examples = self.config.training, self.num_examples
        epoch = (step - 1) // training.steps_an_epoch(examples)
        return Moment(step, training.total_steps(examples), epoch)

    def networks(self) -> Iterable[nn.Module]:
        """The backbones."""
        return [one.backbone for one in {"": self.learner.student, **self.learner.apart()}.values()]

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Matrices with decay; biases, gains, tokens, positions and prototypes without.

        Prototypes are compared by their directions, which no decay changes. As the code of DINO has
        it all lose weight but biases and what has one dimension.
        """
        free = self._kept_from_decay()
        groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for path, one in self.named_parameters():
            if one.requires_grad:
                is_free = one.ndim < 2 or path.endswith("bias") or path in free
                groups[not is_free].append(one)
        settings = {"weight_decay": self.weight_decay(), "name": MAIN}
        kept = {"weight_decay": 0.0, "name": MAIN, "decays": False}
        return [{"params": groups[True], **settings}, {"params": groups[False], **kept}]

    def _kept_from_decay(self) -> set[str]:
        """Paths of parameters of two or more dimensions that keep their weight."""
        if self.config.compatibility == "official":
            return set()
        found = {path for path, _ in self.named_parameters() if path.rpartition(".")[2] in _TABLES}
        for name, module in self.named_modules():
            if isinstance(module, UnitLinear):
                found |= {f"{name}.{path}" for path, _ in module.named_parameters()}
        return found

    def optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """AdamW, SGD, LARS, or SAM around one of the first two."""
        values = self.config.optimizer.arguments()
        return build(groups=groups, **{k: v for k, v in values.items() if k not in OURS})

    def weight_decay(self) -> float:
        """That of the first step."""
        return self.config.optimizer.weight_decay

    def learning_rate(self, step: int, total: int) -> float:
        """Peak × schedule; officially with a first rate of 0, and the peak twice."""
        config, settings = self.config, self.config.schedule
        top, warm_up = peak(config.optimizer, config.training.batch_size), settings.warm_up * total
        if config.compatibility == "official":
            ends: dict[str, Any] = {"start": top, "end": settings.floor * top}
            return cosine_of_dino(step - 1, total, warm_up_steps=round(warm_up), **ends)
        decay = {"half_life": settings.half_life * total}
        return top * SCHEDULES[settings.kind](
            step - 1,
            total,
            round(warm_up),
            settings.floor,
            **(decay if settings.kind == "exponential" else {}),
        )

    def group_settings(self, step: int, total: int) -> Mapping[str, GroupSettings]:
        """The rate, and the weight decay if it changes."""
        rate, settings = self.learning_rate(step, total), self.config.optimizer
        if settings.final_weight_decay is None:
            return {MAIN: GroupSettings(rate)}
        between = cosine_of_dino if self.config.compatibility == "official" else cosine_between
        ends: dict[str, Any] = {"start": settings.weight_decay, "end": settings.final_weight_decay}
        return {MAIN: GroupSettings(rate, between(step - 1, total, **ends))}

    def after_backward(self, step: int) -> None:
        """What stands still loses its gradient; officially each tensor is bounded by itself."""
        self.learner.after_backward(self.moment(step))
        config = self.config
        if config.compatibility == "official" and config.clip_each:
            clip_each(self.learner.parameters(), config.clip_each)

    def after_update(self, step: int) -> None:
        """Teacher and centre move."""
        self.learner.after_update(self.moment(step))
        self.step = step

    @property
    def _shape(self) -> tuple[int, int, int]:
        """Of an image as the network is given it: as large as large views."""
        side = self.learner.kept.side
        return self.facts.channels, side, side

    def costs(self) -> dict[str, float]:
        """How long the network that one goes on with takes for an image, and for a batch."""
        size = self.config.training.batch_size
        return costing.costs(self.learner.kept.backbone, self._shape, size, _embedded)


@torch.no_grad()
def clip_each(parameters: Iterable[nn.Parameter], bound: float) -> None:
    """Bounds the norm of the gradient of each tensor: g ← g · min(1, bound / (‖g‖ + 1e-6)).

    As the code of DINO (Caron et al. 2021) has it, where others bound the norm of all together.
    """
    for parameter in parameters:
        if parameter.grad is not None:
            norm = torch.linalg.vector_norm(parameter.grad)
            parameter.grad.mul_((bound / (norm + 1e-6)).clamp(max=1.0))


def _embedded(network: nn.Module, images: Tensor) -> Tensor:
    assert isinstance(network, ViT | Backbone)
    return network.embed(images)
