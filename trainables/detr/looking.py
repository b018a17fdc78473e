"""What queries look at: how sparse it is, and how much of it is within their objects."""

# B images, L decoder layers, H heads, Q queries, K keys, h × w their grid, P pairs of a query and
# an object.

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trainables.core.experiment import Batch
from trainables.detr.networks import DETR
from trainables.detr.parts import Evaluations
from trainables.figures.sparsity import Band, by_layer, by_threshold
from trainables.layers.grid_positions import grid_padding
from trainables.layers.recording import Recording, recorded
from trainables.losses.matching import Assigned
from trainables.metrics import sparsity
from trainables.metrics.attention_in_boxes import attention_in_boxes
from trainables.metrics.records import Records, mean

_ROUNDING = 1e-2
"""By so much a row in half precision may miss a sum of 1."""


def cross_names(network: DETR) -> list[str]:
    """The attention of queries to the picture, a name for each decoder layer."""
    return [
        f"decoder.layers.{layer}.cross_attention" for layer in range(len(network.decoder.layers))
    ]


class Looked(NamedTuple):
    """What is recorded of a network while a block runs."""

    recording: Recording
    grids: list[tuple[int, int]]
    """Rows and columns of the map of the backbone, of each batch."""

    def maps(self) -> list[Tensor]:
        """What queries looked at in each decoder layer, [B, H, Q, K]; begins anew."""
        return [one[0] for one in self.recording.take().values()]


@contextmanager
def looked(network: DETR) -> Generator[Looked]:
    """Records what queries look at in each decoder layer, and on which grid."""
    grids: list[tuple[int, int]] = []

    def note(_module: Any, _inputs: Any, features: Tensor) -> None:
        grids.append((features.shape[2], features.shape[3]))

    hook = network.backbone.register_forward_hook(note)
    try:
        with recorded(network, cross_names(network)) as recording:
            yield Looked(recording, grids)
    finally:
        hook.remove()


class Grid(NamedTuple):
    """The cells of a batch of pictures."""

    rows: int
    columns: int
    stride: int
    padding: Tensor
    """Bool [B, K], True where there is no picture."""


def grid_of(network: DETR, batch: Batch, grid: tuple[int, int]) -> Grid:
    """The cells that queries look at, of so many rows and columns."""
    height, width = batch["images"].shape[2:]
    padding = grid_padding(batch["sizes"], (height, width), grid)
    return Grid(*grid, network.backbone.stride, padding.flatten(1))


class AttentionRecords:
    """Sparsity of each image, layer and head, the mean over queries that count; and what matched
    queries look at of each pair's object.
    """

    def __init__(self, settings: Evaluations) -> None:
        self._settings = settings.sparsity
        self._areas = settings.areas
        self._records, self._pairs = Records(), Records()
        self._shape = (0, 0)

    def add(
        self, grid: Grid, batch: Batch, maps: Sequence[Tensor], scores: Tensor, pairs: Assigned
    ) -> None:
        """Takes the maps [B, H, Q, K] of each layer, the scores [B, Q] of queries, and the pairs
        [B, M] of queries and objects.
        """
        found: dict[str, Tensor] = {"image": batch["image_ids"]}
        exact = [_on_simplex(one) for one in maps]
        for layer, weights in enumerate(exact):
            found |= self._of_layer(layer, weights, grid, scores)
        self._records.add(found)
        self._pairs.add(_of_pairs(grid, batch, exact, pairs))

    def _of_layer(
        self, layer: int, weights: Tensor, grid: Grid, scores: Tensor
    ) -> dict[str, Tensor]:
        """Values [B] of a layer by head."""
        settings, counts = self._settings, scores > self._settings.score_above
        padding = grid.padding[:, None, None]
        kinds: dict[str, Tensor] = {"gini": self._gini(weights, grid)}
        shares = sparsity.zeros(weights, settings.thresholds, padding)
        for threshold, share in zip(settings.thresholds, shares.unbind(-1), strict=True):
            kinds[f"zeros/{threshold:g}"] = share
        kinds["padding"] = weights.masked_fill(~padding, 0).sum(-1)
        kinds = {name: one + 0 * weights[..., 0] for name, one in kinds.items()}  # NaN where none
        self._shape = (layer + 1, weights.shape[1])
        return {
            f"{kind}/layer_{layer}-head_{head}": own
            for kind, values in kinds.items()
            for head, own in enumerate(sparsity.mean_over_queries(values, counts).unbind(1))
        }

    def _gini(self, weights: Tensor, grid: Grid) -> Tensor:
        """[B, H, Q], as the protocol has it: two of three take the mean of heads first."""
        protocol = self._settings.protocol
        if protocol == "map":
            return sparsity.gini(weights, grid.padding[:, None, None])
        is_sparse = bool(((weights == 0) & ~grid.padding[:, None, None]).any())
        maps = weights if protocol == "rows_c" else weights.mean(1, keepdim=True)
        maps = maps.unflatten(-1, (grid.rows, grid.columns))
        found = sparsity.row_gini(maps, protocol, is_sparse=is_sparse)
        return found.expand(weights.shape[:3])

    def values(self, *, last: bool) -> dict[str, float]:
        """Means over images: of all, of each layer, and at the last time of each head, with the
        standard deviation over images. Of thresholds above the first layers come last, too.
        """
        means = self._records.means()
        layers, heads = self._shape
        first = f"zeros/{self._settings.thresholds[0]:g}"
        found: dict[str, float] = {}
        kinds = dict.fromkeys(name.rpartition("/")[0] for name in means if "/" in name)
        for kind in kinds:
            names = [
                [f"{kind}/layer_{layer}-head_{head}" for head in range(heads)]
                for layer in range(layers)
            ]
            rows = [_mean([means[name] for name in row]) for row in names]
            found[kind] = _mean(rows)
            if last or kind in ("gini", first):
                found |= {f"{kind}/layer_{layer}": row for layer, row in enumerate(rows)}
            for name in (name for row in names for name in row if last):
                found[name] = means[name]
                found[f"{name}/deviation"] = float(self._records.column(name).std())
        return found | self._inside(last=last)

    def figures(self, split: str) -> dict[str, Callable[[Path], None]]:
        """Functions that write a PNG each: sparsity by layer, and zeros by threshold."""
        names = [f"layer {layer + 1}" for layer in range(self._shape[0])]
        thresholds = self._settings.thresholds
        zeros = {one: self._bands(f"zeros/{one:g}") for one in thresholds}
        curves = {
            name: Band(
                *zip(*((own[0][layer], own[1][layer]) for own in zeros.values()), strict=True)
            )
            for layer, name in enumerate(names)
        }
        first = f"at most {thresholds[0]:g}"
        measures = {"Gini index": self._bands("gini"), first: zeros[thresholds[0]]}
        panels = {split: {name: Band(*band) for name, band in measures.items()}}
        return {
            "sparsity": partial(by_layer, panels=panels, measure="Gini index, share of weights"),
            "thresholds": partial(
                by_threshold, thresholds=thresholds, curves=curves, title=f"{split}: small weights"
            ),
        }

    def _bands(self, kind: str) -> tuple[list[float], list[float]]:
        """Of each layer the mean over images of its heads' mean, and the standard deviation."""
        layers, heads = self._shape
        means: list[float] = []
        deviations: list[float] = []
        for layer in range(layers):
            columns = [
                self._records.column(f"{kind}/layer_{layer}-head_{head}") for head in range(heads)
            ]
            values = torch.stack(columns).nanmean(0)
            values = values[~values.isnan()]
            means.append(float(values.mean()) if len(values) else math.nan)
            deviations.append(float(values.std()) if len(values) > 1 else 0.0)
        return means, deviations

    def _inside(self, *, last: bool) -> dict[str, float]:
        """Means over pairs: of all, and of those with small, medium and large objects."""
        table = self._pairs.table()
        small, large = self._areas
        is_small, is_large = table["area"] < small, table["area"] > large
        parts = {"small": is_small, "medium": ~is_small & ~is_large, "large": is_large}
        names = [name for name in table if name.startswith("inside")]
        found = {name: mean(table[name]).mean for name in names if last or "head" not in name}
        for part, chosen in parts.items():
            found[f"inside/{part}"] = mean(table["inside"][chosen]).mean
        return found


def _of_pairs(
    grid: Grid, batch: Batch, maps: Sequence[Tensor], pairs: Assigned
) -> dict[str, Tensor]:
    """Values [P]: the area of the object, and the share of attention that is in its box."""
    image = pairs.matched.nonzero()[:, 0]
    query, target = pairs.rows[pairs.matched], pairs.columns[pairs.matched]
    boxes, sizes = batch["boxes"][image, target], batch["sizes"][image]
    own = torch.stack([one[image, :, query] for one in maps])  # [L, P, H, K]
    own = own.permute(0, 2, 1, 3).unflatten(-1, (grid.rows, grid.columns))
    last = attention_in_boxes(own[-1].mean(0), boxes, sizes, grid.stride)
    found = {
        "image": batch["image_ids"][image],
        "area": boxes[:, 2:].prod(1) * batch["original_sizes"][image].prod(1),
        "inside": last.share,
        "inside/lift": last.lift,
    }
    for layer, row in enumerate(attention_in_boxes(own, boxes, sizes, grid.stride).share):
        for head, share in enumerate(row):
            found[f"inside/layer_{layer}-head_{head}"] = share
    return found


def _on_simplex(maps: Tensor) -> Tensor:
    """Maps [B, H, Q, K] in single precision at least; rows that are no distribution become NaN.

    Attention that mixes by its scores themselves has such: nothing of it is measured.
    """
    exact = maps if maps.dtype == torch.float64 else maps.float()
    total = exact.sum(-1, keepdim=True)
    sums_to_one = ((total - 1).abs() < _ROUNDING) | (total == 0)  # 0 where all is padding
    return exact.masked_fill(~sums_to_one | (exact < 0).any(-1, keepdim=True), torch.nan)


def _mean(values: list[float]) -> float:
    known = [one for one in values if not math.isnan(one)]
    return sum(known) / len(known) if known else math.nan
