"""Tiny scenes, and settings with which each experiment of the family runs on them in no time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from trainables.core.training import ExperimentConfig
from trainables.data.scenes.catalog import store_folder
from trainables.data.scenes.formats import SCHEMAS, Piece, scenes
from trainables.data.scenes.frames import Frame
from trainables.data.scenes.writing import StoreWriter
from trainables.synthetic import clevr, tetrominoes

SIDE = 16
SIZES = {"train": 32, "val": 8, "test": 8}
_COUNT = sum(SIZES.values())

_COMMON = {
    "data.made": True,
    "data.image_size": SIDE,
    "data.crop": "none",
    "data.interpolation": "nearest",
    "slots.width": 8,
    "slots.mlp_width": 8,
    "evaluation.main.scenes": 4,
    "schedule.warm_up": 2,
}
_CONVOLUTIONS = {"encoder.channels": 4}
VALUES: dict[str, dict[str, Any]] = {
    "slots.discovery": {**_COMMON, **_CONVOLUTIONS, "decoder.channels": 4},
    "slots.set_prediction": {**_COMMON, **_CONVOLUTIONS},
    "slots.dinosaur": {
        **_COMMON,
        "features.backbone": "test_vit",
        "features.pretrained": False,
        "features.image_size": 32,
        "evaluation.mask_size": SIDE,
    },
}
"""By name of the experiment."""


def values(config: ExperimentConfig) -> dict[str, Any]:
    """Settings that make a configuration small."""
    found = dict(VALUES[config.name])
    if config.value_at("evaluation.more.num_slots") is not None:
        found["evaluation.more.scenes"] = 4
    if config.name == "slots.dinosaur" and "width" in type(config.value_at("decoder")).model_fields:
        found["decoder.width"] = 16
    return found


def provide(root: Path) -> None:
    """Writes stores of every set that the configurations name, below a folder of data sets."""
    pieces = [_piece("tetrominoes", index) for index in range(_COUNT)]
    _write(root, "tetrominoes", joined(pieces))
    images = joined([_piece("clevr_with_masks", index) for index in range(_COUNT)])
    _write(root, "clevr_with_masks", images)
    for letter in "cde":
        _write(root, f"movi_{letter}", _clips(images))


def _piece(name: str, index: int) -> Piece:
    scene = tetrominoes.scene if name == "tetrominoes" else clevr.scene
    made = scene(0, index, image_size=2 * SIDE)
    features = {key: np.asarray(value).reshape(1, -1) for key, value in made.items()}
    crop = "none" if name == "tetrominoes" else "centre"
    return scenes(
        SCHEMAS[name], features, Frame(image_size=SIDE, crop=crop, interpolation="nearest")
    )


def joined(pieces: list[Piece]) -> Piece:
    """Scenes in a row."""
    labels = np.concatenate([piece.labels for piece in pieces if piece.labels is not None])
    fields = {
        name: np.concatenate([piece.fields[name] for piece in pieces]) for name in pieces[0].fields
    }
    return Piece(np.concatenate([piece.images for piece in pieces]), labels, fields)


def _clips(images: Piece) -> Piece:
    """The same scenes as clips of four frames."""
    number = np.arange(len(images))
    fields = {
        "counts": images.fields["counts"],
        "clip": (number // 4).astype(np.int32),
        "frame": (number % 4).astype(np.uint8),
    }
    return Piece(images.images, images.labels, fields)


def _write(root: Path, name: str, piece: Piece) -> None:
    settings: dict[str, Any] = {"image_size": SIDE, "crop": "none", "interpolation": "nearest"}
    folder = store_folder(root, name, made=True, **settings)
    writer = StoreWriter(folder, {"name": name, **settings})
    writer.add(piece)
    ends = np.cumsum(list(SIZES.values())).tolist()
    starts = [0, *ends[:-1]]
    splits = {key: pair for key, *pair in zip(SIZES, starts, ends, strict=True)}
    facts = {"settings": settings, "sources": {}, "num_background": 1}
    writer.finish(lambda count: {key: (a, b) for key, (a, b) in splits.items()}, lambda: facts)
