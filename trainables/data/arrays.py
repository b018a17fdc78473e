"""The arrays of sets of images, by where these come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainables.data import cifar, folder, idx, places, published
from trainables.data.boxes import crops, cutting
from trainables.data.cache import Cached, cached, identity
from trainables.data.facts import ImageFacts
from trainables.data.root import ROOT
from trainables.data.sequences import Sight


class Sights(NamedTuple):
    """Where examples are seen, by part, in its order; and all pictures, with examples or not."""

    parts: dict[str, list[Sight]]
    pictures: tuple[str, ...]


def cut(
    data_set: ImageFacts,
    root: Path,
    path: Path,
    bits: Literal[8, 16],
    seed: int,
    *,
    options: Mapping[str, Any],
    pictures: str | None,
    cut: Mapping[str, Any],
) -> Cached:
    """The arrays of boxes, cut out if they are not there yet.

    Raises:
        LookupError: a picture is not there. ValueError: the list, or a picture, is damaged.
    """
    found = crops.crops(path, seed, crops.Options(**options), root)
    place = crops.place_of(path, pictures)
    files = [place / file for file in dict.fromkeys(box.file for box in found.every)]
    if missing := next((file for file in files if not file.is_file()), None):
        raise LookupError(
            f"data.boxes.pictures must be the folder of the pictures that {path} lists, and there "
            f"is no {missing}"
        )
    side, channels = data_set.image_size, data_set.channels
    print_ = identity(files, found.fingerprint, side, channels, bits, dict(cut))
    parts = partial(cutting.parts, found, place, side, channels, bits, **cut)
    return cached(root, data_set.name, print_, len(found.classes), parts)


def made(
    data_set: ImageFacts,
    root: Path,
    path: Path | None,
    bits: Literal[8, 16] = 8,
    *,
    noisy_labels: int = 0,
    is_listed: bool = False,
    **form: Any,
) -> tuple[Cached, NDArray[np.int64] | None]:
    """The arrays of a set, made if they are not there yet; labels of its training images if some of
    100 are wrong.

    Raises:
        LookupError: the set is not there, or an image of it. ValueError: its files are damaged.
    """
    name, classes = data_set.name, data_set.classes
    if name == "folder":
        if path is None:
            raise LookupError("data.path must say where the folder of images is")
        listed = folder.files(path, classes if is_listed else None, **form)
        every = [image for images in listed.values() for image, _ in images]
        notes = sorted(path.glob(f"val/{published.ANNOTATIONS}"))
        side, channels = data_set.image_size, data_set.channels
        kept = ["16 bits"] if bits == 16 else []
        print_ = identity([*every, *notes], side, channels, list(classes), *kept)
        parts = partial(folder.parts, listed, side, channels, bits)
        found = cached(root, name, print_, len(classes), parts)
        if not noisy_labels:
            return found, None
        own = [image for image, _ in listed.get("train", listed.get("all", []))]
        return found, np.array(published.noisy_labels(path, noisy_labels, classes, own))
    place = places.find(data_set, root)
    if place is None:
        raise LookupError(places.missing(data_set, root) or f"data set {name} is not there")
    files = place.paths()
    found = cached(
        root,
        name,
        identity(files),
        len(classes),
        lambda: cifar.parts(name, files) if name.startswith("cifar") else idx.parts(files),
    )
    return found, None


def sights(
    path: Path,
    seed: int,
    *,
    boxes: Mapping[str, Any] | None,
    form: Mapping[str, Any] | None,
    classes: Sequence[str] | None = None,
    root: Path = ROOT,
) -> Sights:
    """Where each example of a folder, or of a list of `boxes`, is seen.

    Arguments are those of `trainables.data.images.load`; `classes` are listed ones.
    """
    if boxes is not None:
        found = crops.crops(path, seed, crops.Options(**boxes["options"]), root)
        parts = {
            name: [
                Sight(
                    one.file,
                    (
                        (one.corners[0] + one.corners[2]) / 2,
                        (one.corners[1] + one.corners[3]) / 2,
                    ),
                )
                for one in found.boxes
                if one.split == name
            ]
            for name in crops.SPLITS
        }
        return Sights(parts, found.pictures)
    given = {name: one for name, one in (form or {}).items() if name in ("unlabelled", "test_path")}
    listed = folder.files(path, classes, **given)
    parts = {name: [Sight(str(image)) for image, _ in own] for name, own in listed.items()}
    return Sights(parts, tuple(one.picture for own in parts.values() for one in own))
