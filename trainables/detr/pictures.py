"""Figures of detectors: what is found, what is matched, and what queries look at."""

# Q queries, M pairs, L decoder layers, H heads, h × w the grid.

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from trainables.data.detection.batches import IMAGENET_DEVIATION, IMAGENET_MEAN
from trainables.figures.boxes import (
    Labelled,
    detection_table,
    matched_boxes,
    precision_recall,
)
from trainables.figures.query_attention import Queries, query_heads, query_layers
from trainables.figures.simplex_curves import simplex_curves
from trainables.layers.learned_alpha import LearnedAlpha
from trainables.layers.simplex import Entmax15, Sparsemax
from trainables.layers.tvmax import TVMax
from trainables.metrics.boxes import BoxScores

_ALPHAS: Mapping[type, float] = {Entmax15: 1.5, Sparsemax: 2.0, TVMax: 2.0}
Write = Callable[[Path], None]
FOUND, SURE = 0.5, 0.3
"""Scores above which detections are drawn, and queries whose attention is."""


class Shown(NamedTuple):
    """A picture of an evaluation, and what was found of it; all on the CPU."""

    image: Tensor
    """[3, H, W] in 0…1, without padding."""
    true: Labelled
    logits: Tensor
    """[L, Q, C + 1]"""
    boxes: Tensor
    """[L, Q, 4]"""
    maps: Tensor
    """[L, H, Q, h, w]"""
    queries: Tensor
    """[M] of pairs, and `objects` [M]."""
    objects: Tensor


def figures(
    shown: list[Shown], scores: BoxScores, names: Mapping[int, str], stride: int, split: str
) -> dict[str, Write]:
    """Functions that write a PNG each, by name; none without pictures."""
    if not shown:
        return {}
    first = max(shown, key=lambda one: float(_best(one.logits[-1])[1].max()))  # most to be seen
    found = [Labelled(one.boxes[-1], *_best(one.logits[-1])) for one in shown]
    layers = {
        f"layer {number}": Queries(maps.mean(0), boxes, *_best(logits))
        for number, (maps, boxes, logits) in enumerate(
            zip(first.maps, first.boxes, first.logits, strict=True)
        )
    }
    return {
        "detections": partial(
            detection_table,
            images=[one.image for one in shown],
            found=found,
            true=[one.true for one in shown],
            names=names,
            score_above=FOUND,
            title=f"{split}: what is found",
        ),
        "matches": partial(
            matched_boxes,
            image=first.image,
            boxes=first.boxes[-1],
            true=first.true,
            queries=first.queries,
            objects=first.objects,
            names=names,
            title=f"{split}: queries and their objects",
        ),
        "queries": partial(
            query_layers,
            image=first.image,
            layers=layers,
            cell=stride,
            true=first.true,
            names=names,
            score_above=SURE,
            title=f"{split}: where queries look",
        ),
        "heads": _heads(first, names, stride, split),
        "precision_recall": partial(precision_recall, curves={split: scores.precision}),
    }


def _heads(one: Shown, names: Mapping[int, str], stride: int, split: str) -> Write:
    """Draws the heads of the query that is most sure of what it has found."""
    classes, scores = _best(one.logits[-1])
    query = int(scores.argmax())
    number = int(classes[query])
    label = f"{names.get(number, f'class {number}')} {scores[query].item():.2f}"
    return partial(
        query_heads,
        image=one.image,
        maps=one.maps[:, :, query],
        boxes=one.boxes[:, query],
        cell=stride,
        true=one.true,
        title=f"{split}: heads of query {query}, {label}",
    )


def map_curves(maps: Iterable[nn.Module | None]) -> dict[str, Write]:
    """A function that draws α-entmax at the α of each of these maps (None: softmax), and at 1.

    Of α that are learned these are the least, the median and the largest. There is none if all are
    softmax. Of what is smoothed on a grid before, it is the map of what is smooth.
    """
    alphas, learned = {1.0}, list[Tensor]()
    for one in maps:
        alpha: Any = getattr(one, "alpha", None)
        if isinstance(alpha, LearnedAlpha):
            learned += [alpha.alpha.detach().cpu()] if alpha.form != "unused" else []
        elif alpha is not None:
            alphas.add(float(alpha))
        else:
            alphas.add(_ALPHAS.get(type(one), 1.0))
    if learned:
        values = torch.cat(learned).clamp(1, 2.05)  # as the map takes them
        alphas |= {round(float(values.quantile(share)), 3) for share in (0, 0.5, 1)}
    if len(alphas) == 1:
        return {}
    return {"maps": partial(simplex_curves, alphas=sorted(alphas), title="maps of attention")}


def _best(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Classes and scores of the best class but "no object" of queries, each [Q]."""
    scores, classes = logits.softmax(-1)[..., :-1].max(-1)
    return classes, scores


def unstandardized(image: Tensor) -> Tensor:
    """An image [3, H, W] in 0…1 again."""
    mean, deviation = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_DEVIATION)
    return (image * deviation[:, None, None] + mean[:, None, None]).clamp(0, 1)


def shown_of(
    batch: Mapping[str, Tensor],
    place: int,
    predictions: tuple[Tensor, Tensor],
    maps: list[Tensor],
    pairs: tuple[Tensor, Tensor, Tensor],
    grid: tuple[int, int],
) -> Shown:
    """One picture of a batch, without padding."""
    height, width = batch["sizes"][place].tolist()
    count = int(batch["counts"][place])
    rows, columns, matched = (one[place] for one in pairs)
    image = batch["images"][place, :, :height, :width]
    true = Labelled(batch["boxes"][place, :count].cpu(), batch["classes"][place, :count].cpu())
    attention = torch.stack([one[place] for one in maps]).unflatten(-1, grid)
    return Shown(
        unstandardized(image.cpu()),
        true,
        predictions[0][:, place].cpu(),
        predictions[1][:, place].cpu(),
        attention.cpu(),
        rows[matched].cpu(),
        columns[matched].cpu(),
    )
