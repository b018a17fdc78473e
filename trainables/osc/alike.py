"""Objects alike in all properties: as negatives of one another, and told apart by masks."""

# n scenes, S slots, T entities (0 is the background).

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from trainables.data.scenes.choosing import Positions
from trainables.data.scenes.store import Store
from trainables.metrics.alike import alike_objects, alike_shares, iou_of
from trainables.metrics.masks import masks_of
from trainables.metrics.records import Records, mean
from trainables.metrics.right_matches import shown_objects
from trainables.osc.targets import coded

_CONTRASTS = ("ctr_all", "ctr_img", "ctr_aug")
"""Losses that take other slots as negatives."""
COLUMNS = ("alike", "iou_of_alike")
"""Of a scene, how many of its objects have another one like them, and the mean IoU of these."""


def object_types(store: Store, split: str, positions: Positions) -> Tensor | None:
    """Equal numbers for objects of the same properties, int64 [n, T]; None if the set has none.

    Properties are those with codes, and a colour; where an object is, how large in numbers, and
    how it is turned, is none. The background and what is not there have −1.
    """
    scenes = store.splits[split]
    names = coded(scenes)
    if not names:
        return None
    codes = np.stack([scenes.fields[name][positions] for name in names], -1)
    parts = [codes.astype(np.float64)]
    if "color" in scenes.fields and "color" not in names:
        color = scenes.fields["color"][positions].astype(np.float64)
        parts.append(color.reshape(*codes.shape[:2], -1))
    values = np.concatenate(parts, -1)
    _, kinds = np.unique(values.reshape(-1, values.shape[-1]), axis=0, return_inverse=True)
    types = np.where((codes > 0).all(-1), kinds.reshape(codes.shape[:2]), -1)
    objects = torch.from_numpy(types[:, store.num_background :])
    return torch.cat([torch.full((len(objects), 1), -1), objects], 1)


class Alike:
    """What alike objects there are in the scenes of an evaluation, and what becomes of them.

    Args:
        types: of `object_types`.
        positions: of the scenes, rising.
        loss: the term on slots, by its name in the configuration.
        images: so many in a row are compared with one another in training.
    """

    def __init__(self, types: Tensor, positions: Positions, *, loss: str, images: int) -> None:
        self._types, self._positions = types, positions
        self._loss, self._images = loss, images
        self._shown: list[Tensor] = []

    def columns(
        self, positions: Positions, labels: Tensor, true: Tensor, masks: Tensor, maps: Tensor
    ) -> dict[str, Tensor]:
        """Of some of the scenes `COLUMNS`, [B] each; what their slots show is kept.

        Args:
            positions: [B].
            labels: [B, H, W].
            true: labels, or the masks that slots are compared with.
            masks: of slots, bool [B, S, H, W].
            maps: of slots, [B, S, H, W]; the largest one of a pixel says whose it is.
        """
        types = self._types[np.searchsorted(self._positions, positions)].to(labels.device)
        if self._loss in _CONTRASTS:
            objects = shown_objects(labels, masks_of(maps, "argmax"), types.shape[1])
            self._shown.append(types.gather(1, objects))
        alike = alike_objects(labels, types)
        return {"alike": alike.sum(1), "iou_of_alike": iou_of(true, masks, alike)}

    def negatives(self) -> dict[str, float]:
        """How many negatives of a slot show an alike object, `negatives/alike`, and by chance.

        Of scenes as evaluations see them, whole: not of their crops. A loss
        that takes slots of other images has `negatives/alike_elsewhere` too, the share among these.
        By chance they are the slots of any scenes. Nothing for a loss without negatives.
        """
        if not self._shown:
            return {}
        found = alike_shares(torch.cat(self._shown), self._images)
        shares = {"alike": found.of_image, "alike_by_chance": found.chance}
        if self._loss == "ctr_all":
            shares |= {"alike": found.of_batch, "alike_elsewhere": found.of_others}
        return _known({f"negatives/{name}": float(share) for name, share in shares.items()})


def scores_of_alike(records: Records) -> dict[str, float]:
    """IoU where a scene has objects that are alike, and in all other scenes.

    `alike/iou` is the mean over scenes with such objects, `alike/iou_of_alike` that of these
    objects alone, `alike/share` the share of such scenes; `unalike/iou` is the mean over others.
    """
    has_alike, iou = records.column("alike") > 0, records.column("iou")
    return _known(
        {
            "alike/share": float(has_alike.double().mean()),
            "alike/iou": mean(iou[has_alike]).mean,
            "alike/iou_of_alike": mean(records.column("iou_of_alike")).mean,
            "unalike/iou": mean(iou[~has_alike]).mean,
        }
    )


def _known(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if not math.isnan(value)}
