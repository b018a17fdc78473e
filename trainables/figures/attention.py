"""Pictures of attention: of slots beside the truth, of layers and heads, of iterations.

Images are float 0…1 (what lies outside is cut off). Each map is drawn by its own range, from black
to white.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from trainables.figures.palette import color, labels_by_overlap, paint
from trainables.figures.pictures import Page, cell_size, save, shown, table
from trainables.metrics.label_maps import label_map, resized
from trainables.metrics.masks import entity_masks, mask_overlaps, normalized_maps

_OPACITY = 0.55
"""Of colours that lie over an image."""


def attention_scenes(
    path: Path,
    *,
    images: Tensor,
    true: Tensor,
    maps: Tensor,
    masks: Tensor,
    scores: Mapping[str, Tensor] | None = None,
    most: int = 8,
    title: str = "",
) -> None:
    """Two rows for each of the first `most` scenes: maps of slots, and their masks over the image.

    At the left the image above its true entities, then all slots: whose map is largest, above
    the masks that fit an entity. Slots have the colours of the entities that they fit best, one to
    one, and those that fit none a free one.

    Args:
        path: of the PNG.
        images: [R, 3, H, W].
        true: labels [R, h, w], 0 the background.
        maps: of slots, [R, S, h', w'].
        masks: bool [R, S, h', w'].
        scores: of each scene [R], such as those of `masks.overlap_scores`; they stand below it.
        most: how many scenes.
        title: of the page.
    """
    images, true, maps, masks = (one.detach().cpu()[:most] for one in (images, true, maps, masks))
    size = cell_size(images.shape[2], images.shape[3], 96)
    pictures, scaled = shown(images, size), normalized_maps(maps.float())
    labels = _labels(true, masks)
    found = label_map(maps.float())
    together = paint(resized(labels.gather(1, found.flatten(1)).view(found.shape), size))
    truth = torch.lerp(pictures.float(), paint(resized(true, size)).float(), _OPACITY)
    drawn = shown(scaled[:, :, None], size)
    rows: list[list[Tensor | None]] = []
    for number, (picture, label) in enumerate(zip(pictures, labels.tolist(), strict=True)):
        places, every = resized(masks[number], size), picture
        for mask, one in zip(places, label, strict=True):
            every = _tinted(every, mask, one) if (true[number] == one).any() else every
        over = [_tinted(picture, mask, one) for mask, one in zip(places, label, strict=True)]
        rows.append([picture, together[number], *drawn[number]])
        rows.append([truth[number].round().to(torch.uint8), every, *over])
    notes = _notes(scores, len(images)) if scores is not None else ()
    sides = ["maps", "masks"] * len(images)
    heads = ["image, truth", "all slots", *map(str, range(1, maps.shape[1] + 1))]
    save(table(rows, Page(title, heads=heads, sides=sides, notes=notes)), path)


def attention_layers(
    path: Path,
    *,
    image: Tensor,
    maps: Tensor,
    clusters: Tensor | None = None,
    rollout: Tensor | None = None,
    layers: Sequence[str] = (),
    title: str = "",
) -> None:
    """One image: itself, clusters of its tokens, the rollout; then a row of heads for each layer.

    The first picture of a row is the mean of its heads.

    Args:
        path: of the PNG.
        image: [3, H, W].
        maps: where a query looks, [L, heads, h, w]: that of the class token, or the mean of all.
        clusters: of patches, a label map [h, w], such as `layers.kmeans` makes it.
        rollout: [h, w].
        layers: what stands at the left of rows; else their numbers.
        title: of the page.
    """
    size = cell_size(image.shape[1], image.shape[2], 96)
    first: list[Tensor | None] = [shown(image, size)]
    if clusters is not None:
        first.append(paint(resized(clusters[None].long().cpu() + 1, size))[0])
    if rollout is not None:
        first.append(_drawn(rollout, size))
    rows = [first]
    for heads in maps.detach().float().cpu():
        rows.append([_drawn(heads.mean(0), size), *(_drawn(head, size) for head in heads)])
    names = ["image", *(["clusters"] if clusters is not None else [])]
    names += ["rollout"] if rollout is not None else []
    sides = list(layers) or [f"layer {number}" for number in range(1, len(maps) + 1)]
    note = " | ".join(names)
    notes = [note, f"mean of heads | {maps.shape[1]} heads", *([""] * (len(maps) - 1))]
    save(table(rows, Page(title, sides=["", *sides], notes=notes)), path)


def attention_iterations(
    path: Path,
    *,
    image: Tensor,
    maps: Tensor,
    rollout: Tensor | None = None,
    whole: Tensor | None = None,
    steps: str = "iteration",
    title: str = "",
) -> None:
    """One image: a row for each iteration or layer, a column for each slot; below them rollouts.

    Args:
        path: of the PNG.
        image: [3, H, W].
        maps: [T, S, h, w].
        rollout: of slots over tokens, [S, h, w].
        whole: of slots through tokens to patches of the image, [S, h, w].
        steps: what T counts.
        title: of the page.
    """
    size = cell_size(image.shape[1], image.shape[2], 96)
    sheets = {f"{steps} {number}": one for number, one in enumerate(maps, 1)}
    if rollout is not None:
        sheets["slot rollout"] = rollout
    if whole is not None:
        sheets["full rollout"] = whole
    rows = [
        [shown(image, size) if not number else None, *(_drawn(one, size) for one in sheet)]
        for number, sheet in enumerate(sheets.values())
    ]
    heads = ["image", *map(str, range(1, maps.shape[1] + 1))]
    save(table(rows, Page(title, heads=heads, sides=list(sheets))), path)


def _drawn(one: Tensor, size: tuple[int, int]) -> Tensor:
    """A map [h, w] by its range, uint8 [H, W, 3]."""
    return shown(normalized_maps(one.detach().float().cpu())[None], size)


def _labels(true: Tensor, masks: Tensor) -> Tensor:
    """The labels [R, S] of slots by their masks, at the size of these."""
    number = int(true.max()) + 1
    entities = entity_masks(resized(true, (masks.shape[2], masks.shape[3])), number).flatten(2)
    return labels_by_overlap(mask_overlaps(entities, masks.flatten(2)), entities.any(2).any(0))


def _tinted(picture: Tensor, mask: Tensor, label: int) -> Tensor:
    """A picture [H, W, 3], uint8, with the colour of a label where the mask [H, W] is."""
    shade = torch.tensor(list(bytes.fromhex(color(label)[1:])), dtype=torch.float32)
    mixed = torch.lerp(picture.float(), shade.expand(picture.shape), _OPACITY)
    return torch.where(mask[..., None], mixed, picture.float()).round().to(torch.uint8)


def _notes(scores: Mapping[str, Tensor], scenes: int) -> list[str]:
    """Below the second row of each scene its scores."""
    notes = list[str]()
    for number in range(scenes):
        words = (f"{name} {float(values[number]):.2f}" for name, values in scores.items())
        notes += ["", "   ".join(words)]
    return notes
