"""The task of representations: networks, views of scenes, the loss of two views."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trainables.core import distributed
from trainables.core.experiment import Batch, Experiment, Loss
from trainables.core.groups import MAIN
from trainables.core.optimizers import build
from trainables.core.randomness import generator, uniform
from trainables.core.schedules import three_phases
from trainables.data.scenes.choosing import Positions, chosen, clips, pixels
from trainables.data.scenes.store import Scenes, Store, open_store
from trainables.data.views import two_frames
from trainables.layers.feature_backbones import TimmFeatures
from trainables.layers.moving_average import MovingAverage
from trainables.osc import losses, views
from trainables.osc.config import Representation
from trainables.osc.losses import Predictors, Seen
from trainables.osc.model import Outputs, RepresentationModel
from trainables.settings.crops import (
    ClipFrames,
    ContrastiveCrops,
    PublishedCrops,
    TurnedCrops,
)

AT_ONCE = 8
"""So many images are cut into views together."""


class RepresentationTask(Experiment):
    """The loss of two views of each image; what measures it is in `osc.measuring`."""

    config_class = Representation
    config: Representation  # pyright: ignore[reportIncompatibleVariableOverride]
    store: Store
    _order: Positions

    def __init__(self, config: Representation) -> None:
        super().__init__(config)
        self.model = RepresentationModel(config)
        self.teacher = None
        if config.loss.objects == "distillation":
            self.teacher = MovingAverage(self.model, config.loss.momentum)

    def load(self) -> dict[str, object]:
        """Maps the store; chooses the scenes, or clips, to train on."""
        settings = self.config.data
        self.store = open_store(settings.folder(), settings.copy_to)
        positions = self.chosen("train", settings.limit)
        if not len(positions):
            raise ValueError(
                f"data.min_objects and data.max_objects must leave scenes of {settings.name}, and "
                f"none has {settings.min_objects} … {settings.max_objects} objects"
            )
        self._order = positions
        if isinstance(self.config.views, ClipFrames):
            self._order = self.clips("train", settings.limit)
        sizes = {name: len(split) for name, split in self.store.splits.items()}
        backbone = self.model.backbone
        return {
            **(backbone.facts() if isinstance(backbone, TimmFeatures) else {}),
            "data.name": f"made {settings.name}" if settings.made else settings.name,
            "data.fingerprint": self.store.fingerprint,
            "data.split_sizes": {**sizes, "train": len(self._order)},
        }

    def chosen(self, split: str, limit: int | None) -> Positions:
        """Positions of the scenes of a split that the configuration asks for."""
        settings = self.config.data
        return chosen(
            self.store.splits[split],
            min_objects=settings.min_objects,
            max_objects=settings.max_objects,
            frames=settings.frames if settings.is_video else None,
            limit=limit,
            draw=generator(self.config.seed, "scenes"),
        )

    def clips(self, split: str, limit: int | None) -> Positions:
        """Whole clips [n, frames] of a split that have at most `limit` scenes together, by draw.

        Two at least, if there are two; None stands for all.
        """
        found = clips(self.store.splits[split], self.chosen(split, None))
        number = len(found) if limit is None else max(2, limit // found.shape[1])
        if number >= len(found):
            return found
        draw = generator(self.config.seed, "clips")
        return found[torch.randperm(len(found), generator=draw)[:number].sort().values.numpy()]

    @property
    def num_examples(self) -> int:
        """Scenes, or clips, to train on, once they are chosen."""
        return len(self._order)

    def batch(self, step: int) -> Batch:
        """Views [B, 2, 3, S, S], small ones, and the draws of their queries."""
        return self.share(step, torch.arange(self.config.training.batch_size))

    def share(self, step: int, places: Tensor) -> Batch:
        """As `batch`, of the examples at these places."""
        taken = self.taken(step, places)
        positions = self._order[taken.numpy()]
        made = self.views(self.store.splits["train"], positions, "train", step, places)
        return {"examples": taken, **made}

    def views(
        self, scenes: Scenes, positions: Positions, purpose: str, step: int, places: Tensor
    ) -> Batch:
        """Views of scenes [B], or of two frames of clips [B, frames], and draws for their queries.

        Draws are functions of the seed, the purpose, the step and the places [B].
        """
        settings, seed = self.config.views, self.config.seed
        small = self.config.small_crops
        if isinstance(settings, ClipFrames):
            pairs = self.pairs(positions, purpose, step, places)
            frames = views.middle(pixels(scenes, pairs.ravel()), settings.size)
            found = {"views": frames.unflatten(0, (-1, 2))}
        else:
            found = self._crops(settings, scenes, positions, purpose, step, places)
        slots = self.config.queries.num_slots
        draw = partial(views.query_draws, self.model, seed=seed, step=step, places=places)
        found |= draw(settings.size, slots, purpose=purpose, num_views=2)
        if small is not None:
            more = draw(small.size, slots, purpose=f"{purpose} small", num_views=small.count)
            found |= {f"small_{name}": tensor for name, tensor in more.items()}
        return found

    def _crops(
        self,
        settings: PublishedCrops | TurnedCrops | ContrastiveCrops,
        scenes: Scenes,
        positions: Positions,
        purpose: str,
        step: int,
        places: Tensor,
    ) -> Batch:
        """Views of scenes [B], and small ones, of a few at once, so that they stay in the cache."""
        seed, small, found = self.config.seed, self.config.small_crops, list[Batch]()
        for own in torch.arange(len(positions)).split(AT_ONCE):
            images, some = pixels(scenes, positions[own.numpy()]), places[own]
            made = {"views": views.large(images, settings, seed, purpose, step, some)}
            if small is not None:
                made["small_views"] = views.small(images, small, seed, purpose, step, some)
            found.append(made)
        return {name: torch.cat([one[name] for one in found]) for name in found[0]}

    def pairs(self, positions: Positions, purpose: str, step: int, places: Tensor) -> Positions:
        """Of clips [B, frames] the positions of two different frames each, [B, 2]."""
        draws = uniform(self.config.seed, f"{purpose} frames", step, places, 2)
        number = torch.full((len(positions),), positions.shape[1])
        return np.take_along_axis(positions, two_frames(draws, number).numpy(), 1)

    def forward(self, batch: Batch, step: int) -> Loss:
        """The loss of the micro-batch of all workers, and its terms (see `osc.losses`)."""
        total = self.compare(batch, distributed.gather)
        return Loss(total.loss, total.terms)

    def compare(self, batch: Batch, gather: losses.Gather) -> losses.Total:
        """The loss of views, as made by `views`, on the device of the networks.

        In single precision at least: differences of cosines are small, and τ divides them.
        """
        seen = self.look(batch)
        with torch.autocast(seen.views.features.device.type, enabled=False):
            return losses.compare(self.config.loss, seen, self.predictors, gather)

    def look(self, batch: Batch) -> Seen:
        """What the networks find of views, and the teacher, if there is one."""
        teacher = None
        large = self._seen(self.model, batch, "")
        if self.teacher is not None:
            with torch.no_grad():
                teacher = self._seen(self.teacher, batch, "")
        small = None
        if "small_views" in batch and self.config.loss.objects != "none":
            small = self._seen(self.model, batch, "small_")
        return Seen(large, teacher, small)

    def _seen(self, network: nn.Module, batch: Batch, prefix: str) -> Outputs:
        """Outputs [B, V, …] of the views that begin so."""
        seen = batch[f"{prefix}views"]
        draws = {
            name: batch[f"{prefix}{name}"]
            for name in ("noise", "choices")
            if f"{prefix}{name}" in batch
        }
        found: Outputs = network(seen.flatten(0, 1), views.in_a_row(draws))
        return found.exact().by_image(seen.shape[1])

    @property
    def predictors(self) -> Predictors:
        """From projections to features: nothing where they are as wide."""
        nothing = nn.Identity()
        return Predictors(
            getattr(self.model, "global_predictor", nothing),
            getattr(self.model, "object_predictor", nothing),
        )

    def networks(self) -> Iterable[nn.Module]:
        """The backbone, which is most of it: slots are matched on the host."""
        return (self.model.backbone,)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """All with decay, or matrices alone: no biases, gains, tokens, positions and queries."""
        settings = self.config.optimizer
        own = [(path, one) for path, one in self.named_parameters() if one.requires_grad]
        is_free = {
            path
            for path, one in own
            if settings.decays == "matrices" and (one.ndim < 2 or _is_table(path))
        }
        return [
            {
                "params": [one for path, one in own if path not in is_free],
                "weight_decay": settings.weight_decay,
                "name": MAIN,
            },
            {
                "params": [one for path, one in own if path in is_free],
                "weight_decay": 0.0,
                "name": MAIN,
                "decays": False,
            },
        ]

    def optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """AdamW, SGD or LARS."""
        values = self.config.optimizer.arguments()
        return build(groups=groups, **{k: v for k, v in values.items() if k not in _OURS})

    def weight_decay(self) -> float:
        """Of the optimiser's configuration."""
        return self.config.optimizer.weight_decay

    def learning_rate(self, step: int, total: int) -> float:
        """The peak × the factor of the three phases behind `step` − 1 updates."""
        given = self.config.schedule
        factor = three_phases(
            step - 1,
            total,
            warm_up_steps=round(given.warm_up * total),
            hold_steps=round(given.hold * total),
            first=given.first,
            floor=given.floor,
            decay=given.decay,
        )
        return self.config.peak * factor

    def after_update(self, step: int) -> None:
        """The teacher follows."""
        if self.teacher is not None:
            self.teacher.follow(self.model)


_OURS = ("decays", "scaling")
"""Settings of an optimiser that torch has no use for."""


_TABLES = (
    *("positions", "class_token", "token", "table", "templates", "offsets", "mean"),
    *("log_deviation", "pos_embed", "cls_token", "reg_token", "dist_token"),
)
"""What parameters are called that are tokens, positions or queries, here and in timm."""


def _is_table(path: str) -> bool:
    return path.rpartition(".")[2] in _TABLES
