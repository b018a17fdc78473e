"""The catalogue of sets of scenes, and the commands that make their stores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from trainables.data.root import ROOT
from trainables.data.scenes.facts import ALL_ROWS, MANIFEST, SceneFacts, root_option, way_to_get
from trainables.data.scenes.facts import Crop as Crop
from trainables.data.scenes.facts import missing_files as missing_files
from trainables.data.scenes.facts import store_folder as store_folder


class SceneSet(SceneFacts):
    """A set of scenes, with what can be done with it; `viewer` names what shows some of it."""

    viewer: ClassVar[str] = "trainables.figures.data_sets:show_scenes"

    def get(self, root: Path | None, given: Path | None, say: Callable[[str], None]) -> None:
        """Fetches its files into a root, or takes them from a file or folder that is `given`.

        Raises:
            LookupError, ValueError, ConnectionError: one sentence on what was wrong.
        """
        from trainables.data.scenes import getting

        getting.get(self, root or ROOT, given, say)

    def check(self, root: Path | None = None) -> Sequence[str]:
        """What is wrong with what was prepared of it: a sentence each."""
        from trainables.data.scenes import store

        problem = self.missing(root)
        return (
            [problem]
            if problem
            else [each for path in self.stores(root) for each in store.check(path)]
        )

    def prepare(
        self, root: Path | None, *, progress: Callable[[int, int], None], **options: Any
    ) -> Path:
        """Makes a store of its files; options as of `trainables.data.scenes.prepare:prepare`."""
        from trainables.data.scenes.prepare import prepare

        return prepare(self, root or ROOT, progress=progress, **options)


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
        kind="clips",
        source=f"gs://kubric-public/tfds/{name}/256x256/1.0.0 (Greff et al. 2022)",
        licence="Apache-2.0",
        image_size=256,
        forms=tuple(forms),
        splits={"train": 24 * clips, "val": 24 * 250},
        size=0,
        what=what,
    )


_OF_SOLIDS = ("size", "color", "material", "shape")
_described = [f"scenes/CLEVR_{part}_scenes.json" for part in ("train", "val")]
_SPRITES = "multi_dsprites/multi_dsprites_{}.tfrecords"
_MADE_ONLY = (
    SceneSet(
        name="digit_grids",
        kind="clips",
        source="made of the digits that come with scikit-learn (Alpaydin and Kaynak 1998)",
        licence="CC BY 4.0",
        image_size=48,
        forms=(
            tuple(
                f"digit_grids-{split}.tfrecord-*-of-*" for split in ("train", "validation", "test")
            ),
        ),
        splits={},
        size=0,
        what="clips of 2 to 6 real digits on a 3 × 3 grid, elsewhere in each frame, with masks",
        is_made="only",
        comes_square=True,
        properties=("digit",),
    ),
    SceneSet(
        name="garments",
        kind="records",
        source="made of fashion_mnist (Xiao et al. 2017)",
        licence="MIT",
        image_size=64,
        forms=(tuple(f"garments-{split}.tfrecords" for split in ("train", "val", "test")),),
        splits={},
        size=0,
        what="scenes of 2 to 5 garments of Fashion-MNIST that hide one another, with masks",
        is_made="only",
        comes_square=True,
        properties=("garment",),
    ),
)
_NUCLEI = SceneSet(
    name="nuclei",
    kind="nuclei",
    source="the package stardist (Schmidt et al. 2018; picture: Caicedo et al. 2019)",
    licence="BSD-3-Clause",
    image_size=64,
    forms=(("img2d.tif", "mask2d.tif"),),
    splits={"train": 135, "val": 12, "test": 12},
    size=0,
    what="tiles of a microscope's picture of 125 cell nuclei with masks, 512 × 512 grey in all",
    package=("stardist==0.9.2", "data/images"),
    is_made="never",
    comes_square=True,
)
MARITIME = ("sky", "water", "bridge", "obstacle", "living obstacle", "background", "self")
"""What is seen at a pixel of MassMIND, by its number."""
_MASSMIND = SceneSet(
    name="massmind",
    kind="class_masks",
    source="https://github.com/uml-marine-robotics/MassMIND (Nirgudkar et al. 2023)",
    licence="CC BY-NC-SA 4.0",
    image_size=512,
    forms=(("images/*.png", "masks/*.png"),),
    splits={"train": 2042, "val": 437, "test": 437},
    size=0,
    what="2,916 thermal pictures from a boat with a class of 7 at each pixel, 512 × 640 grey",
    crop="whole",
    classes=MARITIME,
)
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
        properties=_OF_SOLIDS,
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
        besides=("questions",),
        splits={"train": 69_488, "val": 512, "test": 15_000},
        size=19_021_600_724,
        what="85,000 scenes of 3 to 10 solids with properties, without masks, 320 × 480 colour",
        prepared_size=128,
        crop="centre",
        has_masks=False,
        properties=_OF_SOLIDS,
    ),
    _records(
        "tetrominoes",
        "tetrominoes/tetrominoes_train.tfrecords",
        35,
        "1,000,000 scenes of three tetrominoes with masks, 35 × 35 colour",
        size=300_000_000,
        properties=("shape",),
    ),
    _records(
        "multi_dsprites_binarized",
        _SPRITES.format("binarized"),
        64,
        "1,000,000 scenes of 2 or 3 white sprites on black with masks, 64 × 64",
        properties=("shape",),
    ),
    _records(
        "multi_dsprites_colored_on_grayscale",
        _SPRITES.format("colored_on_grayscale"),
        64,
        "1,000,000 scenes of 2 to 5 coloured sprites on grey with masks, 64 × 64",
        properties=("shape",),
    ),
    _records(
        "multi_dsprites_colored_on_colored",
        _SPRITES.format("colored_on_colored"),
        64,
        "1,000,000 scenes of 1 to 4 coloured sprites on a colour with masks, 64 × 64",
        properties=("shape",),
    ),
    _room("train", "1,000,000 scenes of up to 3 objects in a room with masks, 64 × 64 colour"),
    _room("six_objects", "992 rooms with 6 objects, for the test"),
    _room("empty_room", "992 rooms without objects, for the test"),
    _room("identical_color", "992 rooms with 4 to 6 objects of one colour, for the test"),
    _movi("c", 9_737, "clips of 24 frames, 3 to 10 scanned objects that fall, 256 × 256 colour"),
    _movi("d", 9_737, "clips of 24 frames, 11 to 23 scanned objects, few move, 256 × 256 colour"),
    _movi("e", 9_749, "as movi_d, and the camera moves"),
)
SCENE_SETS = {each.name: each for each in (*_ALL, *_MADE_ONLY, _NUCLEI, _MASSMIND)}
"""By name."""


def missing_store(
    root: Path, name: str, *, made: bool, image_size: int, crop: str, interpolation: str
) -> str | None:
    """One sentence on what to run so that a store is there; None if it is."""
    folder = store_folder(
        root, name, made=made, image_size=image_size, crop=crop, interpolation=interpolation
    )
    if (folder / MANIFEST).is_file():
        return None
    option = root_option(root)
    size = f"--image-size {image_size}"
    files = SCENE_SETS[name].place(root, made=made, image_size=image_size, crop=crop)
    there = SCENE_SETS[name].found(files)
    problem = f"prepared data set {name} is not there (looked for in {folder})"
    prepare = (
        f"raysearch data prepare {name} {size} --crop {crop} --interpolation {interpolation}"
        f"{' --made' if made else ''}{option}"
    )
    if there:
        return f"{problem}; run `{prepare}`"
    if made or SCENE_SETS[name].is_made == "only":
        usual = SCENE_SETS[name].customary
        by = crop if crop in ALL_ROWS else usual["crop"]
        cropped = f" --crop {crop}" if crop in ALL_ROWS else ""
        make = f"run `raysearch data make {name} {size}{cropped}{option}`"
        is_enough = (crop, interpolation) == (by, usual["interpolation"])
        return f"{problem}; {make}" if is_enough else f"{problem}; {make}, then `{prepare}`"
    return f"{problem}; {way_to_get(SCENE_SETS[name], option)}, then `{prepare}`"
