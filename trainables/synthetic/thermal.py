"""Sea scenes of an infrared stereo camera: 16 bits, sequences, boxes with a long tail of labels."""

# H × W pixels of a picture.

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainables.synthetic.draws import draws

COUNTS: Mapping[str, int] = {
    "ALGAE": 1, "BIRD": 65, "BOAT": 262, "BOAT_WITHOUT_SAILS": 456, "BUOY": 319,
    "CONSTRUCTION": 207, "CONTAINER": 51, "CONTAINER_SHIP": 267, "CRUISE_SHIP": 108, "DOLPHIN": 2,
    "FAR_AWAY_OBJECT": 4650, "FISHING_BUOY": 90, "FISHING_SHIP": 17, "FLOTSAM": 261,
    "HARBOUR_BUOY": 94, "HORIZON": 1, "HUMAN": 9, "HUMAN_IN_WATER": 11, "HUMAN_ON_BOARD": 173,
    "KAYAK": 3, "LEISURE_VEHICLE": 23, "MARITIME_VEHICLE": 936, "MOTORBOAT": 408,
    "OBJECT_REFLECTION": 30, "SAILING_BOAT": 534, "SAILING_BOAT_WITH_CLOSED_SAILS": 576,
    "SAILING_BOAT_WITH_OPEN_SAILS": 528, "SEAGULL": 3, "SHIP": 347, "SUN_REFLECTION": 11,
    "UNKNOWN": 5, "WATERTRACK": 105,
}  # fmt: skip
"""How many boxes 32 labels had in a set of a diary of 2022 and 2023, 10,553 in all."""

COARSE: Mapping[str, tuple[str, ...]] = {
    "BOAT": (
        "BOAT", "BOAT_WITHOUT_SAILS", "CONTAINER_SHIP", "CRUISE_SHIP", "FISHING_SHIP", "MOTORBOAT",
        "SAILING_BOAT", "SAILING_BOAT_WITH_CLOSED_SAILS", "SAILING_BOAT_WITH_OPEN_SAILS", "SHIP",
    ),
    "HUMAN": ("HUMAN", "HUMAN_IN_WATER", "HUMAN_ON_BOARD"),
    "ANIMAL": ("BIRD", "DOLPHIN", "SEAGULL"),
    "BUOY": ("BUOY", "FISHING_BUOY", "HARBOUR_BUOY"),
    "CONSTRUCTION": ("CONSTRUCTION", "CONTAINER", "FAR_AWAY_OBJECT"),
    "VEHICLE": ("KAYAK", "LEISURE_VEHICLE", "MARITIME_VEHICLE"),
    "WATER_OBJECTS": (
        "ALGAE", "FLOTSAM", "HORIZON", "OBJECT_REFLECTION", "SUN_REFLECTION", "UNKNOWN",
        "WATERTRACK",
    ),
}  # fmt: skip
"""Seven groups of the labels."""

COLDEST, HOTTEST = -80.0, 2000.0
"""°C of count 0 and of count 65535."""
_LABELS = tuple(COUNTS)
_EYES = {"thermal_left": "l", "thermal_right": "r"}
_OUTSIDE = 2.0, 2.0


@dataclass(frozen=True)
class _Thing:
    """What is seen: its label, place and sides in shares of the picture, and its motion."""

    label: str
    place: tuple[float, float]
    sides: tuple[float, float]
    motion: float


def write_thermal(
    folder: Path,
    *,
    share: float = 0.02,
    size: tuple[int, int] = (96, 128),
    frames: int = 2,
    seed: int = 0,
    empty: int = 0,
) -> Path:
    """Writes pictures of 16 bits, `boxes.json` as of COCO and `samples.json` as of FiftyOne, and
    `coarse.json`, which has seven groups of labels.

    Each label has about `share` of the published number of boxes, at least one thing; a thing is
    seen in the `frames` of a sequence by both eyes of the camera, with two frames four boxes. Each
    label has its own temperature, shape and stripes. Every second box is drawn from right to left,
    with negative sides, in `samples.json`, as some of the original are.

    Args:
        folder: appears if it is not there; returned.
        share: of the published numbers.
        size: height and width of the pictures.
        frames: pictures of each eye in a sequence.
        seed: of all that is drawn.
        empty: so many sequences show the sea alone, and have no boxes; they come last.
    """
    order = draws("things", seed)
    labels = [
        one for one in _LABELS for _ in range(max(1, round(COUNTS[one] * share / (2 * frames))))
    ]
    shuffled = [labels[one] for one in order.permutation(len(labels))]
    samples: list[dict[str, Any]] = []
    for number, label in enumerate([*shuffled, *[None] * empty]):
        draw = draws("sequence", seed, number)
        thing = _thing(label, draw) if label else replace(_thing(_LABELS[0], draw), place=_OUTSIDE)
        name = f"Trip_{number // 8 + 1:02}_Seq_{number % 8 + 1}"
        (folder / "Thermal_Images_16Bit" / name).mkdir(parents=True, exist_ok=True)
        for frame in range(frames):
            group = f"{number:012x}{frame:012x}"
            for eye, letter in _EYES.items():
                file = f"Thermal_Images_16Bit/{name}/{1000 + frame}_{letter}.png"
                x, y = thing.place[0] + frame * thing.motion, thing.place[1]
                x -= 0.02 if letter == "r" else 0.0
                counts = _picture(thing, (x, y), size, draw)
                Image.fromarray(counts).save(folder / file)
                samples.append(_sample(file, eye, group, label, (x, y, *thing.sides), size))
    (folder / "samples.json").write_text(json.dumps({"samples": samples}, indent=1))
    (folder / "coarse.json").write_text(json.dumps({"classes": COARSE, "drop": []}, indent=1))
    (folder / "boxes.json").write_text(json.dumps(_coco(samples, size), indent=1))
    return folder


def counts_of(degrees: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Temperatures in °C as counts of 16 bits."""
    counts = (degrees - COLDEST) * (65535 / (HOTTEST - COLDEST))
    return np.rint(counts).clip(0, 65535).astype(np.uint16)


def _thing(label: str, draw: np.random.Generator) -> _Thing:
    number = _LABELS.index(label)
    width = draw.uniform(0.25, 0.4)
    height = width * (0.5 + (number % 4) / 3)
    place = draw.uniform(0.05, 0.5), draw.uniform(0.05, 0.9 - height)
    return _Thing(label, place, (width, height), draw.uniform(-0.02, 0.05))


def _picture(
    thing: _Thing, place: tuple[float, float], size: tuple[int, int], draw: np.random.Generator
) -> NDArray[np.uint16]:
    """Sky, water and the thing, [H, W]."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    down, across = (rows + 0.5) / size[0], (columns + 0.5) / size[1]
    degrees = np.where(down < 0.5, 11.0 + 6 * down, 16.0 - down)
    u, v = (across - place[0]) / thing.sides[0], (down - place[1]) / thing.sides[1]
    number = _LABELS.index(thing.label)
    round_, high = ((u - 0.5) ** 2 + (v - 0.5) ** 2) < 0.25, v > abs(2 * u - 1)
    inside = (u >= 0) & (u < 1) & (v >= 0) & (v < 1)
    seen = inside & (round_ if number % 3 == 0 else high if number % 3 == 1 else True)
    warmth = 20 + (number % 8) * 3.5 + 2 * np.sin(2 * math.pi * (1 + number // 8) * u)
    degrees = np.where(seen, warmth, degrees) + draw.normal(0, 0.15, size)
    return counts_of(degrees)


def _sample(
    file: str,
    eye: str,
    group: str,
    label: str | None,
    box: tuple[float, float, float, float],
    size: tuple[int, int],
) -> dict[str, Any]:
    """As FiftyOne writes one."""
    x, y, width, height = box
    if eye == "thermal_right":  # drawn from the right below
        x, y, width, height = x + width, y + height, -width, -height
    found = [{"_cls": "Detection", "label": label, "bounding_box": [x, y, width, height]}]
    return {
        "filepath": file,
        "metadata": {"_cls": "ImageMetadata", "width": size[1], "height": size[0]},
        "group": {"_cls": "Group", "_id": {"$oid": group}, "name": eye},
        "ground_truth_det": {
            "_cls": "Detections",
            "detections": found if label else [],
        },
    }


def _coco(samples: list[dict[str, Any]], size: tuple[int, int]) -> dict[str, Any]:
    """The same pictures and boxes in pixels."""
    height, width = size
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for number, sample in enumerate(samples, 1):
        images.append(
            {"id": number, "file_name": sample["filepath"], "width": width, "height": height}
        )
        for one in sample["ground_truth_det"]["detections"]:
            x, y, w, h = one["bounding_box"]
            x, y, w, h = (
                min(x, x + w) * width,
                min(y, y + h) * height,
                abs(w * width),
                abs(h * height),
            )
            boxes.append(
                {
                    "id": len(boxes) + 1,
                    "image_id": number,
                    "category_id": _LABELS.index(one["label"]) + 1,
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(_LABELS, 1)]
    return {"images": images, "annotations": boxes, "categories": categories}
