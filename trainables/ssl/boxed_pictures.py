"""Pictures of attention and Grad-CAM in boxes, and in the whole pictures around them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from trainables.core.experiment import Evaluated
from trainables.data.boxed import boxed
from trainables.figures.boxed_maps import MapRow, boxed_maps_sheet
from trainables.ssl.explaining import attention, towards_means
from trainables.ssl.features import Features
from trainables.ssl.pretraining_task import PretrainingTask


def in_pictures(
    experiment: PretrainingTask,
    features: Features,
    positions: Tensor,
    goals: Tensor,
    names: Sequence[str],
) -> Evaluated:
    """The picture `boxes`: Grad-CAM towards goals [R, D], and attention where there is a class
    token, of validation boxes at positions [R] and of their whole pictures.

    A whole picture is seen as large as a box is, its sides made equal.
    """
    data, network, split = experiment.config.data, experiment.learner.kept, experiment.split("val")
    given: dict[str, Any] = {**data.boxes.arguments(), "root": Path(data.root)}
    found = boxed(split, "val", positions, Path(data.path or ""), data.split_seed, **given)
    seen = [one.seen for one in found]
    side = (data.side, data.side)
    wholes = torch.cat(
        [
            functional.interpolate(one.picture[None], side, mode="bilinear", antialias=True)
            for one in found
        ]
    )
    wholes = (wholes - experiment.data.mean) / experiment.data.deviation
    kinds = [("box", split.take(positions), seen), ("picture", wholes, None)]
    rows: list[MapRow] = []
    for name, images, where in kinds:
        maps = towards_means(experiment, network, features.placed(images), goals)
        rows.append(MapRow(f"Grad-CAM, {name}", maps, where))
    for name, images, where in kinds:
        heads = attention(network, features.placed(images))
        if heads is not None:
            rows.append(MapRow(f"attention, {name}", heads.mean(1), where))
    draw = partial(
        boxed_maps_sheet,
        pictures=[one.picture for one in found],
        boxes=[one.corners for one in found],
        rows=rows,
        names=names,
        title="What the network looks at: in a box alone, and in the whole picture",
    )
    return Evaluated({}, {"boxes": draw})
