"""The task of detection: networks, pictures with boxes, the loss of matched pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trainables.core.experiment import Batch, Experiment, Loss
from trainables.core.groups import MAIN, GroupSettings
from trainables.core.optimizers import build
from trainables.core.randomness import generator, uniform
from trainables.core.schedules import SCHEDULES, drops
from trainables.data.detection.batches import batch
from trainables.data.detection.catalog import UNREL
from trainables.data.detection.finishing import FINISHING_DRAWS, Finishing
from trainables.data.detection.geometry import DRAWS, Augmentation
from trainables.data.detection.store import BoxSet, Split, open_set
from trainables.detr import building
from trainables.detr.alpha_history import AlphaHistory
from trainables.detr.config import Detection
from trainables.detr.losses import set_loss
from trainables.detr.parts import FINISHING, Drops

BACKBONE, ALPHA = "backbone", "alpha"
"""Names of the groups of parameters besides the main one."""


class DetectionTask(Experiment):
    """The loss of matched queries and objects; what measures it is in `detr.measuring`."""

    config_class = Detection
    config: Detection  # pyright: ignore[reportIncompatibleVariableOverride]
    pictures: BoxSet
    _measured: BoxSet
    _train: Split
    _order: Tensor

    def __init__(self, config: Detection) -> None:
        super().__init__(config)
        self.network = building.network(config)
        self.alpha_history = AlphaHistory(self.network) if config.learned_alphas else None

    def load(self) -> dict[str, object]:
        """Maps the annotations; chooses the pictures to train on."""
        settings = self.config.data
        self.pictures = open_set(
            settings.facts,
            settings.path,
            image_size=settings.image_size or 0,
            selects_on=settings.selects_on if settings.name == "coco" else "train2017",
            copy_to=settings.copy_to,
        )
        self._train = self.pictures.split("train")
        self._measured = self.pictures
        if self.config.evaluation.data == "unrel":
            names = self.config.evaluation.names
            self._measured = open_set(UNREL, settings.path, names=names, copy_to=settings.copy_to)
        self._order = torch.arange(len(self._train))
        if settings.limit is not None and settings.limit < len(self._order):
            draw = generator(self.config.seed, "pictures")
            drawn = torch.randperm(len(self._order), generator=draw)[: settings.limit]
            self._order = drawn.sort().values
        weights = building.weights(self.config) or self.network.backbone
        sizes = {name: len(split) for name, split in self.pictures.splits.items()}
        return {
            **weights.facts(),
            "data.name": settings.name,
            "data.fingerprint": self.pictures.fingerprint,
            "data.split_sizes": {**sizes, "train": len(self._order)},
        }

    def measured(self, split: str) -> Split:
        """The pictures of an evaluation; of unusual relations there is a test split alone."""
        return self._measured.split(split if split in self._measured.splits else "test")

    @property
    def training_pictures(self) -> tuple[Split, Tensor]:
        """The training split, and which of it are trained on."""
        return self._train, self._order

    @property
    def num_examples(self) -> int:
        """Pictures to train on, once they are chosen."""
        return len(self._order)

    def batch(self, step: int) -> Batch:
        """Pictures and boxes, as `data.detection.batches.batch` has them."""
        return self.share(step, torch.arange(self.config.training.batch_size))

    def share(self, step: int, places: Tensor) -> Batch:
        """As `batch`, of the examples at these places, padded to the largest of the whole batch."""
        everywhere = torch.arange(self.config.training.batch_size)
        examples = self._order[self.taken(step, everywhere)]
        return batch(
            self._train,
            examples.tolist(),
            places.tolist(),
            how=self._augmentation,
            draws=self._draws(step, everywhere),
        )

    def _draws(self, step: int, places: Tensor) -> Tensor:
        """Those of the geometry of each place [G], and behind them of what finishes pictures."""
        seed = self.config.seed
        draws = uniform(seed, "augmentation", step, places, DRAWS)
        if self._augmentation.finishing is None:
            return draws
        more = uniform(seed, "finishing", step, places, FINISHING_DRAWS)
        return torch.cat([draws, more], 1)

    @property
    def _augmentation(self) -> Augmentation:
        settings = self.config.augmentation.model_dump(exclude={"evaluated_size"})
        names = [name for rate, others in FINISHING.items() for name in (rate, *others)]
        finishing = Finishing(**{name: settings.pop(name) for name in names})
        return Augmentation(**settings, finishing=None if finishing.is_neutral else finishing)

    def forward(self, batch: Batch, step: int) -> Loss:
        """The loss of the pairs that cost least, of all decoder layers, and its terms."""
        predictions = self.network(batch["images"], batch["sizes"])
        with torch.autocast(predictions.boxes.device.type, enabled=False):
            found = set_loss(predictions, batch, **building.loss_arguments(self.config.loss))
        return Loss(found.total, found.terms)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """`main`, `backbone`, and `alpha` with a decay of its own, as far as there are any."""
        decay, of_alpha = self.config.optimizer.weight_decay, self.config.alpha.weight_decay
        found: dict[str, list[nn.Parameter]] = {}
        for path, one in self.named_parameters():
            if one.requires_grad:
                found.setdefault(_group_of(path), []).append(one)
        return [
            {"params": own, "name": name, "weight_decay": of_alpha if name == ALPHA else decay}
            for name, own in found.items()
        ]

    def optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """AdamW."""
        values = self.config.optimizer.arguments()
        return build(groups=groups, **{k: v for k, v in values.items() if k != "backbone_lr"})

    def weight_decay(self) -> float:
        """Of the optimiser's configuration."""
        return self.config.optimizer.weight_decay

    def learning_rate(self, step: int, total: int) -> float:
        """That of the main group."""
        return self.config.optimizer.lr * self._factor(step, total)

    def group_settings(self, step: int, total: int) -> Mapping[str, GroupSettings]:
        """The rates of all three groups; α may keep its own."""
        factor, config = self._factor(step, total), self.config
        follows = config.alpha.follows_schedule
        return {
            MAIN: GroupSettings(config.optimizer.lr * factor),
            BACKBONE: GroupSettings(config.optimizer.backbone_lr * factor),
            ALPHA: GroupSettings(config.alpha_lr * (factor if follows else 1.0)),
        }

    def _factor(self, step: int, total: int) -> float:
        """Of the peak: by the epoch, or by the share of all steps."""
        settings = self.config.schedule
        if isinstance(settings, Drops):
            an_epoch = self.config.training.steps_an_epoch(self.num_examples)
            return drops((step - 1) // an_epoch, settings.epochs, settings.factor)
        decay = {"half_life": settings.half_life * total}
        return SCHEDULES[settings.kind](
            step - 1,
            total,
            round(settings.warm_up * total),
            settings.floor,
            **(decay if settings.kind == "exponential" else {}),
        )

    def after_update(self, step: int) -> None:
        """Notes each α, now and then, for the picture at the end."""
        if self.alpha_history is not None:
            total = self.config.training.total_steps(self.num_examples)
            self.alpha_history.note(self.network, step, total)

    def networks(self) -> Iterable[nn.Module]:
        """The backbone: pairs are matched on the host, and pictures change their sizes."""
        return (self.network.backbone,)


def _group_of(path: str) -> str:
    """The group of a parameter, by what it belongs to."""
    if path.endswith(".alpha.raw"):
        return ALPHA
    return BACKBONE if path.startswith("network.backbone.") else MAIN
