"""Pictures of representations: views, attention of the class token, Grad-CAM, correspondence.

Images are float 0…1 (what lies outside is cut off), of one or three channels.
"""

# R images, C channels, H × W pixels, h × w places, V views, A anchors.

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from trainables.figures.palette import CURVES
from trainables.figures.pictures import Page, cell_size, save, shown, table
from trainables.metrics.correspondence import ANCHORS, top_mass
from trainables.metrics.masks import normalized_maps

_SIDE = 96
"""Of a picture in pixels, about."""
_OPACITY = 0.75
"""Of a colour where a map is largest."""
_HEAT = CURVES[1]


def view_sheet(
    path: Path,
    sources: Tensor,
    views: Sequence[Tensor],
    *,
    names: Sequence[str],
    notes: Sequence[str] = (),
    title: str = "",
) -> None:
    """A row for each image: itself, and all its views, of several sides each as large as it.

    Args:
        path: of the PNG.
        sources: [R, C, H, W].
        views: of one side each, [R, V, C, S, S].
        names: of these.
        notes: what stands below the last row, such as the ranges that views are drawn from.
        title: of the page.
    """
    size = cell_size(sources.shape[2], sources.shape[3], _SIDE)
    drawn = [shown(one, size) for one in views]
    rows = [
        [source, *(one for kind in drawn for one in kind[number])]
        for number, source in enumerate(shown(sources, size))
    ]
    heads = ["source"]
    for name, kind in zip(names, views, strict=True):
        heads += [f"{name} {number}" for number in range(1, kind.shape[1] + 1)]
    lines = [*[""] * (len(rows) - 1), "   ".join(notes)] if notes else []
    save(table(rows, Page(title, heads=heads, notes=lines)), path)


def class_attention_sheet(
    path: Path, images: Tensor, maps: Tensor, *, share: float, title: str = ""
) -> None:
    """A row for each image: itself, attention by head, the mean, and what has a share of its mass.

    Args:
        path: of the PNG.
        images: [R, C, H, W].
        maps: of heads, [R, heads, h, w], shown by nearest places, each by its own range.
        share: of the mass of the mean that the mask in the last column has, in 0…1.
        title: of the page.
    """
    size = cell_size(images.shape[2], images.shape[3], _SIDE)
    maps = maps.detach().float().cpu()
    every = torch.cat([maps, maps.mean(1, keepdim=True)], 1)
    drawn = shown(_enlarged(normalized_maps(every), size, "nearest-exact")[:, :, None], size)
    masks = _enlarged(top_mass(maps.mean(1), share)[:, None].float(), size, "nearest-exact")
    rows = [
        [picture, *heads, tinted(picture, mask[0])]
        for picture, heads, mask in zip(shown(images, size), drawn, masks, strict=True)
    ]
    heads = [f"head {number}" for number in range(1, maps.shape[1] + 1)]
    page = Page(title, heads=["image", *heads, "mean", f"{share:.0%} of mass"])
    save(table(rows, page), path)


def grad_cam_sheet(
    path: Path, images: Tensor, maps: Tensor, *, notes: Sequence[str] = (), title: str = ""
) -> None:
    """Images above their maps: what speaks for their score, in colour over the image.

    Args:
        path: of the PNG.
        images: [R, C, H, W].
        maps: [R, h, w], enlarged bilinearly, each by its own range.
        notes: below each image, such as its class.
        title: of the page.
    """
    size = cell_size(images.shape[2], images.shape[3], _SIDE)
    large = normalized_maps(_enlarged(maps.detach().float().cpu()[:, None], size, "bilinear"))
    pictures = shown(images, size)
    over = [tinted(one, heat[0]) for one, heat in zip(pictures, large, strict=True)]
    alone = list(shown(large, size))
    page = Page(title, heads=notes, sides=["image", "map", "map over image"])
    save(table([list(pictures), alone, over], page), path)


def map_rows_sheet(
    path: Path,
    images: Tensor,
    rows: Sequence[tuple[str, Tensor]],
    *,
    names: Sequence[str],
    title: str = "",
) -> None:
    """Images above rows of maps over them, such as those of several networks.

    Args:
        path: of the PNG.
        images: [R, C, H, W].
        rows: what each is called, and its maps [R, h, w], enlarged bilinearly, each by its range.
        names: of the images, such as their classes.
        title: of the page.
    """
    size = cell_size(images.shape[2], images.shape[3], _SIDE)
    pictures = list(shown(images, size))
    lines = [pictures]
    for _, maps in rows:
        large = _enlarged(maps.detach().float().cpu()[:, None], size, "bilinear")
        heats = normalized_maps(large)[:, 0]
        lines.append([tinted(*pair) for pair in zip(pictures, heats, strict=True)])
    page = Page(title, heads=names, sides=["image", *(name for name, _ in rows)])
    save(table(lines, page), path)


def correspondence_sheet(
    path: Path,
    first: Tensor,
    second: Tensor,
    within: Tensor,
    between: Tensor,
    *,
    title: str = "",
) -> None:
    """Two rows for each pair of images: where the features of the first are like those at anchors.

    The first image with its anchors, then its heat for each of them; below it the second image with
    the heat of the same anchors there. A column has the colour of its anchor, and all that is
    drawn of a pair one range.

    Args:
        path: of the PNG.
        first: [R, C, H, W], the images with the anchors of `metrics.correspondence.ANCHORS`.
        second: [R, C, H, W].
        within: heat [R, A, h, w] over the first.
        between: heat [R, A, h, w] over the second.
        title: of the page.
    """
    size, places = cell_size(first.shape[2], first.shape[3], _SIDE), within.shape[-2:]
    top = torch.stack([within, between]).detach().float().cpu().amax((0, 2, 3, 4))
    scale = top.where(top > 0, 1.0)[:, None, None, None]
    heats = [_enlarged(one.detach().float().cpu() / scale, size, "bilinear")
             for one in (within, between)]  # fmt: skip
    shades = CURVES[: within.shape[1]]
    rows = list[list[Tensor | None]]()
    for number, pictures in enumerate(zip(shown(first, size), shown(second, size), strict=True)):
        for place, (picture, heat) in enumerate(zip(pictures, heats, strict=True)):
            marked = picture if place else _marked(picture, (places[0], places[1]))
            pairs = zip(heat[number], shades, strict=True)
            rows.append([marked, *(tinted(picture, one, shade) for one, shade in pairs)])
    heads = ["", *(f"anchor {number}" for number in range(1, within.shape[1] + 1))]
    sides = ["within", "between"] * len(first)
    save(table(rows, Page(title, heads=heads, bars=[None, *shades], sides=sides)), path)


def _enlarged(maps: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """Maps [R, A, h, w] at another size."""
    return functional.interpolate(maps, size, mode=mode)


def tinted(picture: Tensor, heat: Tensor, shade: str = _HEAT) -> Tensor:
    """A picture [H, W, 3], uint8, under a colour as opaque as heat [H, W] in 0…1 says."""
    colour = torch.tensor(list(bytes.fromhex(shade[1:])), dtype=torch.float32)
    share = _OPACITY * heat.clamp(0, 1)[..., None]
    return (picture * (1 - share) + colour * share).round().to(torch.uint8)


def _marked(picture: Tensor, places: tuple[int, int]) -> Tensor:
    """A picture with a square of its colour at each anchor: ±1 is the middle of an outer place."""
    found, half = picture.clone(), max(2, picture.shape[0] // 32)
    for shade, point in zip(CURVES, ANCHORS, strict=False):
        colour = torch.tensor(list(bytes.fromhex(shade[1:])), dtype=torch.uint8)
        x, y = (
            round(((one + 1) / 2 * (count - 1) + 0.5) / count * length)
            for one, count, length in zip(
                point, places[::-1], (picture.shape[1], picture.shape[0]), strict=True
            )
        )
        found[max(0, y - half) : y + half, max(0, x - half) : x + half] = colour
    return found
