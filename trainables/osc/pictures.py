"""The pictures of an evaluation: what slots look at, what they are matched with, what they are."""

# N scenes, S slots, L layers, H heads, P patches.

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainables.figures.attention import (
    attention_iterations,
    attention_layers,
    attention_scenes,
)
from trainables.figures.embeddings import position_similarity, slot_scatter
from trainables.figures.matches import global_matches, object_matches
from trainables.layers.kmeans import first_centroids, kmeans
from trainables.layers.recording import recorded
from trainables.layers.vit import ViT
from trainables.metrics.masks import enlarged, masks_of, normalized_maps, overlap_scores
from trainables.metrics.right_matches import shown_objects
from trainables.metrics.rollout import rollout
from trainables.osc import attending as attended
from trainables.osc.evaluations import Segmentation
from trainables.osc.look import Look
from trainables.osc.losses import Total, matched
from trainables.osc.model import Draws, Outputs, RepresentationModel
from trainables.osc.objectives import Loss

Write = Callable[[Path], None]

CLUSTERS = 11
"""Of the tokens of an image, as many as there are slots by default."""


def of_scenes(
    shown: list[Look], settings: Segmentation, number: int, split: str
) -> dict[str, Write]:
    """Of so many scenes maps and masks of slots beside the truth; of all looks the slots
    themselves, along their principal components.
    """
    looks = [look for look in shown if look.maps is not None and look.labels is not None]
    if not looks:
        return {}
    images, labels, maps, slots = (
        torch.cat([one for one in parts if one is not None]).cpu()
        for parts in zip(
            *((look.images, look.labels, look.maps, look.found.slots) for look in looks),
            strict=True,
        )
    )
    maps = enlarged(maps, (images.shape[2], images.shape[3]), settings.enlargement)
    objects = shown_objects(labels, masks_of(maps, "argmax"), int(labels.max()) + 1)
    first = slice(0, number)
    masks = masks_of(maps[first], settings.rule)
    scores = overlap_scores(labels[first], normalized_maps(maps[first]), masks)
    scenes = partial(
        attention_scenes,
        images=images[first],
        true=labels[first],
        maps=maps[first],
        masks=masks,
        scores={"IoU": scores["iou"], "Dice": scores["dice"]},
        most=number,
        title=f"{split}: what slots look at",
    )
    scatter = partial(
        slot_scatter,
        slots=slots,
        objects=objects,
        title=f"{split}: slots of {len(slots)} scenes, by the object that they show",
    )
    return {"slots": scenes, "embeddings": scatter}


def of_network(
    model: RepresentationModel,
    image: Tensor,
    draws: Draws,
    *,
    num_slots: int | None,
    settings: Segmentation,
    split: str,
) -> dict[str, Write]:
    """Of one image [3, S, S]: attention by layer and head, and by iteration; tables of positions.

    A layer is shown as the mean over all patches of what they look at.
    """
    grid = model.grid(image.shape[-1])
    with recorded(model, attended.names(model)) as recording:
        outputs = model(image[None], draws, num_slots)
    maps, patches = recording.take(), outputs.patches.shape[1]
    found: dict[str, Write] = {}
    layers = attended.backbone_layers(maps, patches)
    if layers is not None:
        found["layers"] = _layers(image, layers[:, 0], outputs.patches, grid, split)
    if model.config.has_slots:
        found["iterations"] = partial(
            attention_iterations,
            image=image.cpu(),
            maps=attended.slot_layers(maps, settings)[:, 0].unflatten(2, grid).cpu(),
            title=f"{split}: the slots of a scene",
        )
    return found | _positions(model, grid)


def of_views(
    images: Tensor, outputs: Outputs, found: Total, settings: Loss, split: str
) -> dict[str, Write]:
    """Of views [B, 2, 3, S, S] how alike they are, and the partners of their slots in the loss."""
    images = images.cpu()
    views = partial(
        _drawn,
        global_matches,
        outputs.projections.cpu(),
        images=images,
        temperature=settings.temperature if settings.images == "ctr" else None,
        title=f"{split}: views of images",
    )
    if found.partners is None or outputs.slots is None:
        return {"views": views}
    partners = partial(
        _drawn,
        object_matches,
        matched(settings, outputs).cpu(),
        found.partners.cpu(),
        images=images,
        title=f"{split}: slots of two views",
    )
    return {"views": views, "partners": partners}


def write_maps(shown: list[Look], path: Path) -> None:
    """Images [N, 3, S, S], maps [N, slots, h, w] and labels of the scenes in the figures."""
    arrays = {"images": torch.cat([one.images for one in shown])}
    if shown[0].maps is not None:
        arrays["maps"] = torch.cat([one.maps for one in shown if one.maps is not None])
    if shown[0].labels is not None:
        arrays["labels"] = torch.cat([one.labels for one in shown if one.labels is not None])
    named: dict[str, Any] = {name: one.cpu().numpy() for name, one in arrays.items()}
    np.savez_compressed(path, **named)


def _layers(
    image: Tensor, layers: Tensor, patches: Tensor, grid: tuple[int, int], split: str
) -> Write:
    """Of attention [L, H, P, P] of an image."""
    draws = torch.linspace(0, 0.999, patches.shape[1], device=patches.device)[None]
    start = first_centroids(patches, draws, min(CLUSTERS, patches.shape[1]))
    clusters = kmeans(patches, start).members[0].view(grid)
    rolled = rollout(layers.mean(1)[:, None])[0].mean(0).view(grid)
    return partial(
        attention_layers,
        image=image.cpu(),
        maps=layers.mean(2).unflatten(2, grid).cpu(),
        clusters=clusters.cpu(),
        rollout=rolled.cpu(),
        title=f"{split}: what the patches of a scene look at",
    )


def _positions(model: RepresentationModel, grid: tuple[int, int]) -> dict[str, Write]:
    """Of the tables of positions that are learned, how alike places are."""
    tables: dict[str, Tensor] = {}
    if isinstance(model.backbone, ViT):
        tables["backbone"] = model.backbone.patch_positions(grid)[0]
    own = model.positions if model.config.has_slots else None
    if own is not None and own.table is not None:
        tables["objects"] = own.positions(grid)[0]
    return {
        f"positions-{name}": partial(
            position_similarity,
            embeddings=table.detach().cpu(),
            grid=grid,
            title=f"cosine of positions of {name}",
        )
        for name, table in tables.items()
    }


def _drawn(draw: Callable[..., float], *given: Tensor | Path, **named: object) -> None:
    """Draws; the path comes last, and the share that is returned stands in the picture."""
    *arrays, path = given
    draw(path, *arrays, **named)
