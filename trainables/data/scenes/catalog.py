"""What sets of scenes there are, where they and what is prepared of them lie; nothing is read."""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from trainables.data.root import ROOT

Crop = Literal["none", "centre", "google", "square", "whole"]
"""What is kept of pictures, see `trainables.data.scenes.frames`."""
UNCUT = ("none", "whole")
"""The crops that cut nothing off."""
ALL_ROWS = ("square", "whole")
"""The crops that keep all rows of a picture that is wider than high."""
_PREPARED, _MADE = "prepared", "made"
_MANIFEST = "manifest.json"
_ROWS, _CROPPED = 240, 192  # of a picture of CLEVR with masks, and what is kept of them


@dataclass(frozen=True)
class SceneSet:
    """Facts of a set of scenes: height of the pictures in pixels, sizes of splits, bytes of files.

    Each of `forms` is a way for it to be there: files that are all below its folder, or patterns
    of them; the first counts. `kind` is who reads them: `records`, `clevr` or `movi`. The sizes of
    `splits` are those of a set that is prepared with no others given; for MOVi they are frames.
    `url` is the address of the only file, if there is one. `prepared_size` (0: its height) and
    `crop` are customary for it. `viewer` names what shows some of it.
    """

    name: str
    kind: str
    source: str
    licence: str
    image_size: int
    forms: tuple[tuple[str, ...], ...]
    splits: dict[str, int]
    size: int
    what: str
    url: str = ""
    prepared_size: int = 0
    crop: str = "none"
    viewer: ClassVar[str] = "trainables.figures.data_sets:show_scenes"

    @property
    def customary(self) -> dict[str, Any]:
        """How it is prepared unless told otherwise: size in pixels, crop and interpolation."""
        size = self.prepared_size or self.image_size
        return {"image_size": size, "crop": self.crop, "interpolation": "nearest"}

    def folder(
        self, root: Path, *, made: bool = False, image_size: int = 0, crop: str | None = None
    ) -> Path:
        """Where its files lie; of made ones, those of which a crop leaves a height in pixels."""
        if not made:
            return root / self.name
        is_usual = self.made_height(image_size, crop) == self.made_height(image_size, None)
        return root / _MADE / f"{self.name}-{image_size}{'' if is_usual else '-high'}"

    def made_height(self, image_size: int, crop: str | None) -> int:
        """How high made pictures are in pixels, so that a crop (None: its own) leaves so many rows.

        A crop `none` leaves as many as its own does.
        """
        takes_all = self.crop == "none" or crop in ALL_ROWS
        return image_size if takes_all else round(image_size * _ROWS / _CROPPED)

    def looked_for(self, root: Path | None = None) -> Sequence[Path]:
        """The folder in which its published files are looked for."""
        return [self.folder(root or ROOT)]

    def stores(self, root: Path | None = None) -> list[Path]:
        """The folders of all that is prepared of it, of made ones too."""
        prepared = (root or ROOT) / _PREPARED
        found = [*prepared.glob(f"{self.name}-*-*-*"), *prepared.glob(f"made-{self.name}-*-*-*")]
        return sorted(each for each in found if (each / _MANIFEST).is_file())

    def found(self, folder: Path) -> list[Path]:
        """The files of the first form that is whole in a folder, sorted; none if there is none."""
        for form in self.forms:
            paths = [sorted(folder.glob(pattern)) for pattern in form]
            if all(paths):
                return [path for some in paths for path in some]
        return []

    def missing(self, root: Path | None = None) -> str | None:
        """One sentence on what to put where; None if its files or something prepared are there."""
        if self.stores(root) or self.found(self.folder(root or ROOT)):
            return None
        return missing_files(self, root or ROOT)

    def get(self, root: Path | None, given: Path | None, say: Callable[[str], None]) -> None:
        """Fetches its files into a root, or takes them from a file or folder that is `given`.

        Raises:
            LookupError, ValueError, ConnectionError: one sentence on what was wrong.
        """
        from trainables.data.scenes import getting

        getting.get(self, root or ROOT, given, say)

    def check(self, root: Path | None = None) -> Sequence[str]:
        """What is wrong with what was prepared of it: a sentence each."""
        said = self.missing(root)
        store = importlib.import_module("trainables.data.scenes.store")
        return (
            [said] if said else [each for path in self.stores(root) for each in store.check(path)]
        )

    def prepare(
        self, root: Path | None, *, progress: Callable[[int, int], None], **options: Any
    ) -> Path:
        """Makes a store of its files; options as of `trainables.data.scenes.prepare:prepare`."""
        module = importlib.import_module("trainables.data.scenes.prepare")
        return module.prepare(self, root or ROOT, progress=progress, **options)


def _records(
    name: str, file: str, height: int, what: str, count: int = 1_000_000, size: int = 0, **more: Any
) -> SceneSet:
    held_out = round(0.15 * count)
    divided = {"train": count - 2 * held_out, "val": held_out, "test": held_out}
    return SceneSet(
        name=name,
        kind="records",
        source="https://github.com/google-deepmind/multi_object_datasets (Kabra et al. 2019)",
        url=f"https://storage.googleapis.com/multi-object-datasets/{file}",
        licence="Apache-2.0",
        image_size=height,
        forms=((file.rpartition("/")[2],),),
        splits=divided if count > 1000 else {"train": 0, "val": count, "test": count},
        size=size,
        what=what,
        **more,
    )


def _room(name: str, what: str) -> SceneSet:
    count = 1_000_000 if name == "train" else 992
    file = f"objects_room/objects_room_{'' if name == 'train' else 'test_'}{name}.tfrecords"
    size = 7_000_000_000 if name == "train" else 0
    return _records(f"objects_room_{name}", file, 64, what, count, size)


def _movi(letter: str, clips: int, what: str) -> SceneSet:
    name = f"movi_{letter}"
    splits = ("train", "validation", "test")
    forms = [
        tuple(f"{below}{name}-{split}.tfrecord-*-of-*" for split in splits[:number])
        for below in ("", "1.0.0/", "256x256/1.0.0/")
        for number in (3, 2)  # the test may be left out
    ]
    return SceneSet(
        name=name,
        kind="movi",
        source=f"gs://kubric-public/tfds/{name}/256x256/1.0.0 (Greff et al. 2022)",
        licence="Apache-2.0",
        image_size=256,
        forms=tuple(forms),
        splits={"train": 24 * clips, "val": 24 * 250},
        size=0,
        what=what,
    )


_described = [f"scenes/CLEVR_{part}_scenes.json" for part in ("train", "val")]
_SPRITES = "multi_dsprites/multi_dsprites_{}.tfrecords"
_ALL = (
    _records(
        "clevr_with_masks",
        "clevr_with_masks/clevr_with_masks_train.tfrecords",
        240,
        "100,000 scenes of 3 to 10 solids with masks and properties, 240 × 320 colour",
        100_000,
        10_500_000_000,
        prepared_size=128,
        crop="centre",
    ),
    SceneSet(
        name="clevr",
        kind="clevr",
        source="https://cs.stanford.edu/people/jcjohns/clevr (Johnson et al. 2017)",
        url="https://dl.fbaipublicfiles.com/clevr/CLEVR_v1.0.zip",
        licence="CC BY 4.0",
        image_size=320,
        forms=(
            ("CLEVR_v1.0.zip",),
            *(
                tuple(f"{below}{part}" for part in ("images", *_described))
                for below in ("", "CLEVR_v1.0/")
            ),
        ),
        splits={"train": 69_488, "val": 512, "test": 15_000},
        size=19_021_600_724,
        what="85,000 scenes of 3 to 10 solids with properties, without masks, 320 × 480 colour",
        prepared_size=128,
        crop="centre",
    ),
    _records(
        "tetrominoes",
        "tetrominoes/tetrominoes_train.tfrecords",
        35,
        "1,000,000 scenes of three tetrominoes with masks, 35 × 35 colour",
        size=300_000_000,
    ),
    _records(
        "multi_dsprites_binarized",
        _SPRITES.format("binarized"),
        64,
        "1,000,000 scenes of 2 or 3 white sprites on black with masks, 64 × 64",
    ),
    _records(
        "multi_dsprites_colored_on_grayscale",
        _SPRITES.format("colored_on_grayscale"),
        64,
        "1,000,000 scenes of 2 to 5 coloured sprites on grey with masks, 64 × 64",
    ),
    _records(
        "multi_dsprites_colored_on_colored",
        _SPRITES.format("colored_on_colored"),
        64,
        "1,000,000 scenes of 1 to 4 coloured sprites on a colour with masks, 64 × 64",
    ),
    _room("train", "1,000,000 scenes of up to 3 objects in a room with masks, 64 × 64 colour"),
    _room("six_objects", "992 rooms with 6 objects, for the test"),
    _room("empty_room", "992 rooms without objects, for the test"),
    _room("identical_color", "992 rooms with 4 to 6 objects of one colour, for the test"),
    _movi("c", 9_737, "clips of 24 frames, 3 to 10 scanned objects that fall, 256 × 256 colour"),
    _movi("d", 9_737, "clips of 24 frames, 11 to 23 scanned objects, few move, 256 × 256 colour"),
    _movi("e", 9_749, "as movi_d, and the camera moves"),
)
SCENE_SETS = {each.name: each for each in _ALL}
"""By name."""


def store_folder(
    root: Path, name: str, *, made: bool, image_size: int, crop: str, interpolation: str
) -> Path:
    """Where the store of a set lies, of published files or of made ones."""
    prefix = "made-" if made else ""
    return root / _PREPARED / f"{prefix}{name}-{image_size}-{crop}-{interpolation}"


def missing_store(
    root: Path, name: str, *, made: bool, image_size: int, crop: str, interpolation: str
) -> str | None:
    """One sentence on what to run so that a store is there; None if it is."""
    folder = store_folder(
        root, name, made=made, image_size=image_size, crop=crop, interpolation=interpolation
    )
    if (folder / _MANIFEST).is_file():
        return None
    below = _below(root)
    size = f"--image-size {image_size}"
    files = SCENE_SETS[name].folder(root, made=made, image_size=image_size, crop=crop)
    there = SCENE_SETS[name].found(files)
    said = f"prepared data set {name} is not there (looked for in {folder})"
    prepare = (
        f"raysearch data prepare {name} {size} --crop {crop} --interpolation {interpolation}"
        f"{' --made' if made else ''}{below}"
    )
    if there:
        return f"{said}; run `{prepare}`"
    if made:
        usual = SCENE_SETS[name].customary
        by = crop if crop in ALL_ROWS else usual["crop"]
        option = f" --crop {crop}" if crop in ALL_ROWS else ""
        make = f"run `raysearch data make {name} {size}{option}{below}`"
        is_enough = (crop, interpolation) == (by, usual["interpolation"])
        return f"{said}; {make}" if is_enough else f"{said}; {make}, then `{prepare}`"
    url = SCENE_SETS[name].url
    get = f"`raysearch data get {name}{below}`" if url else f"get it from {SCENE_SETS[name].source}"
    return f"{said}; {'run ' if url else ''}{get}, then `{prepare}`"


def missing_files(data_set: SceneSet, root: Path) -> str:
    """One sentence on how to get the files of a set, or where to put them."""
    below = _below(root)
    get = f"run `raysearch data get {data_set.name}{below}`, or " if data_set.url else ""
    return (
        f"data set {data_set.name} is not there (looked for in {data_set.folder(root)}); {get}put "
        f"{', '.join(data_set.forms[0])} there, from {data_set.source}, or make scenes like them "
        f"by `raysearch data make {data_set.name}{below}`"
    )


def _below(root: Path) -> str:
    return "" if root == ROOT else f" --root {shlex.quote(str(root))}"
