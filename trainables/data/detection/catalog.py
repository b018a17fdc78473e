"""The catalogue of sets of pictures with boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from trainables.data.detection.facts import SELECTING, Archive, DetectionFacts, of_splits
from trainables.data.detection.facts import Part as Part
from trainables.data.names import FASHION_CLASSES
from trainables.data.root import ROOT


class DetectionSet(DetectionFacts):
    """A set of pictures with boxes, with what can be done with it; `viewer` shows some of it."""

    viewer: ClassVar[str] = "trainables.figures.detection_sets:show_boxes"

    def get(self, root: Path | None, given: Path | None, say: Callable[[str], None]) -> None:
        """Fetches its files into a root, or takes them from a folder that is `given`.

        Raises:
            LookupError, ValueError, ConnectionError: one sentence on what was wrong.
        """
        from trainables.data.detection import getting

        getting.get(self, root or ROOT, given, say)

    def check(self, root: Path | None = None) -> Sequence[str]:
        """What is wrong with its annotations, and with what was made of them: a sentence each."""
        from trainables.data.detection import store

        problem = self.missing(root)
        return [problem] if problem else store.check(self, root or ROOT)

    def prepare(
        self,
        root: Path | None,
        *,
        image_size: int | None = None,
        crop: str | None = None,
        interpolation: str | None = None,
        sizes: Mapping[str, int] | None = None,
        **others: Any,
    ) -> Path:
        """Reads its annotations once, after it was converted if need be; returns its folder.

        Raises:
            LookupError: it is not there. ValueError: a file or an option is wrong.
        """
        from trainables.data.detection.store import open_set

        for option, value in (("crop", crop), ("interpolation", interpolation), ("sizes", sizes)):
            if value:
                raise ValueError(
                    f"{option} must be left out for {self.name}, whose pictures stay as they are, "
                    f"got {value!r}"
                )
        return open_set(self, root or ROOT, image_size=image_size or 0).folder


_COCO = "http://images.cocodataset.org"
_TRAIN, _VAL = 118_287, 5_000

COCO = DetectionSet(
    name="coco",
    kind="published",
    source="https://cocodataset.org (Lin et al. 2014), the pictures and boxes of 2017",
    licence="CC BY 4.0 (annotations); of the pictures that of each on Flickr",
    what="123,287 photographs with 897,000 boxes of 80 categories",
    splits={"train": _TRAIN - SELECTING, "val": SELECTING, "test": _VAL},
    parts=of_splits(train="train2017", test="val2017"),
    num_classes=91,
    archives=(
        Archive(
            f"{_COCO}/annotations/annotations_trainval2017.zip",
            252_907_541,
            "annotations/instances_val2017.json",
        ),
        Archive(f"{_COCO}/zips/val2017.zip", 815_585_330, "val2017"),
        Archive(f"{_COCO}/zips/train2017.zip", 19_336_861_798, "train2017"),
    ),
)
GARMENTS_BOXES = DetectionSet(
    name="garments_boxes",
    kind="made",
    source="made of fashion_mnist (Xiao et al. 2017)",
    licence="MIT",
    what="pictures of 1 to 6 garments of Fashion-MNIST of all sizes, with boxes of 10 classes",
    splits={"train": 1200, "val": 150, "test": 150},
    parts=of_splits(train="train", val="val", test="test"),
    num_classes=len(FASHION_CLASSES) + 1,
    image_size=128,
)
TINY = DetectionSet(
    name="tiny",
    kind="made",
    source="made of coloured shapes on textures",
    licence="that of this project",
    what="a few pictures in which all is that goes wrong: crowds, no boxes, no width, grey …",
    splits={"train": 8, "val": 4, "test": 4},
    parts=of_splits(train="train", val="val", test="test"),
    num_classes=91,
    image_size=160,
)
TREES = DetectionSet(
    name="trees",
    kind="converted",
    source="the package deepforest (Weinstein et al. 2019; pictures: NEON)",
    licence="MIT",
    what="tiles of four airborne photographs with 951 crowns of trees",
    splits={"train": 283, "val": 86, "test": 18},
    parts=of_splits(train="train", val="val", test="test"),
    num_classes=2,
    image_size=128,
    package=("deepforest==2.1.0", "data"),
    needs=(
        "2019_YELL_2_528000_4978000_image_crop2.png",
        "2019_YELL_2_528000_4978000_image_crop2.xml",
        "2019_YELL_2_541000_4977000_image_crop.png",
        "2019_YELL_2_541000_4977000_image_crop.xml",
        "OSBS_029.png",
        "OSBS_029.xml",
        "SOAP_061.png",
        "SOAP_061.xml",
    ),
)
UNREL = DetectionSet(
    name="unrel",
    kind="converted",
    source="https://www.di.ens.fr/willow/research/unrel (Peyre et al. 2017), unrel-dataset.tar.gz",
    licence="none stated; cite the paper",
    what="more than 1,000 photographs of unusual relations with 3,309 boxes, for the test alone",
    splits={},
    parts=of_splits(test="test"),
    num_classes=91,
    needs=("annotations.mat", "images"),
)
DETECTION_SETS = {each.name: each for each in (COCO, GARMENTS_BOXES, TREES, TINY, UNREL)}
"""By name."""
