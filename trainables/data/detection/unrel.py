"""UnRel's photographs of unusual relations (Peyre et al. 2017), for detectors trained on COCO."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from trainables.data.detection.names import COCO_NAMES

SYNONYMS = {
    "ball": "sports ball",
    "bike": "bicycle",
    "hydrant": "fire hydrant",
    "luggage": "suitcase",
    "monitor": "tv",
    "motorbike": "motorcycle",
    "phone": "cell phone",
    "plane": "airplane",
    "sofa": "couch",
    "table": "dining table",
}
"""UnRel's words for categories of COCO that have another name there."""

Entry = Mapping[str, Any]


def read(path: Path) -> list[dict[str, Any]]:
    """The entries of `annotations.mat`: `filename`, `im_id` and `objects` of each picture.

    An object is a `category` and a `box` of left, top, right and bottom.

    Raises:
        ValueError: it is no such file.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        whole = loadmat(path, simplify_cells=True)["annotations"]
        return [
            {
                "filename": str(one["filename"]),
                "im_id": int(one["im_id"]),
                "objects": [
                    {"category": str(each["category"]), "box": [float(v) for v in each["box"]]}
                    for each in _listed(one["objects"])
                ],
            }
            for one in _listed(whole)
        ]
    except (
        MatReadError,
        OSError,
        LookupError,
        TypeError,
        ValueError,
        NotImplementedError,
    ) as error:
        raise ValueError(
            f"{path} must be UnRel's annotations.mat, and cannot be read as such: {error!r}"
        ) from None


def converted(
    entries: Iterable[Entry], origin: Path, names: Literal["mapped", "as_numbered"]
) -> dict[str, Any]:
    """Entries in the form of COCO; sizes are read from the pictures in `images`.

    Boxes are left, top, right − left and bottom − top, as they are annotated; annotations are
    numbered from 1. Names are understood in one of two ways:

    - `mapped`: a name is the category of COCO that is called so, or that `SYNONYMS` says it is.
      Objects of other names are left out, and how many there are of each is in `info.unmapped`: a
      detector is measured by categories that it knows. All categories of COCO are listed.
    - `as_numbered`: names are numbered 1, 2 … as they first appear, and detections of COCO's
      categories compared with those numbers, as in published figures: all but those that happen to
      have the same number are wrong, so that AP is at most their share.

    Raises:
        ValueError: a picture is not there, or cannot be read.
    """
    known = {name: number for number, name in COCO_NAMES.items()}
    numbers: dict[str, int] = {}
    unmapped: Counter[str] = Counter()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for entry in entries:
        images.append(_image(entry, origin / "images"))
        for each in entry["objects"]:
            name = str(each["category"])
            number = (
                known.get(SYNONYMS.get(name, name))
                if names == "mapped"
                else numbers.setdefault(name, len(numbers) + 1)
            )
            if number is None:
                unmapped[name] += 1
            else:
                about = {"id": len(annotations) + 1, "image_id": images[-1]["id"]}
                annotations.append({**about, "category_id": number, **_box(each["box"])})
    named = COCO_NAMES if names == "mapped" else {number: n for n, number in numbers.items()}
    return {
        "info": {"names": names, "unmapped": dict(unmapped.most_common())},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in named.items()],
    }


def _box(box: Sequence[float]) -> dict[str, Any]:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    return {"bbox": [left, top, width, height], "area": width * height, "iscrowd": 0}


def _image(entry: Entry, folder: Path) -> dict[str, Any]:
    path = folder / str(entry["filename"])
    try:
        with Image.open(path) as opened:  # reads no pixels
            width, height = opened.size
    except OSError as error:
        raise ValueError(f"{path} must be a picture that can be read ({error})") from None
    name = str(entry["filename"])
    return {"id": int(entry["im_id"]), "file_name": name, "height": height, "width": width}


def _listed(value: Any) -> list[Any]:
    """One structure, or an array of them, as a list."""
    return [value] if isinstance(value, dict) else list(np.ravel(value)) if len(value) else []
