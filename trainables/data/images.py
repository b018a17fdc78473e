"""Sets of images for classification, in splits: bytes mapped from disk, made numbers when asked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data import cifar, digits, folder, idx, places
from trainables.data.cache import Cached, Mapped, cached, identity
from trainables.data.catalog import ROOT, DataSet
from trainables.data.digits import Digits

Indices = NDArray[np.int64]
TailShape = Literal["exponential", "step"]

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

    def pixels(self, positions: Tensor) -> Tensor:
        """The same before that: float32, 0…1."""
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
        return self._read(positions).sub_(_WHITE * self.mean).div_(_WHITE * self.deviation)

    def pixels(self, positions: Tensor) -> Tensor:
        """Images [B, C, H, W], float32, 0…1: bytes ÷ 255; only these are read."""
        return self._read(positions).div_(_WHITE)

    def _read(self, positions: Tensor) -> Tensor:
        """Float32, 0…255, of their own memory."""
        pixels = self.part.images[self.indices[positions.numpy()]]
        return torch.from_numpy(np.asarray(pixels)).float()


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
    long_tail: float = 1.0,
    tail_shape: TailShape = "exponential",
) -> Digits | Images:
    """A set of the catalogue in its splits; of a folder of images that at `path`.

    The test split is the set's own; training and validation are drawn from the rest by `seed`,
    with the same share of each class. With a `limit` there are at most so many training images, and
    validation shrinks with them. With a `long_tail` below 1 training has, of those, as many of each
    class as `tail_counts` says. A folder that is not divided gives a sixth of each class to
    validation and to test each, one without `val` a sixth of `train` to validation.

    Raises:
        LookupError: the set is not there. ValueError: its files are damaged, the limit is below
            the number of classes, or the tail so long that a class has no image.
    """
    if limit is not None and limit < len(data_set.classes):
        raise ValueError(
            f"data.limit must be at least the {len(data_set.classes)} classes of {data_set.name}, "
            f"got {limit}"
        )
    if data_set.name == "digits":
        whole = digits.load(seed)
        whole = whole if limit is None else _limited_digits(whole, limit, seed)
        if long_tail == 1:
            return whole
        kept = tailed(whole.train.labels.numpy(), long_tail, tail_shape, seed)
        return _digits_at(whole, {"train": kept})
    made = _arrays(data_set, root, path)
    chosen = _splits(data_set, made, seed)
    if limit is not None and limit < len(chosen["train"][1]):
        chosen = _limited(made, chosen, limit, seed)
    if long_tail != 1:
        part, indices = chosen["train"]
        kept = tailed(made.parts[part].labels[indices], long_tail, tail_shape, seed)
        chosen = {**chosen, "train": (part, indices[kept])}
    return _images(made, chosen)


def stratified(labels: Indices, count: int, seed: int) -> Indices:
    """Positions of `count` examples, sorted, drawn by seed with the same share of each class.

    Of N examples of a class ⌊N · count / all⌋ are taken, and one more where the remainders are
    largest.
    """
    shares = np.bincount(labels) * count / len(labels)
    quota = np.floor(shares).astype(np.int64)
    more = np.argsort(quota - shares, kind="stable")[: count - quota.sum()]
    quota[more] += 1
    return _drawn(labels, quota, seed)


def tail_counts(
    largest: int, classes: int, factor: float, shape: TailShape = "exponential"
) -> list[int]:
    """How many images each class has of a set with a long tail, the first one `largest`.

    Exponential: class c of C has ⌊largest · factor^{c / (C − 1)}⌋; step: the second half of the
    classes ⌊largest · factor⌋ (Cui et al. 2019; Buda et al. 2018).
    """
    if shape == "step":
        return [int(largest * (factor if c >= classes // 2 else 1)) for c in range(classes)]
    return [int(largest * factor ** (c / max(classes - 1, 1))) for c in range(classes)]


def tailed(labels: Indices, factor: float, shape: TailShape, seed: int) -> Indices:
    """Positions, sorted, of a long tail of labels [N], drawn by seed.

    As many of each class as `tail_counts` says of the mean class, or all where there are fewer; a
    smaller factor keeps of each class some of those that a larger one keeps.

    Raises:
        ValueError: a class would have no image.
    """
    sizes = np.bincount(labels)
    counts = np.minimum(tail_counts(len(labels) // len(sizes), len(sizes), factor, shape), sizes)
    if counts.min() < 1:
        raise ValueError(
            f"data.long_tail.factor must leave each class an image: of the mean class with "
            f"{len(labels) // len(sizes)} at least {len(sizes) / len(labels):.2g}, got {factor:g}"
        )
    return _drawn(labels, counts, seed)


def _drawn(labels: Indices, counts: Indices, seed: int) -> Indices:
    """Positions, sorted, of so many examples of each class."""
    order = np.random.RandomState(seed).permutation(len(labels))
    classes = [order[labels[order] == number][:each] for number, each in enumerate(counts)]
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
    kept = {
        name: stratified(split.labels.numpy(), max(1, round(share * len(split))), seed)
        for name, split in (("train", whole.train), ("val", whole.val))
    }
    return _digits_at(whole, kept)


def _digits_at(whole: Digits, kept: dict[str, Indices]) -> Digits:
    """Of some splits only these positions."""
    splits: dict[str, Any] = {}
    digest = hashlib.sha256(whole.fingerprint.encode())
    for name, at in kept.items():
        split: digits.Split = getattr(whole, name)
        digest.update(at.tobytes())
        splits[name] = digits.Split(split.images[at], split.labels[at], split.grey[at])
    return replace(whole, **splits, fingerprint=digest.hexdigest()[:16])


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
