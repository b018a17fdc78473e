"""Sweeps of pretraining on boxes of an infrared camera at sea, as they are in a diary of 2023.

The pictures are people's own: `data.path` lists their boxes, COCO's JSON or `samples.json` of an
export of FiftyOne, and is said with each search:

    raysearch search ssl.X42 data.path=sea/samples.json
"""

from __future__ import annotations

from collections.abc import Mapping

from raysearch.sweeps.sweep import Trial
from search_spaces.settings import Settings, labelled, one_of
from search_spaces.ssl_diary import CIFAR, NOTES, logged
from search_spaces.ssl_small import CONTRAST, pretraining
from trainables.ssl.config import Pretraining

SEA: Settings = {
    "data.name": "boxes",
    "data.path": "data/sea/samples.json",
    "data.image_size": 32,
    "data.channels": 1,
    "data.boxes.min_crop_size": 32,
    "data.boxes.sequence_pattern": r"Trip_\d+_Seq_\d+",
    "views.local_crop_input_factor": 1.0,
    "views.small.min_area": 0.3,
    "views.small.max_area": 0.4,
}
"""Boxes of at least 32 pixels, sequences and stereo pairs in one split, the crops of 25.01.2023."""
FIFTEEN = (
    "BOAT",
    "BOAT_WITHOUT_SAILS",
    "CONSTRUCTION",
    "CONTAINER_SHIP",
    "CRUISE_SHIP",
    "FAR_AWAY_OBJECT",
    "FISHING_SHIP",
    "HARBOUR_BUOY",
    "MARITIME_VEHICLE",
    "MOTORBOAT",
    "SAILING_BOAT",
    "SAILING_BOAT_WITH_CLOSED_SAILS",
    "SAILING_BOAT_WITH_OPEN_SAILS",
    "SHIP",
    "WATERTRACK",
)
"""The shorter list of classes."""
CLASSES: Mapping[str, Settings] = {
    "all": {"data.boxes.classes": None, "data.boxes.coarse_map": None},
    "fifteen": {"data.boxes.classes": list(FIFTEEN), "data.boxes.coarse_map": None},
    "coarse": {"data.boxes.classes": None, "data.boxes.coarse_map": "data/sea/coarse.json"},
}
"""32 labels, of which those that a split has not are dropped; 15 of them; 7 groups, by a file."""
BARE: Settings = {"views.strength": 0.0, "views.blurs": False}
AUGMENTATIONS: Mapping[str, Settings] = {
    "flips": BARE,
    "noise": {**BARE, "views.infrared.noise": 0.02},
    "shift": {**BARE, "views.infrared.shift": 0.1},
    "noise_and_shift": {**BARE, "views.infrared.noise": 0.02, "views.infrared.shift": 0.1},
    "blur": {**BARE, "views.blurs": True},
    "jitter": {"views.strength": 1.0, "views.blurs": False},
    "jitter_and_blur": {"views.strength": 1.0, "views.blurs": True},
}
"""What is done to infrared views beside crops and mirroring."""
SCALES: Mapping[str, Settings] = {
    "8_bits": {"data.thermal.scale": "bytes"},
    "window": {"data.thermal.scale": "window"},
    "percentiles": {"data.thermal.scale": "percentiles"},
    "whole": {"data.thermal.scale": "whole"},
}
"""The upper byte; 10 … 50 °C; of each box from the 1st to the 99th percentile; all 16 bits."""


def at_sea(*settings: Settings) -> Pretraining:
    """The last settings of the diary on boxes, with all of these."""
    return pretraining(CIFAR, NOTES, SEA, *settings)


SAILING = ("SAILING_BOAT", "SAILING_BOAT_WITH_CLOSED_SAILS", "SAILING_BOAT_WITH_OPEN_SAILS")
"""Three of the labels."""


@logged(
    "X30",
    "2023-01-21",
    question="What does DINO learn from sailing boats, at the first try?",
    notes="Noted is a kNN accuracy of 0.05. Why, and what changed it: ssl.five_percent.",
)
def first_try(trial: Trial) -> Pretraining:
    """The largest box of each picture, small views of half the side and 20 to 50 % of the box."""
    first: Settings = {
        "views.local_crop_input_factor": 2.0,
        "views.small.min_area": NOTES["views.small.min_area"],
        "views.small.max_area": NOTES["views.small.max_area"],
        "data.boxes.crop": "largest",
        "data.boxes.classes": list(SAILING),
    }
    return at_sea(first)


@logged(
    "X32",
    "2023-01-25",
    question="Which augmentations are right for infrared?",
    stated=7,
    notes="Noted is that they were tried. Strengths are in shares of what is looked at.",
    augmentation=AUGMENTATIONS,
)
def augmentations(trial: Trial) -> Pretraining:
    """Flips alone, noise, shifts of temperature, blur, jitter of brightness and contrast."""
    window: Settings = {"data.thermal.scale": "window"}
    return at_sea(window, labelled(trial, "augmentation", AUGMENTATIONS))


@logged(
    "X36",
    "2023-02-15",
    question="Are fewer classes better told apart?",
    stated=3,
    notes="Compare each with its majority, which rises with fewer classes.",
    classes=CLASSES,
)
def class_reduction(trial: Trial) -> Pretraining:
    """32 labels, 15 of them, 7 groups of them."""
    return at_sea(labelled(trial, "classes", CLASSES))


@logged(
    "X42",
    "2023-03-29",
    question="Do 16 bits tell more than 8, and which of them?",
    stated=4,
    notes="8 bits are the upper ones; for pictures that were stretched to 8 bits by a camera give "
    "their folder as data.boxes.pictures.",
    scale=SCALES,
)
def bit_depth(trial: Trial) -> Pretraining:
    """The upper byte, a window in degrees, percentiles of each box, the whole range."""
    return at_sea(labelled(trial, "scale", SCALES))


METHODS: Mapping[str, Settings] = {
    "dino": {},
    "supcon": {**CONTRAST, "views.size": 32, "method.kind": "supcon", "optimizer.lr": 5e-4},
}


@logged(
    "X45",
    "2023-04-26",
    question="The largest box of a picture, or all of them, and with which method?",
    stated=4,
    notes="Validation follows the crops, so compare each with its own pixels and majority.",
    method=METHODS,
)
def crop_loader(trial: Trial) -> Pretraining:
    """Largest or all × DINO or contrastive learning with labels."""
    chosen = labelled(trial, "method", METHODS)
    crops = one_of(trial, "data.boxes.crop", "largest", "all")
    if not chosen:
        return at_sea(crops)
    small = {name: value for name, value in SEA.items() if not name.startswith("views.")}
    longer: Settings = {"training.epochs": 100, "training.batch_size": 128}
    return pretraining(CIFAR, small, chosen, longer, crops)
