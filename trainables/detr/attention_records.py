"""Records of the sparsity of queries' attention, and of its share within objects."""

# B images, L decoder layers, H heads, Q queries, K keys, h × w their grid, P pairs of a query and
# an object.

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from trainables.core.experiment import Batch
from trainables.detr.looking import Grid, on_simplex
from trainables.detr.parts import Evaluations
from trainables.figures.boxes import area_histogram
from trainables.figures.sparsity import Band, by_layer, by_threshold, inside_boxes
from trainables.losses.matching import Assigned
from trainables.metrics import sparsity
from trainables.metrics.attention_in_boxes import (
    attention_in_boxes,
    cells_in_boxes,
    cells_in_corners,
    cells_in_pictures,
    even_within,
    share_within,
)
from trainables.metrics.records import Records, deviation, mean

_BY_LAYER = ("gini", "support", "outside", "corners")
"""Of these each layer is told at every evaluation, of the others at the last one."""


class AttentionRecords:
    """What queries look at in each image, layer and head, the mean over queries that count; and
    what matched queries look at of each pair's object.
    """

    def __init__(self, settings: Evaluations) -> None:
        self._settings = settings.sparsity
        self._areas = settings.areas
        self._images, self._attention, self._pairs = Records(), Records(), Records()
        self._layers, self._heads = range(0), range(0)
        self._kinds: list[str] = []
        self._highest = torch.tensor(0.0)

    def add(
        self, grid: Grid, batch: Batch, maps: Sequence[Tensor], scores: Tensor, pairs: Assigned
    ) -> None:
        """Takes the maps [B, H, Q, K] of each layer, the scores [B, Q] of queries, and the pairs
        [B, M] of queries and objects.
        """
        sizes, cells = batch["sizes"], (grid.rows, grid.columns)
        boxes = batch["boxes"], batch["counts"]
        parts = {
            "picture": cells_in_pictures(sizes, cells, grid.stride),
            "boxes": cells_in_boxes(*boxes, sizes, cells, grid.stride),
            "corners": cells_in_corners(sizes, cells, grid.stride),
        }
        counts = scores > self._settings.score_above
        self._highest = torch.maximum(self._highest.to(scores), scores.max())
        exact = [on_simplex(one) for one in maps]
        self._layers, self._heads = range(len(exact)), range(exact[0].shape[1])
        found: dict[str, Tensor] = {}
        for layer, weights in enumerate(exact):
            kinds = self._of_layer(weights, grid, parts)
            self._kinds = list(kinds)
            for kind, values in kinds.items():
                means = sparsity.mean_over_queries(values, counts)
                found |= {_name(kind, layer, head): own for head, own in enumerate(means.unbind(1))}
        self._attention.add(found)
        even = {name: even_within(parts[name], grid.padding) for name in ("boxes", "corners")}
        self._images.add(
            {
                **_of_images(batch, scores.shape[1], pairs),
                "counted": counts.sum(1),
                "outside/even": 1 - even["boxes"],
                "corners/even": even["corners"],
            }
        )
        self._pairs.add(_of_pairs(grid, batch, exact, pairs))

    def _of_layer(self, weights: Tensor, grid: Grid, parts: dict[str, Tensor]) -> dict[str, Tensor]:
        """Values [B, H, Q] of the maps of a layer, NaN for what is no map."""
        padding, thresholds = grid.padding[:, None, None], self._settings.thresholds
        shares = sparsity.zeros(weights, thresholds, padding).unbind(-1)
        in_corners = share_within(weights, parts["corners"])
        kinds = {
            "gini": self._gini(weights, grid),
            **{_zeros(one): share for one, share in zip(thresholds, shares, strict=True)},
            "support": sparsity.support(weights, padding),
            "padding": weights.masked_fill(~padding, 0).sum(-1),
            "beyond": (1 - share_within(weights, parts["picture"])).clamp(min=0),
            "outside": (1 - share_within(weights, parts["boxes"])).clamp(min=0),
            "corners": in_corners,
            "corners/lift": in_corners / even_within(parts["corners"], grid.padding)[:, None, None],
        }
        return {kind: one + 0 * weights[..., 0] for kind, one in kinds.items()}

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
        means = self._attention.means()
        always = (*_BY_LAYER, _zeros(self._settings.thresholds[0]))
        found = self._images.means()
        for kind in self._kinds:
            names = [[_name(kind, layer, head) for head in self._heads] for layer in self._layers]
            rows = [_mean(means[name] for name in row) for row in names]
            found[kind] = _mean(rows)
            if last or kind in always:
                found |= {f"{kind}/layer_{layer}": row for layer, row in enumerate(rows)}
            for name in (name for row in names for name in row if last):
                found[name] = means[name]
                found[f"{name}/deviation"] = deviation(self._attention.column(name))
        return found | self._inside(last=last)

    def uncounted(self) -> str | None:
        """A sentence if no query of any image counts, so that nothing says how sparse maps are."""
        if bool(self._images.column("counted").any()):
            return None
        return (
            f"no query counts, and the sparsity of attention is not measured: "
            f"evaluation.sparsity.score_above must be below the highest score, "
            f"{float(self._highest):.3g}, got {self._settings.score_above:g}"
        )

    def _inside(self, *, last: bool) -> dict[str, float]:
        """Means over pairs: of all, of each layer, and of those with small, medium and large
        objects; at the last time of each head, with the standard deviation over pairs.
        """
        table = self._pairs.table()
        names = [name for name in table if name.startswith("inside")]
        columns = {name: table[name] for name in names if last or "head" not in name}
        for part, chosen in self._by_size(table["area"]).items():
            columns[f"inside/{part}"] = table["inside"][chosen]
        found = {name: mean(values).mean for name, values in columns.items()}
        if last:
            wide = (name for name in columns if "lift" not in name and "even" not in name)
            found |= {f"{name}/deviation": deviation(columns[name]) for name in wide}
        return found

    def _by_size(self, areas: Tensor) -> dict[str, Tensor]:
        """Which of objects with areas [P] are small, medium and large."""
        small, large = self._areas
        is_small, is_large = areas < small, areas > large
        return {"small": is_small, "medium": ~is_small & ~is_large, "large": is_large}

    def figures(self, split: str) -> dict[str, Callable[[Path], None]]:
        """Functions that write a PNG each: sparsity by layer, zeros by threshold, attention inside
        of boxes, and areas of objects.
        """
        thresholds = self._settings.thresholds
        zeros = {one: self._bands(_zeros(one)) for one in thresholds}
        curves = {
            f"layer {layer}": Band(
                *zip(*((own[0][layer], own[1][layer]) for own in zeros.values()), strict=True)
            )
            for layer in self._layers
        }
        first = f"at most {thresholds[0]:g}"
        measures = {"Gini index": self._bands("gini"), first: zeros[thresholds[0]]}
        panels = {split: {name: Band(*band) for name, band in measures.items()}}
        pairs = self._pairs.table()
        chosen = {"all": torch.ones(len(pairs["area"])).bool()} | self._by_size(pairs["area"])
        inside = {
            size: (mean(pairs["inside"][own]).mean, deviation(pairs["inside"][own]))
            for size, own in chosen.items()
        }
        even = pairs["inside/even"]
        chance = {size: mean(even[own]).mean for size, own in chosen.items() if own.any()}
        return {
            "sparsity": partial(by_layer, panels=panels, measure="Gini index, share of weights"),
            "thresholds": partial(
                by_threshold, thresholds=thresholds, curves=curves, title=f"{split}: small weights"
            ),
            "inside": partial(
                inside_boxes,
                models={f"layer {self._layers[-1]}, mean of heads": inside},
                chance=chance,
                title=f"{split}: what queries see of their objects",
            ),
            "areas": partial(
                area_histogram,
                areas={split: pairs["area"]},
                limits=self._areas,
                title=f"{split}: areas of objects with a query",
            ),
        }

    def _bands(self, kind: str) -> tuple[list[float], list[float]]:
        """Of each layer the mean over images of its heads' mean, and the standard deviation."""
        rows = [
            torch.stack(
                [self._attention.column(_name(kind, layer, head)) for head in self._heads]
            ).nanmean(0)
            for layer in self._layers
        ]
        return [mean(row).mean for row in rows], [deviation(row) for row in rows]


def _of_images(batch: Batch, queries: int, pairs: Assigned) -> dict[str, Tensor]:
    """Values [B]: queries without an object, and the share of the picture that is in no box."""
    boxes, sizes = (batch["boxes"], batch["counts"]), batch["sizes"]
    whole = cells_in_boxes(*boxes, sizes, (1, 1), max(batch["images"].shape[2:]))  # one cell
    matched = pairs.matched.sum(1)
    return {"unmatched": queries - matched, "outside/area": 1 - whole[:, 0, 0]}


def _of_pairs(
    grid: Grid, batch: Batch, maps: Sequence[Tensor], pairs: Assigned
) -> dict[str, Tensor]:
    """Values [P]: the area of the object, and the share of attention in its box: of attention that
    is equal over all cells, of the mean of heads in the last layer and in each, and of each head.
    """
    image = pairs.matched.nonzero()[:, 0]
    query, target = pairs.rows[pairs.matched], pairs.columns[pairs.matched]
    boxes, sizes = batch["boxes"][image, target], batch["sizes"][image]
    own = torch.stack([one[image, :, query] for one in maps])  # [L, P, H, K]
    own = own.permute(0, 2, 1, 3).unflatten(-1, (grid.rows, grid.columns))
    padding = grid.padding[image].unflatten(-1, (grid.rows, grid.columns))
    means = attention_in_boxes(own.mean(1), boxes, sizes, grid.stride, padding)
    heads = attention_in_boxes(own, boxes, sizes, grid.stride, padding)
    found = {
        "area": boxes[:, 2:].prod(1) * batch["original_sizes"][image].prod(1),
        "inside/even": means.even,
    }
    for name, mean_share, share in (
        ("inside", means.share, heads.share),
        ("inside/lift", means.lift, heads.lift),
    ):
        found[name] = mean_share[-1]
        for layer, (row, of_heads) in enumerate(zip(mean_share, share, strict=True)):
            found[f"{name}/layer_{layer}"] = row
            found |= {_name(name, layer, head): one for head, one in enumerate(of_heads)}
    return found


def _name(kind: str, layer: int, head: int) -> str:
    return f"{kind}/layer_{layer}-head_{head}"


def _zeros(threshold: float) -> str:
    return f"zeros/{threshold:g}"


def _mean(values: Iterable[float]) -> float:
    """Of those that are numbers; NaN if there is none."""
    return mean(torch.tensor(list(values), dtype=torch.float64)).mean
