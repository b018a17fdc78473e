"""Tiny stores of scenes, those that the configurations of several families name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from trainables.data.scenes.catalog import store_folder
from trainables.data.scenes.formats import SCHEMAS, Piece, scenes
from trainables.data.scenes.frames import Frame
from trainables.data.scenes.writing import StoreWriter
from trainables.synthetic import clevr, tetrominoes

SIDE = 16
SIZES = {"train": 32, "val": 8, "test": 8}
_COUNT = sum(SIZES.values())


def provide(root: Path) -> None:
    """Writes stores of every set, below a folder of data sets, unless they are there."""
    if (root / "prepared").exists():
        return
    pieces = [_piece("tetrominoes", index) for index in range(_COUNT)]
    _write(root, "tetrominoes", joined(pieces))
    images = joined([_piece("clevr_with_masks", index) for index in range(_COUNT)])
    _write(root, "clevr_with_masks", images)
    for letter in "cde":
        _write(root, f"movi_{letter}", _clips(images))
    _write(root, "digit_grids", _clips(images, frames=2))


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


def _clips(images: Piece, frames: int = 4) -> Piece:
    """The same scenes as clips of so many frames."""
    number = np.arange(len(images))
    fields = {
        "counts": images.fields["counts"],
        "clip": (number // frames).astype(np.int32),
        "frame": (number % frames).astype(np.uint8),
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
