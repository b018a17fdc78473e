"""What sets of pictures with boxes there are; nothing is read."""

from __future__ import annotations

from trainables.data.detection.facts import Archive, of_splits
from trainables.data.detection.facts import DetectionSet as DetectionSet
from trainables.data.detection.facts import Part as Part
from trainables.data.names import FASHION_CLASSES

SELECTING = 5_000
"""Pictures of COCO's train2017 that select, as many as its val2017 has, which is the test."""
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
