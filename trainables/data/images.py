"""Sets of images for classification, in splits: bytes mapped from disk, made numbers when asked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data import cifar, digits, folder, idx, places
from trainables.data.cache import Cached, Mapped, cached, identity
from trainables.data.catalog import ROOT, DataSet
from trainables.data.digits import Digits

Indices = NDArray[np.int64]

_WHITE = 255.0
_SHARE = 6.0
"""One image in so many of a folder that is not divided is for validation, one for the test."""


class Split(Protocol):
    """Images that can be taken by their positions, and all labels [N], int64."""

    @property
    def labels(self) -> Tensor:
        """Numbers of classes."""
        ...

    def __len__(self) -> int:
        """How many images."""
        ...

    def take(self, positions: Tensor) -> Tensor:
        """Images [B, C, H, W], float32, standardised with the training split."""
        ...


@dataclass(frozen=True)
class MappedSplit:
    """Some of the images of a mapped part; `indices` are theirs there.

    `mean` and `deviation` [C, 1, 1] are those of the training split, in 0…1.
    """

    part: Mapped
    indices: Indices
    labels: Tensor
    mean: Tensor
    deviation: Tensor

    def __len__(self) -> int:
        """How many images."""
        return len(self.indices)

    def take(self, positions: Tensor) -> Tensor:
        """Images [B, C, H, W], float32, standardised; only these are read."""
        pixels = self.part.images[self.indices[positions.numpy()]]
        images = torch.from_numpy(np.asarray(pixels)).float()
        return images.sub_(_WHITE * self.mean).div_(_WHITE * self.deviation)


@dataclass(frozen=True)
class Images:
    """The three splits, the value of a black pixel, by what they were standardised, a fingerprint.

    `background`, `mean` and `deviation` are [C, 1, 1], the latter two in 0…1. The fingerprint is 16
    hexadecimal digits of the SHA-256 of all pixels, labels, and splits.
    """

    train: Split
    val: Split
    test: Split
    background: Tensor
    fingerprint: str
    mean: Tensor
    deviation: Tensor


def load(
    data_set: DataSet,
    *,
    root: Path = ROOT,
    path: Path | None = None,
    seed: int = 0,
    limit: int | None = None,
) -> Digits | Images:
    """A set of the catalogue in its splits; of a folder of images that at `path`.

    The test split is the set's own; training and validation are drawn from the rest by `seed`,
    with the same share of each class. With a `limit` there are at most so many training images, and
    validation shrinks with them. A folder that is not divided gives a sixth of each class to
    validation and to test each, one without `val` a sixth of `train` to validation.

    Raises:
        LookupError: the set is not there. ValueError: its files are damaged, or the limit is below
            the number of classes.
    """
    if limit is not None and limit < len(data_set.classes):
        raise ValueError(
            f"data.limit must be at least the {len(data_set.classes)} classes of {data_set.name}, "
            f"got {limit}"
        )
    if data_set.name == "digits":
        whole = digits.load(seed)
        return whole if limit is None else _limited_digits(whole, limit, seed)
    made = _arrays(data_set, root, path)
    chosen = _splits(data_set, made, seed)
    if limit is not None and limit < len(chosen["train"][1]):
        chosen = _limited(made, chosen, limit, seed)
    return _images(made, chosen)


def stratified(labels: Indices, count: int, seed: int) -> Indices:
    """Positions of `count` examples, sorted, drawn by seed with the same share of each class.

    Of N examples of a class ⌊N · count / all⌋ are taken, and one more where the remainders are
    largest.
    """
    order = np.random.RandomState(seed).permutation(len(labels))
    sizes = np.bincount(labels)
    shares = sizes * count / len(labels)
    quota = np.floor(shares).astype(np.int64)
    more = np.argsort(quota - shares, kind="stable")[: count - quota.sum()]
    quota[more] += 1
    classes = [order[labels[order] == number][:each] for number, each in enumerate(quota)]
    return np.sort(np.concatenate(classes))


def _arrays(data_set: DataSet, root: Path, path: Path | None) -> Cached:
    """The arrays of a set, made if they are not there yet."""
    name, classes = data_set.name, len(data_set.classes)
    if name == "folder":
        if path is None:
            raise LookupError("data.path must say where the folder of images is")
        listed = folder.files(path)
        every = [image for images in listed.values() for image, _ in images]
        side, channels = data_set.image_size, data_set.channels
        print_ = identity(every, side, channels, list(data_set.classes))
        return cached(root, name, print_, classes, lambda: folder.parts(listed, side, channels))
    found = places.find(data_set, root)
    if found is None:
        raise LookupError(data_set.missing(root) or f"data set {name} is not there")
    files = found.paths()
    return cached(
        root,
        name,
        identity(files),
        classes,
        lambda: cifar.parts(name, files) if name.startswith("cifar") else idx.parts(files),
    )


def _splits(data_set: DataSet, made: Cached, seed: int) -> dict[str, tuple[str, Indices]]:
    """The name of the part of each split, and its indices there."""
    sizes = {name: len(part.labels) for name, part in made.parts.items()}
    if "all" in sizes:
        rest, test = _divided(made.parts["all"].labels, np.arange(sizes["all"]), _SHARE, seed)
        train, val = _divided(made.parts["all"].labels, rest, _SHARE - 1, seed + 1)
        return {"train": ("all", train), "val": ("all", val), "test": ("all", test)}
    test = np.arange(sizes["test"])
    everything = np.arange(sizes["train"])
    if "val" in sizes:
        own = np.arange(sizes["val"])
        return {"train": ("train", everything), "val": ("val", own), "test": ("test", test)}
    labels, known = made.parts["train"].labels, data_set.splits
    share = (known["train"] + known["val"]) / known["val"] if known else _SHARE
    train, val = _divided(labels, everything, share, seed)
    return {"train": ("train", train), "val": ("train", val), "test": ("test", test)}


def _divided(labels: Indices, indices: Indices, share: float, seed: int) -> tuple[Indices, Indices]:
    """Indices in two: most of them, and one in `share`."""
    drawn = stratified(labels[indices], max(1, round(len(indices) / share)), seed)
    rest = np.ones(len(indices), bool)
    rest[drawn] = False
    return indices[rest], indices[drawn]


def _limited(
    made: Cached, chosen: dict[str, tuple[str, Indices]], limit: int, seed: int
) -> dict[str, tuple[str, Indices]]:
    """At most so many training images, and the same share of the validation split."""
    share = limit / len(chosen["train"][1])
    found = dict(chosen)
    for name in ("train", "val"):
        part, indices = chosen[name]
        count = max(1, round(share * len(indices)))
        labels = made.parts[part].labels[indices]
        found[name] = part, indices[stratified(labels, count, seed)]
    return found


def _limited_digits(whole: Digits, limit: int, seed: int) -> Digits:
    if limit >= len(whole.train):
        return whole
    share = limit / len(whole.train)
    splits: list[digits.Split] = []
    digest = hashlib.sha256(whole.fingerprint.encode())
    for split in (whole.train, whole.val):
        kept = stratified(split.labels.numpy(), max(1, round(share * len(split))), seed)
        digest.update(kept.tobytes())
        splits.append(digits.Split(split.images[kept], split.labels[kept]))
    train, val = splits
    return replace(whole, train=train, val=val, fingerprint=digest.hexdigest()[:16])


def _images(made: Cached, chosen: dict[str, tuple[str, Indices]]) -> Images:
    mean, deviation = _statistics(made, *chosen["train"])
    digest = hashlib.sha256(made.fingerprint.encode())
    splits: dict[str, Any] = {}
    for name, (part, indices) in chosen.items():
        digest.update(f"{name}/{part}".encode() + indices.tobytes())
        mapped = made.parts[part]
        labels = torch.from_numpy(mapped.labels[indices])
        splits[name] = MappedSplit(mapped, indices, labels, mean, deviation)
    print_ = digest.hexdigest()[:16]
    return Images(
        **splits, background=-mean / deviation, fingerprint=print_, mean=mean, deviation=deviation
    )


def _statistics(made: Cached, part: str, indices: Indices) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel [C, 1, 1], in 0…1, from exact sums; no deviation is 0."""
    mapped = made.parts[part]
    pixels = len(indices) * int(np.prod(mapped.images.shape[2:]))
    total, squares = mapped.sums[indices].sum(0).T
    mean = total / pixels
    deviation = np.sqrt(squares / pixels - mean**2)
    deviation[deviation == 0] = _WHITE
    return _as_channels(mean / _WHITE), _as_channels(deviation / _WHITE)


def _as_channels(values: NDArray[np.float64]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None, None]
