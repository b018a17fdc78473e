"""CLEVR v1.0 (Johnson et al. 2017): PNG pictures and JSON of scenes, in a folder or an archive."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainables.data.scenes import pngs
from trainables.data.scenes.clevr_files import opened
from trainables.data.scenes.formats import Fields, Piece
from trainables.data.scenes.frames import Frame
from trainables.data.scenes.sources import Advance, in_a_row

_CODES = {
    "size": ("small", "large"),
    "material": ("rubber", "metal"),
    "shape": ("cube", "sphere", "cylinder"),
    "color": ("gray", "blue", "brown", "yellow", "red", "green", "purple", "cyan"),
}
"""Names by code, from 1, in the order of TensorFlow Datasets."""
_MOST = 10  # objects: scenes with more are left out
_HELD_OUT, _SHARE = 512, 0.15
_TOGETHER = 64  # pictures


class DescribedScenes:
    """Scenes with properties and without masks, in the fields of CLEVR with masks.

    Validation are the first 512 scenes of its training part, as in Locatello et al. (2020), or
    15 % of them where that is fewer; training are the others, the test is its validation part,
    because its test part has no descriptions. `told` are other sizes, or empty. Entity 0 of the
    fields is the background; codes are from 1.
    """

    num_background = 1

    def __init__(
        self, files: Sequence[Path], frame: Frame, told: Mapping[str, int], advance: Advance
    ) -> None:
        self._files = opened(files)
        self._frame, self._advance = frame, advance
        train, val = self._scenes("train"), self._scenes("val")
        held_out = min(_HELD_OUT, round(_SHARE * len(train)))
        usual = {"train": len(train) - held_out, "val": held_out, "test": len(val)}
        sizes = {name: told.get(name, usual[name]) for name in ("val", "train", "test")}
        for names, count in ((("val", "train"), len(train)), (("test",), len(val))):
            if sum(sizes[name] for name in names) > count:
                raise ValueError(
                    f"{' and '.join(names)} must be at most {count} scenes, got "
                    f"{', '.join(str(sizes[name]) for name in names)}"
                )
        self._chosen = train[: sizes["val"] + sizes["train"]] + val[: sizes["test"]]
        self._sizes = sizes
        self.units = self.scenes = len(self._chosen)

    def pieces(self, skip: int) -> Iterator[Piece]:
        """As `Source`. Raises ValueError for a picture or description that is wrong."""
        self._advance(min(skip, self.units))
        for start in range(skip, self.units, _TOGETHER):
            part = self._chosen[start : start + _TOGETHER]
            found = [_fields(scene) for scene in part]
            pictures = [self._files.read(scene.picture) for scene in part]
            images = self._images(part, pictures)
            fields = {name: np.stack([each[name] for each in found]) for name in found[0]}
            yield Piece(self._frame.pictures(images), None, fields)
            self._advance(len(part))

    def splits(self, count: int) -> Mapping[str, tuple[int, int]]:
        """As `Source`."""
        places = in_a_row(self._sizes)
        return {name: places[name] for name in ("train", "val", "test")}

    def checksums(self) -> Mapping[str, str]:
        """SHA-256 of the descriptions, and of names and sizes of the pictures."""
        found = {name: _digest(self._files.read(name)) for name in map(_json, ("train", "val"))}
        sizes = [f"{each.picture} {self._files.size(each.picture)}\n" for each in self._chosen]
        return found | {"images": _digest("".join(sizes).encode())}

    def _scenes(self, part: str) -> list[_Scene]:
        try:
            scenes = json.loads(self._files.read(_json(part)))["scenes"]
            found = [
                _Scene(f"images/{part}/{scene['image_filename']}", scene["objects"])
                for scene in scenes
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{_json(part)} must describe the scenes of CLEVR ({error})") from None
        return [scene for scene in found if len(scene.objects) <= _MOST]

    def _images(self, scenes: Sequence[_Scene], pictures: Sequence[bytes]) -> NDArray[np.uint8]:
        try:
            return pngs.stacked(pngs.colour, pictures)
        except ValueError as error:
            for scene, picture in zip(scenes, pictures, strict=True):
                try:
                    pngs.colour(picture)
                except ValueError as own:
                    raise ValueError(f"{scene.picture} {own}") from None
            raise ValueError(f"{scenes[0].picture} or one of the next {error}") from None


class _Scene(NamedTuple):
    picture: str
    objects: list[dict[str, Any]]


def _json(part: str) -> str:
    return f"scenes/CLEVR_{part}_scenes.json"


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _fields(scene: _Scene) -> Fields:
    """The properties of one scene: [E] each, coordinates apart, and how many objects there are."""
    count = len(scene.objects)
    found: Fields = {name: np.zeros(_MOST + 1, np.uint8) for name in _CODES}
    found["pixel_coords"] = np.zeros((_MOST + 1, 3), np.float32)
    places = np.zeros((_MOST + 1, 3), np.float32)
    found["rotation"] = np.zeros(_MOST + 1, np.float32)
    for entity, described in enumerate(scene.objects, 1):
        try:
            for name, codes in _CODES.items():
                found[name][entity] = codes.index(described[name]) + 1
            places[entity] = described["3d_coords"]
            found["pixel_coords"][entity] = described["pixel_coords"]
            found["rotation"][entity] = described["rotation"]
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"object {entity} of {scene.picture} must be described as in CLEVR ({error})"
            ) from None
    found |= {name: places[:, axis] for axis, name in enumerate("xyz")}
    found["visibility"] = np.arange(_MOST + 1) <= count  # the background is always seen
    found["counts"] = np.array(count, np.uint8)
    return found
