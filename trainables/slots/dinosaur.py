"""DINOSAUR: slots whose decoder reconstructs the features of a frozen network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.core import liveness
from trainables.core.experiment import Batch, Evaluated, Loss
from trainables.core.measuring import device_of_runs
from trainables.data import features
from trainables.data.features import FeatureStore, Stored
from trainables.data.scenes.store import Scenes, Store
from trainables.layers.patches import PatchFeatures, Shape, check_layer, shape_of
from trainables.layers.weights import locate
from trainables.metrics.label_maps import resized
from trainables.slots.config import Dinosaur, Features
from trainables.slots.dinosaur_measuring import Measured
from trainables.slots.dinosaur_model import DinosaurNetwork, distances
from trainables.slots.parts import Setting
from trainables.slots.scenes import SceneExperiment, augmented, read

Positions = NDArray[np.int64]


class _Look(NamedTuple):
    """Scenes of an evaluation: positions in the split, features [B, P, F], noise [B, K, D]."""

    positions: Positions
    features: Tensor
    noise: Tensor | None


class DinosaurExperiment(SceneExperiment):
    """An autoencoder of the features of patches (Seitzer et al. 2023).

    Features come from stores on the disk, which the first run builds; a batch has their codes, and
    the device makes numbers of them. Or a batch has images, and the frozen network computes in each
    step. It is no part of the experiment's parameters, and in no checkpoint.
    """

    config_class = Dinosaur
    segment_prefixes = ("", "nearest/", "attention/", "attention/nearest/")
    config: Dinosaur  # pyright: ignore[reportIncompatibleVariableOverride]
    _patches: PatchFeatures

    def __init__(self, config: Dinosaur) -> None:
        super().__init__(config)
        self._stores: dict[tuple[str, str], FeatureStore] = {}
        self.shape = shape(config.features)
        self.network = DinosaurNetwork(
            shape=self.shape,
            slots=config.slots,
            decoder=config.decoder,
            normalizes_target=config.normalizes_target,
        )

    def load(self) -> dict[str, object]:
        """Maps scenes and features; those that nobody has computed yet are computed first."""
        facts, settings = super().load(), self.config.features
        weights = locate(settings.backbone, settings.weights_file) if settings.pretrained else None
        self._patches = PatchFeatures(
            name=settings.backbone,
            weights=weights,
            **settings.model_dump(exclude={"backbone", "pretrained", "weights_file", "store"}),
        )
        facts |= {"features.store": settings.store, **(weights.facts() if weights else {})}
        if settings.store == "live":
            self._patches.on(device_of_runs())
            return facts
        train = self._stored("train", self._store)
        self._stored("val", self._measured)
        return facts | {
            "features.fingerprint": train.fingerprint,
            "features.relative_error": train.error,
        }

    def inputs(self, positions: Positions, step: int, places: Tensor) -> Batch:
        """Codes and scales of features, or images, of training scenes."""
        if self.config.features.store == "live":
            images = super().inputs(positions, step, places)["images"]
            settings = self.config.augmentation
            return {"images": augmented(images, settings, self.config.seed, step, places)}
        codes, scales = self._taken("train", self._store, positions)
        return {"codes": codes} if scales is None else {"codes": codes, "scales": scales}

    def forward(self, batch: Batch, step: int) -> Loss:
        """The mean distance of reconstructed features from the features (or what is made of them).

        `mse` is the mean squared difference, whatever the loss.
        """
        parted = self.network(self._seen(batch), self._prior(batch["noise"]))
        loss = distances(parted, self.config.loss).mean()
        is_mse = self.config.loss == "mse"
        return Loss(loss, {"mse": loss if is_mse else distances(parted, "mse").mean()})

    def _seen(self, batch: Batch) -> Tensor:
        """The features [B, P, F] of a batch."""
        if "images" in batch:
            return self._patches(batch["images"])
        stored = Stored(batch["codes"], batch.get("scales"))
        return self._stored("train", self._store).dequantized(stored)

    def _prior(self, noise: Tensor) -> Tensor | None:
        """The noise that slots start from: none where they are learned."""
        return None if self.config.slots.prior == "learned" else noise

    def networks(self) -> Iterable[nn.Module]:
        """The network that is trained."""
        return (self.network,)

    def measure(self, split: str, setting: Setting, last: bool) -> Evaluated:
        """Segments, and how far reconstructions are off, on scenes of a split in a setting."""
        scenes, settings = self._measured.splits[split], self.config.evaluation
        measured = Measured(
            scenes=scenes,
            grid=(self.shape.rows, self.shape.columns),
            mask_size=settings.mask_size,
            pictures=settings.pictures if last else 0,
        )
        for look in self._looks(split, setting):
            parted = self.network(
                look.features, look.noise, iterations=setting.iterations, rescale=setting.rescale
            )
            measured.add(look.positions, parted)
        name = settings.other_set or self.config.data.name
        slots = setting.num_slots or self.config.slots.num_slots
        return measured.evaluated(last, f"{name}, {split}, {slots} slots")

    def compared(self, labels: Tensor) -> Tensor:
        """Label maps at the size at which masks are compared."""
        side = self.config.evaluation.mask_size
        return resized(labels, (side, side), "rounded")

    def _looks(self, split: str, setting: Setting, batch_size: int = 64) -> Iterator[_Look]:
        """The scenes of an evaluation in batches, on the device of the network."""
        if self.config.features.store == "live":
            for look in self.looked_at(split, setting, batch_size):
                yield _Look(look.positions, self._patches(look.images), self._prior(look.noise))
            return
        device, store = next(self.parameters()).device, self._stored(split, self._measured)
        positions = self.positions(split, setting)
        count = setting.num_slots or self.config.slots.num_slots
        for start in range(0, len(positions), batch_size):
            liveness.alive()
            part = positions[start : start + batch_size]
            noise = self.noise(f"{split} slots", 0, torch.from_numpy(part), count).to(device)
            codes, scales = self._taken(split, self._measured, part)
            stored = Stored(codes.to(device), None if scales is None else scales.to(device))
            yield _Look(part, store.dequantized(stored), self._prior(noise))

    def _taken(self, split: str, scenes: Store, positions: Positions) -> Stored:
        """The stored features of some scenes of a split."""
        kept = self._kept(split, scenes.splits[split])
        rows = positions if kept is None else np.searchsorted(kept, positions)
        return self._stored(split, scenes).take(rows)

    def _kept(self, split: str, scenes: Scenes) -> Positions | None:
        """The scenes of a split of which features are stored; None: all.

        Of clips of which only the first frames are trained on, only those.
        """
        settings = self.config.data
        if split != "train" or settings.frames is None or not settings.is_video:
            return None
        return np.flatnonzero(scenes.fields["frame"] < settings.frames)

    def _stored(self, split: str, store: Store) -> FeatureStore:
        """The features of a split of scenes: opened, or built first."""
        key = store.fingerprint, split
        if key not in self._stores:
            self._stores[key] = self._opened(split, store)
            self._patches.forget()
        return self._stores[key]

    def _opened(self, split: str, store: Store) -> FeatureStore:
        settings, scenes = self.config.data, store.splits[split]
        kept, device = self._kept(split, scenes), device_of_runs()
        kind: Any = self.config.features.store

        def compute(rows: Positions) -> Tensor:
            images = read(scenes, rows if kept is None else kept[rows])
            return self._patches(images.to(device))

        return features.store(
            Path(settings.root),
            f"{store.folder.name}-{split}",
            {
                **self._patches.facts(),
                "scenes": store.fingerprint,
                "split": split,
                "frames": None if kept is None else settings.frames,
            },
            kind=kind,
            shape=(
                len(scenes) if kept is None else len(kept),
                self.shape.rows * self.shape.columns,
                self.shape.width,
            ),
            compute=compute,
        )


def shape(settings: Features) -> Shape:
    """Rows, columns, width and depth of the features of these settings.

    Raises:
        ValueError: begins with the path of the setting that is at fault.
    """
    try:
        found = shape_of(settings.backbone, settings.image_size)
        check_layer(settings.backbone, settings.layer, found)
    except ValueError as error:
        text = str(error)
        text = f"backbone {text.removeprefix('name ')}" if text.startswith("name ") else text
        raise ValueError(f"features.{text}") from None
    return found
