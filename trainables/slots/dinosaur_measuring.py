"""Evaluation of DINOSAUR: segments of masks and of attention, pictures."""

# B images, K slots, P patches, h × w their grid, S side of the label maps that are compared.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.core.experiment import Evaluated
from trainables.data.scenes.store import Scenes
from trainables.figures.segments import clip, scene_table, slot_table
from trainables.metrics import segments
from trainables.metrics.label_maps import enlarged_label_map, resized
from trainables.metrics.records import Records
from trainables.slots.dinosaur_model import Parted, distances
from trainables.slots.scenes import read

Figures = dict[str, Callable[[Path], None]]

_SOURCES: tuple[Literal["masks", "attention"], ...] = ("masks", "attention")
_KINDS: tuple[Literal["bilinear", "nearest"], ...] = ("bilinear", "nearest")
_WHERE = {"position", "objects", "clip", "frame"}
"""Columns of the records that say which scene it is."""


@dataclass
class _Shown:
    """What pictures need of the first scenes: positions, masks and attention of patches."""

    positions: NDArray[np.int64]
    masks: Tensor
    attention: Tensor


@dataclass
class Measured:
    """The metrics of scenes of an evaluation, filled batch by batch.

    Masks and attention of the `grid` are enlarged to `mask_size` pixels a side, bilinear or by
    repetition; each pixel belongs to the slot with most. True labels are picked at the multiples of
    their side / `mask_size`, rounded. `pictures`: scenes that are shown.
    """

    scenes: Scenes
    grid: tuple[int, int]
    mask_size: int
    pictures: int
    rows: Records = field(default_factory=Records, init=False)
    _shown: _Shown | None = field(default=None, init=False)

    def add(self, positions: NDArray[np.int64], parted: Parted) -> None:
        """Measures a batch of scenes."""
        device = parted.masks.device
        columns = {
            "position": torch.from_numpy(positions),
            "objects": torch.from_numpy(self.scenes.counts[positions].astype(np.int64)),
            "mse": distances(parted),
            "entropy": segments.mass_entropy(parted.attention),
        }
        for name in ("clip", "frame"):
            if name in self.scenes.fields:
                numbers = self.scenes.fields[name][positions].astype(np.int64)
                columns[name] = torch.from_numpy(numbers)
        if self.scenes.has_labels:
            true = torch.from_numpy(self.scenes.labels(positions)).to(device).long()
            size = (self.mask_size, self.mask_size)
            columns |= self._compared(parted, resized(true, size, "rounded"))
        self.rows.add(columns)
        if self.pictures and self._shown is None:
            masks, attention = (self._on_grid(one) for one in (parted.masks, parted.attention))
            self._shown = _Shown(positions, masks.cpu(), attention.cpu())

    def _compared(self, parted: Parted, true: Tensor) -> dict[str, Tensor]:
        """Scores [B] of masks and attention, bilinear and repeated, against labels [B, S, S]."""
        found: dict[str, Tensor] = {}
        size = (self.mask_size, self.mask_size)
        num_true, num_slots = int(true.max()) + 1, parted.masks.shape[1]
        for source, kind in product(_SOURCES, _KINDS):
            maps = enlarged_label_map(self._on_grid(getattr(parted, source)), size, kind)
            counts = segments.contingency(true, maps, num_true, num_slots)
            prefix = "attention/" if source == "attention" else ""
            prefix += "nearest/" if kind == "nearest" else ""
            found[f"{prefix}ari"] = segments.adjusted_rand(counts)
            found[f"{prefix}foreground_ari"] = segments.adjusted_rand(segments.foreground(counts))
            if not prefix:
                found |= {
                    "mbo": segments.mean_best_overlap(counts),
                    "miou": segments.matched_iou(counts),
                    "discovered": segments.discovered(counts),
                    "corloc": segments.corloc(counts),
                    "slots_used": segments.slots_used(counts),
                }
        return found

    def _on_grid(self, weights: Tensor) -> Tensor:
        """[B, K, P] → [B, K, h, w]."""
        return weights.unflatten(2, self.grid)

    def evaluated(self, last: bool, title: str) -> Evaluated:
        """Means over scenes; at the last time each number of objects, pictures, and the table."""
        means = self.rows.means()
        values = {name: value for name, value in means.items() if name not in _WHERE}
        if last and self.scenes.has_labels:
            for number, found in self.rows.by("objects").items():
                values[f"foreground_ari/{number}_objects"] = found["foreground_ari"].mean
        values = {name: value for name, value in values.items() if value == value}
        if not last:
            return Evaluated(values)
        return Evaluated(values, self._figures(title), {"scenes": self.rows.write})

    def _figures(self, title: str) -> Figures:
        """The first scenes, the slots of the first of them, and its clip if it is of one."""
        if self._shown is None:
            return {}
        figures: Figures = {
            "scenes": partial(self._draw_scenes, title=title),
            "slots": partial(self._draw_slots, title=title),
        }
        if "clip" in self.scenes.fields:
            figures["clip"] = partial(self._draw_clip, title=title)
        return figures

    def _draw_scenes(self, path: Path, *, title: str) -> None:
        shown, count = self._first(), self.pictures
        table = self.rows.table()
        score = table["foreground_ari"][:count].tolist() if "foreground_ari" in table else []
        scene_table(
            path,
            images=read(self.scenes, shown.positions[:count]),
            true=self._true(shown.positions[:count]),
            found=self._maps(shown.masks[:count]),
            attention=self._maps(shown.attention[:count]),
            notes=[f"F-ARI {value:.2f}" for value in score],
            title=title,
        )

    def _draw_slots(self, path: Path, *, title: str) -> None:
        shown = self._first()
        true = self._true(shown.positions[:1])
        slot_table(
            path,
            image=read(self.scenes, shown.positions[:1])[0],
            masks=shown.masks[0],
            attention=shown.attention[0],
            true=None if true is None else true[0],
            title=title,
        )

    def _draw_clip(self, path: Path, *, title: str) -> None:
        shown = self._first()
        clips = self.scenes.fields["clip"][shown.positions]
        taken = np.flatnonzero(clips == clips[0])
        positions = shown.positions[taken]
        clip(
            path,
            images=read(self.scenes, positions),
            found=self._maps(shown.masks[torch.from_numpy(taken)]),
            true=self._true(positions),
            title=title,
        )

    def _first(self) -> _Shown:
        assert self._shown is not None
        return self._shown

    def _maps(self, weights: Tensor) -> Tensor:
        return enlarged_label_map(weights, (self.mask_size, self.mask_size))

    def _true(self, positions: NDArray[np.int64]) -> Tensor | None:
        if not self.scenes.has_labels:
            return None
        return torch.from_numpy(self.scenes.labels(positions)).long()
