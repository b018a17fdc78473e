"""Pictures of scenes that are taken apart into slots.

Images are float −1…1, as networks see them (what lies outside is cut off). In label maps 0 is the
background. A slot has the colour of the true entity that it shows best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from trainables.figures.canvas import canvas
from trainables.figures.palette import CURVES, alike, color, paint
from trainables.figures.pictures import Page, cell_size, save, shown, table
from trainables.metrics.label_maps import label_map, resized

_MARKERS = "osD^vPX*"


def scene_table(
    path: Path,
    *,
    images: Tensor,
    found: Tensor,
    reconstructions: Tensor | None = None,
    true: Tensor | None = None,
    attention: Tensor | None = None,
    notes: Sequence[str] = (),
    title: str = "",
) -> None:
    """A row for each scene: image | reconstruction | true | masks | attention.

    `images` and `reconstructions` [R, 3, H, W]; label maps `true`, `found` (the largest mask) and
    `attention` (the slot that attends most) [R, h, w], each of any size. What is not given has no
    column. A note stands below each scene.
    """
    size = cell_size(images.shape[2], images.shape[3], 144)
    columns = {"image": _shown(images, size)}
    if reconstructions is not None:
        columns["reconstruction"] = _shown(reconstructions, size)
    if true is not None:
        columns["true segments"] = _painted(true, size)
    slots = int(max(one.max() for one in (found, attention) if one is not None)) + 1
    labels = _labels(found, true, slots)
    columns["masks"] = _painted(_relabelled(found, labels), size)
    if attention is not None:
        columns["attention"] = _painted(_relabelled(attention, labels), size)
    rows = list(zip(*columns.values(), strict=True))
    save(table(rows, Page(title, heads=list(columns), notes=notes)), path)


def slot_table(
    path: Path,
    *,
    image: Tensor,
    masks: Tensor,
    reconstructions: Tensor | None = None,
    attention: Tensor | None = None,
    true: Tensor | None = None,
    title: str = "",
) -> None:
    """One scene, a column for each slot: what it draws, its mask, its attention.

    `image` [3, H, W], `reconstructions` [K, 3, H, W], `masks` [K, h, w] (H × W pixels if there are
    reconstructions) and `attention` [K, h, w] in 0…1, black to white, and the label map `true`
    [h, w]. What a slot draws is laid over white by its mask; without reconstructions that is the
    image. At the left the scene, and all slots together; above a slot the share of pixels where
    its mask is the largest.
    """
    image, masks = image.detach().cpu(), masks.detach().float().cpu()
    size = cell_size(image.shape[1], image.shape[2], 112 if len(masks) <= 12 else 80)
    found = label_map(masks[None])
    labels = _labels(found, None if true is None else true[None], len(masks))
    drawn = image.expand(len(masks), -1, -1, -1)
    whole = image
    if reconstructions is not None:
        drawn = reconstructions.detach().float().cpu()
        whole = (masks[:, None] * drawn).sum(0)
    laid = _over_white(drawn, masks, size)
    opacity = shown(masks[:, None], size)
    truth = None if true is None else _painted(true[None], size)[0]
    rows: list[list[Tensor | None]] = [
        [_shown(image, size), _shown(whole, size), *laid],
        [truth, _painted(_relabelled(found, labels), size)[0], *opacity],
    ]
    if attention is not None:
        attention = attention.detach().float().cpu()
        together = _painted(_relabelled(label_map(attention[None]), labels), size)[0]
        rows.append([None, together, *shown(attention[:, None], size)])
    shares = (torch.bincount(found.flatten(), minlength=len(masks)) / found.numel()).tolist()
    drawing = "drawn" if reconstructions is not None else "shown"
    page = Page(
        title,
        heads=["scene", "all slots", *(f"{k} · {share:.0%}" for k, share in enumerate(shares, 1))],
        bars=[None, None, *map(_bar, labels[0].tolist(), shares)],
        corner="slot · pixels",
        sides=[drawing, "mask", "attention"][: len(rows)],
    )
    save(table(rows, page), path)


def curves_over_slots(
    path: Path,
    curves: Mapping[str, Mapping[int, tuple[float, float, float]]],
    *,
    trained: int | None = None,
    metric: str = "F-ARI",
    over: str = "slots",
    title: str = "",
) -> None:
    """A metric against the number of slots, a curve with intervals for each variant.

    `curves` name -> number of slots -> (mean, low, high); ends of an interval may be NaN. A dashed
    line marks the `trained` number. What is counted may be another thing, `over` "objects".
    """
    numbers = sorted({number for curve in curves.values() for number in curve})
    with canvas(path, 7.2, 4.2) as figure:
        axes = figure.subplots()
        if trained is not None:
            axes.axvline(trained, color="0.6", linestyle="--", linewidth=1, zorder=0)
            axes.annotate(
                "trained", (trained, 1), (3, -3), xycoords=("data", "axes fraction"),
                textcoords="offset points", color="0.45", fontsize=8, va="top",
            )  # fmt: skip
        gap = min((b - a for a, b in pairwise(numbers)), default=1)
        for place, (name, curve) in enumerate(curves.items()):
            # Side by side, or intervals of one number would hide one another.
            shift = gap * 0.25 * ((place + 0.5) / len(curves) - 0.5)
            mean, low, high = torch.tensor([curve[number] for number in sorted(curve)]).T
            axes.errorbar(
                [number + shift for number in sorted(curve)], mean,
                yerr=torch.stack([mean - low, high - mean]).nan_to_num(0.0).clamp(min=0),
                label=name, color=CURVES[place % len(CURVES)],
                marker=_MARKERS[place % len(_MARKERS)], markersize=5, capsize=2.5, linewidth=1.4,
                elinewidth=1,
            )  # fmt: skip
        axes.set_xticks(numbers)
        axes.set_xlabel(f"number of {over}")
        axes.set_ylabel(f"{metric} (mean, 95 % interval)")
        axes.grid(axis="y", color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside right upper", fontsize=8, frameon=False)
        axes.set_title(title, fontsize=11)


def clip(
    path: Path,
    *,
    images: Tensor,
    found: Tensor,
    true: Tensor | None = None,
    rate: float = 4.0,
    opacity: float = 0.6,
    title: str = "",
) -> None:
    """A clip as an animated PNG, `rate` frames a second: each frame beside its segments.

    `images` [F, 3, H, W]; the label maps `found` and `true` [F, h, w], of any size, lie over the
    frames with `opacity` 0…1. A slot keeps one colour in all frames.
    """
    size = cell_size(images.shape[2], images.shape[3], 224)
    frames = _shown(images, size)
    columns = {"frame": frames}
    if true is not None:
        columns["true segments"] = torch.lerp(
            frames.float(), _painted(true, size).float(), opacity
        ).to(torch.uint8)
    slots = int(found.max()) + 1
    # The frames of a clip are one tall picture, so that a slot is matched once.
    tall = None if true is None else true.flatten(0, 1)[None]
    labels = _labels(found.flatten(0, 1)[None], tall, slots).expand(len(found), -1)
    painted = _painted(_relabelled(found, labels), size)
    columns["masks"] = torch.lerp(frames.float(), painted.float(), opacity).to(torch.uint8)
    page = Page(title, heads=list(columns))
    first, *others = (table([row], page) for row in zip(*columns.values(), strict=True))
    save(first, path, others, rate)


def _shown(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Images [..., 3, H, W] of −1…1 as uint8 [..., H, W, 3]."""
    return shown((images + 1) / 2, size)


def _painted(labels: Tensor, size: tuple[int, int]) -> Tensor:
    """Label maps [R, h, w] in colours, uint8 [R, H, W, 3]."""
    return paint(resized(labels, size))


def _bar(label: int, share: float) -> str | None:
    """The colour above a slot: none if it owns no pixel."""
    return color(label) if share else None


def _over_white(images: Tensor, masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Images [K, 3, H, W], white where masks [K, h, w] are 0; uint8 [K, H, W, 3]."""
    colors = _shown(images, size).float()
    share = shown(masks[:, None], size).float() / 255
    return (255 - share * (255 - colors)).round().to(torch.uint8)


def _labels(found: Tensor, true: Tensor | None, slots: int) -> Tensor:
    """Labels [R, slots] of slots: `alike`, at the size of the true label map."""
    if true is None:
        return alike(found.cpu(), None, slots)
    height, width = true.shape[1:]
    return alike(resized(found.cpu(), (height, width)), true.cpu(), slots)


def _relabelled(found: Tensor, labels: Tensor) -> Tensor:
    """Label maps [R, h, w] of slots, with the labels [R, slots] that slots have."""
    return labels.gather(1, found.long().cpu().flatten(1)).view(found.shape)
