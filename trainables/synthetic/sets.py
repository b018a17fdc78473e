"""The sets that can be made, and the format of each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainables.data.catalog import FASHION_MNIST, DataSet
from trainables.synthetic import (
    clevr,
    clevr_v1,
    detection,
    digit_grids,
    dsprites,
    garment_boxes,
    garments,
    maritime,
    movi,
    records,
    rooms,
    tetrominoes,
)


@dataclass(frozen=True)
class Made:
    """A set that can be made.

    `scene(seed, index, *, image_size, **fixed, **rules)` makes one scene, whose image is
    `image_size` pixels high, in the published set unless another is asked for, and
    `write(folder, scenes, count, **rules)` writes them; of both, what has a default is a rule.
    `least` is the smallest number of scenes. What is made of another set `needs` it: `scene` gets
    its `files`.
    """

    scene: Callable[..., Any]
    image_size: int
    write: Callable[..., None]
    fixed: Mapping[str, object] = field(default_factory=dict)
    least: int = 1
    needs: DataSet | None = None

    @property
    def rules(self) -> dict[str, Any]:
        """The rules that may be given, with their defaults."""
        return {**_defaults(self.scene), **self.writing_rules}

    @property
    def writing_rules(self) -> dict[str, Any]:
        """Those of them that say how scenes are written, and not what is in them."""
        return _defaults(self.write)


def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    found = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in found if each.default is not each.empty}


def _in_one_file(file: str) -> Callable[[Path, Iterable[Any], int], None]:
    def write(folder: Path, scenes: Iterable[Any], count: int) -> None:
        records.write(folder / file, scenes)

    return write


def _clips_of(name: str) -> Callable[[Path, Iterable[Any], int], None]:
    def write(folder: Path, scenes: Iterable[Any], count: int) -> None:
        movi.write(folder, scenes, count, name=name)

    return write


def _variants() -> dict[str, Made]:
    made: dict[str, Made] = {}
    for name in dsprites.COLORINGS:
        write = _in_one_file(f"multi_dsprites_{name}.tfrecords")
        fixed = {"variant": name}
        made[f"multi_dsprites_{name}"] = Made(dsprites.scene, dsprites.SIZE, write, fixed)
    for name in rooms.VARIANTS:
        test = "" if name == "train" else "test_"
        write = _in_one_file(f"objects_room_{test}{name}.tfrecords")
        made[f"objects_room_{name}"] = Made(rooms.scene, rooms.SIZE, write, {"variant": name})
    for name in movi.VARIANTS:
        write = _clips_of(f"movi_{name}")
        fixed, least = {"variant": name}, len(movi.SHARES)
        made[f"movi_{name}"] = Made(movi.clip, movi.SIZE, write, fixed, least)
    return made


MADE = {
    "clevr_with_masks": Made(
        clevr.scene, clevr.SIZE, _in_one_file("clevr_with_masks_train.tfrecords")
    ),
    "clevr": Made(clevr_v1.scene, clevr_v1.SIZE, clevr_v1.write, least=len(clevr_v1.SHARES)),
    "tetrominoes": Made(
        tetrominoes.scene, tetrominoes.SIZE, _in_one_file("tetrominoes_train.tfrecords")
    ),
    **_variants(),
    "digit_grids": Made(
        digit_grids.clip, digit_grids.SIZE, digit_grids.write, least=len(digit_grids.SPLITS)
    ),
    "garments": Made(
        garments.scene,
        garments.SIZE,
        garments.write,
        least=len(garments.SPLITS),
        needs=FASHION_MNIST,
    ),
    "garments_boxes": Made(
        garment_boxes.scene,
        garment_boxes.SIZE,
        garment_boxes.write,
        least=len(garments.SPLITS),
        needs=FASHION_MNIST,
    ),
    "massmind": Made(maritime.scene, maritime.SIZE, maritime.write, least=maritime.LEAST),
    "tiny": Made(detection.scene, detection.SIZE, detection.write, least=len(detection.CASES)),
}
"""The sets that can be made, by name."""
