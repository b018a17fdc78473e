"""Scenes with classes of their pixels, and the feature maps of a frozen network on the disk."""

# B images, H × W pixels, D width of features, h × w the map.

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainables.core import liveness
from trainables.core.measuring import device_of_runs
from trainables.core.randomness import generator, uniform
from trainables.data import aligned, features, neighbours
from trainables.data.features import FeatureStore, Stored
from trainables.data.scenes.catalog import SCENE_SETS
from trainables.data.scenes.choosing import Positions, chosen, pixels
from trainables.data.scenes.semantic import class_maps
from trainables.data.scenes.store import Scenes, Store, open_store
from trainables.layers.frozen_maps import FrozenMaps, map_shape, seen_size
from trainables.layers.patches import own_size
from trainables.layers.weights import locate
from trainables.ssl.own_maps import OwnMaps, digest, network_of
from trainables.ssl.segmentation_settings import Alignment, Maps, Segmented

_AT_ONCE, _LOOKED_AT = 64, 512


class Coded(NamedTuple):
    """Feature maps as they are stored: codes [B, h · w, D], and scales [B, h · w] of int8."""

    codes: Tensor
    scales: Tensor | None


class Part(NamedTuple):
    """The scenes of a split that are looked at, and their maps; with mirror images two each.

    With a `ratio` each is one of the five crops of a scene, in turn.
    """

    scenes: Scenes
    positions: Positions
    store: FeatureStore
    ratio: float | None = None


class SegmentedScenes:
    """Images, classes of pixels, and maps of features that the first run computes."""

    def __init__(self, data: Segmented, maps: Maps, seed: int) -> None:
        self._data, self._maps, self._seed = data, maps, seed
        self.store: Store = open_store(data.folder(), data.copy_to)
        self._ratio = data.five_crop
        self.order = np.repeat(self._chosen(), 1 if self._ratio is None else aligned.FIVE)
        self.network, self._facts = self._network()
        self._parts: dict[tuple[str, int | None, bool], Part] = {}

    def _network(self) -> tuple[FrozenMaps | OwnMaps, dict[str, object]]:
        """What makes maps, and what is recorded of its weights."""
        maps, scenes = self._maps, self.store.splits["train"]
        height, width = scenes.images(self.order[:1]).shape[1:3]
        if maps.checkpoint is not None:
            file = Path(maps.checkpoint)
            mean, deviation = _statistics(scenes, self.order)
            size = own_sizes(file, (height, width), maps.image_size)
            own = OwnMaps(file, image_size=size, mean=mean, deviation=deviation)
            return own, {"features.checkpoint_sha256": digest(file)}
        weights = locate(maps.backbone, maps.weights_file) if maps.pretrained else None
        network = FrozenMaps(
            name=maps.backbone,
            weights=weights,
            image_size=seen_size(maps.backbone, (height, width), maps.image_size),
            layer=maps.layer,
            final_norm=maps.final_norm,
            kind=maps.taken,
        )
        return network, weights.facts() if weights else {}

    def _chosen(self) -> Positions:
        """The training scenes.

        Raises:
            ValueError: there are none.
        """
        data = self._data
        found = chosen(
            self.store.splits["train"],
            min_objects=data.min_objects,
            max_objects=data.max_objects,
            frames=data.frames if data.is_video else None,
            limit=data.limit,
            draw=generator(self._seed, "scenes"),
        )
        if not len(found):
            raise ValueError(
                f"data.min_objects … data.max_objects must leave scenes of {data.name}, and none "
                f"is left of {len(self.store.splits['train'])}"
            )
        return found

    def facts(self) -> dict[str, object]:
        """What is recorded of a run on them."""
        sizes = {name: len(split) for name, split in self.store.splits.items()}
        train = self.train()
        return {
            **self._facts,
            "data.name": f"made {self._data.name}" if self._data.made else self._data.name,
            "data.fingerprint": self.store.fingerprint,
            "data.split_sizes": {**sizes, "train": len(self.order)},
            "features.fingerprint": train.store.fingerprint,
            "features.relative_error": train.store.error,
        }

    def train(self) -> Part:
        """The training scenes in their order, or five crops of each, one behind the other."""
        return self._part("train", self.order, mirrors=False, ratio=self._ratio)

    def measured(self, split: str, most: int | None, *, mirrors: bool) -> Part:
        """The first scenes of a split (None: all), with their mirror images or without."""
        positions = np.arange(len(self.store.splits[split]), dtype=np.int64)[:most]
        return self._part(split, positions, mirrors=mirrors)

    def changed(self, settings: Alignment) -> Part:
        """Changed versions of the training images, those of an image one behind the other.

        A version is a function of the scene, the crop and its number.
        """
        part, number = self.train(), settings.versions
        crops = np.arange(len(self.order)) % aligned.FIVE if self._ratio is not None else 0
        which = self.order * aligned.FIVE + crops
        each = torch.from_numpy(np.repeat(which, number) * number)
        numbers = each + torch.arange(number).repeat(len(which))
        draws = uniform(0, "changed images", 0, numbers, aligned.DRAWS)
        self._windows = aligned.windows(draws[:, :4], settings.smallest_area)

        def look(rows: Positions) -> Tensor:
            images = seen(part, torch.from_numpy(rows // number))
            given = draws[torch.from_numpy(rows)]
            return aligned.changed(images, given, settings.smallest_area, settings.strength)

        facts = {"versions": settings.model_dump(exclude={"weight"})}
        store = self._stored("train", self.order, number, look, facts, ratio=self._ratio)
        self.network.forget()
        return Part(part.scenes, np.repeat(self.order, number), store)

    def places(self, versions: Tensor) -> Tensor:
        """Where the places of changed versions [B] come from, [B, h · w, 2]."""
        chosen = aligned.Windows(*(one[versions] for one in self._windows))
        return aligned.places(chosen, (self.network.shape.rows, self.network.shape.columns))

    def _part(
        self, split: str, positions: Positions, *, mirrors: bool, ratio: float | None = None
    ) -> Part:
        key = split, len(positions), mirrors
        if key not in self._parts:
            scenes = self.store.splits[split]
            store = self._computed(split, positions, mirrors=mirrors, ratio=ratio)
            self._parts[key] = Part(scenes, positions, store, ratio)
            self.network.forget()
        return self._parts[key]

    def _computed(
        self, split: str, positions: Positions, *, mirrors: bool, ratio: float | None
    ) -> FeatureStore:
        """Maps of scenes, opened or built first; a scene's mirror image comes behind it."""
        scenes, each = self.store.splits[split], 2 if mirrors else 1

        def look(rows: Positions) -> Tensor:
            images = _cropped(pixels(scenes, positions[rows // each]), rows, ratio)
            is_mirror = torch.from_numpy(rows % each == 1)[:, None, None, None]
            return torch.where(is_mirror, images.flip(3), images)

        facts: dict[str, object] = {"mirrors": mirrors}
        return self._stored(split, positions, each, look, facts, ratio=ratio)

    def _stored(
        self,
        split: str,
        positions: Positions,
        each: int,
        look: Callable[[Positions], Tensor],
        facts: Mapping[str, object],
        *,
        ratio: float | None,
    ) -> FeatureStore:
        """Maps of what is looked at, `each` of a position, opened or built first."""
        device, shape = device_of_runs(), self.network.shape

        def compute(rows: Positions) -> Tensor:
            return self.network(look(rows).to(device)).flatten(2).mT

        return features.store(
            Path(self._data.root),
            f"{self.store.folder.name}-{split}",
            {
                **self.network.facts(),
                "scenes": self.store.fingerprint,
                "split": split,
                "positions": hashlib.sha256(positions.tobytes()).hexdigest(),
                **facts,
                **({} if ratio is None else {"five_crop": ratio}),
                "of": "maps",
            },
            kind=self._maps.store,
            shape=(each * len(positions), shape.rows * shape.columns, shape.width),
            compute=compute,
        )

    def maps(self, part: Part, coded: Coded) -> Tensor:
        """Maps [B, D, h, w] on the device of what is stored."""
        found = part.store.dequantized(Stored(coded.codes, coded.scales)).mT
        return found.unflatten(2, (self.network.shape.rows, self.network.shape.columns))

    def labels(self, part: Part, rows: Tensor) -> Tensor:
        """Classes of pixels [B, H, W], uint8, of some of the scenes that are looked at."""
        found = class_maps(
            part.scenes,
            part.positions[rows.numpy()],
            self._data.classes,
            num_background=self.store.num_background,
            are_classes=bool(SCENE_SETS[self._data.name].classes),
        )
        return _cropped(torch.from_numpy(found), rows.numpy(), part.ratio)

    def nearest(self, count: int) -> Tensor:
        """The nearest training scenes of each, [N, count], by their pooled maps.

        Raises:
            ValueError: there are not so many.
        """
        part = self.train()
        if count >= len(self.order):
            raise ValueError(
                f"correspondence.neighbours must be below the {len(self.order)} training images, "
                f"got {count}"
            )
        directions: list[Tensor] = []
        for rows in torch.arange(len(self.order)).split(_AT_ONCE):
            liveness.alive()
            coded = to(taken(part, rows), device_of_runs())
            directions.append(neighbours.pooled([self.maps(part, coded)]))
        return neighbours.nearest(torch.cat(directions), count).cpu()


def seen(part: Part, rows: Tensor) -> Tensor:
    """Images [B, 3, H, W] in 0…1 of some rows, or the crops that they are."""
    images = pixels(part.scenes, part.positions[rows.numpy()])
    return _cropped(images, rows.numpy(), part.ratio)


def _cropped(images: Tensor, rows: Positions, ratio: float | None) -> Tensor:
    """Images, or maps of labels, [B, …, H, W], or the crops of them that rows are."""
    if ratio is None:
        return images
    return aligned.five_crop(images, torch.from_numpy(rows % aligned.FIVE), ratio)


def taken(part: Part, rows: Tensor) -> Coded:
    """The stored maps of some rows."""
    return Coded(*part.store.take(rows.numpy().astype(np.int64)))


def to(coded: Coded, device: torch.device) -> Coded:
    """The same on a device."""
    return Coded(coded.codes.to(device), None if coded.scales is None else coded.scales.to(device))


def own_sizes(file: Path, images: tuple[int, int], height: int | None) -> tuple[int, int]:
    """What the network of a checkpoint sees of images of H × W: `height` (None: that of what it was
    trained with) by as much as keeps their proportions, rounded to whole patches.
    """
    network = network_of(file)
    patch = network.patch_size
    rows = height or network.grid[0] * patch
    return rows, max(1, round(rows * images[1] / images[0] / patch)) * patch


def _statistics(scenes: Scenes, order: Positions) -> tuple[Tensor, Tensor]:
    """Mean and deviation [3] of the channels of the first training scenes, in 0…1."""
    values = pixels(scenes, order[:_LOOKED_AT]).double().movedim(1, 0).flatten(1)
    return values.mean(1).float(), values.std(1, correction=0).clamp(min=1e-3).float()


def width(settings: Maps) -> int:
    """The width of maps.

    Raises:
        LookupError, ValueError: begins with the path of the setting that is at fault.
    """
    try:
        if settings.checkpoint is not None:
            return network_of(Path(settings.checkpoint)).width
        side = settings.image_size or own_size(settings.backbone)
        return map_shape(settings.backbone, (side, side), settings.layer, settings.taken).width
    except (LookupError, ValueError) as error:
        text = str(error)
        for given, named in (("name ", "backbone "), ("kind ", "taken ")):
            text = f"{named}{text.removeprefix(given)}" if text.startswith(given) else text
        raise type(error)(f"features.{text}") from None
