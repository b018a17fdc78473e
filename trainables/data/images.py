"""Sets of images for classification, in splits: bytes mapped from disk, made numbers when asked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data import arrays, digits, published
from trainables.data.cache import Cached, Mapped, beside
from trainables.data.choosing import TailShape, stratified, tailed
from trainables.data.digits import Digits
from trainables.data.facts import ImageFacts
from trainables.data.joined import NO_LABEL, Joined
from trainables.data.root import ROOT
from trainables.data.standardising import Standard, restandardised
from trainables.data.thermal import CountsSplit, Reading
from trainables.data.thermal import statistics as thermal_statistics

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

    def at(self, positions: Indices) -> MappedSplit:
        """Those at these positions alone."""
        return replace(self, indices=self.indices[positions], labels=self.labels[positions])

    def _read(self, positions: Tensor) -> Tensor:
        """Float32, 0…255, of their own memory."""
        pixels = self.part.images[self.indices[positions.numpy()]]
        return torch.from_numpy(np.asarray(pixels)).float()


@dataclass(frozen=True)
class Images:
    """The three splits, the value of a black pixel, by what they were standardised, a fingerprint.

    `background`, `mean` and `deviation` are [C, 1, 1], the latter two in 0…1. The fingerprint is 16
    hexadecimal digits of the SHA-256 of all pixels, labels, and splits. Where training images have
    no labels (−1), `with_unlabelled` are those of `train` and these; `truth` are their labels (−1
    where nobody knows), by which it is told how many were labelled rightly.
    """

    train: Split
    val: Split
    test: Split
    background: Tensor
    fingerprint: str
    mean: Tensor
    deviation: Tensor
    with_unlabelled: Split | None = None
    truth: Tensor | None = None


def load(
    data_set: ImageFacts,
    *,
    root: Path = ROOT,
    path: Path | None = None,
    seed: int = 0,
    limit: int | None = None,
    long_tail: float = 1.0,
    tail_shape: TailShape = "exponential",
    thermal: Mapping[str, Any] | None = None,
    boxes: Mapping[str, Any] | None = None,
    form: Mapping[str, Any] | None = None,
    labels_share: float = 1.0,
    copy_to: str | None = None,
    standardise: Standard = "own",
) -> Digits | Images:
    """A set of the catalogue in its splits; of a folder of images that at `path`.

    The test split is the set's own; training and validation are drawn from the rest by `seed`,
    with the same share of each class. With a `limit` there are at most so many training images, and
    validation shrinks with them. With a `long_tail` below 1 training has, of those, as many of each
    class as `tail_counts` says. A folder that is not divided gives a sixth of each class to
    validation and to test each, one without `val` a sixth of `train` to validation. Of such folders
    `thermal`, arguments of `trainables.data.thermal.Reading`, keeps 16 bits. Boxes that
    are listed at `path` take as `boxes` the arguments `options` of `detection.crops.Options`, `cut`
    of `detection.cutting.cut`, and the folder of `pictures` (None: beside the list). Of a folder
    `form` has the arguments of `folder.files` beside its classes, and in `noisy_labels` how many of
    100 labels of training images are wrong; splits are drawn by the true ones.

    Of a `labels_share` below 1 only that share of training images, the same of each class, is in
    `train`, and all are in `with_unlabelled`; what images are standardised with does not change.
    The arrays are copied below `copy_to` first, as `copying.copied` does it. Images are
    standardised by the training split, or as `standardise` says (`standardising.stated`).

    Raises:
        LookupError: the set is not there. ValueError: its files are damaged, the limit is below
            the number of classes, or the tail so long, or labels so few, that a class has no image.
    """
    if limit is not None and limit < len(data_set.classes):
        raise ValueError(
            f"data.limit must be at least the {len(data_set.classes)} classes of {data_set.name}, "
            f"got {limit}"
        )
    if data_set.name == "digits":
        whole = restandardised(_digits(seed, limit, long_tail, tail_shape), standardise)
        return _few_labels(whole, labels_share, seed)
    reading = None if thermal is None else Reading(**thermal)
    bits: Literal[8, 16] = 8 if reading is None else 16
    made, said = _made(data_set, root, path, bits, seed, boxes, form)
    made = beside(made, copy_to)
    chosen = _splits(data_set, made, seed)
    if limit is not None and limit < len(chosen["train"][1]):
        chosen = _limited(made, chosen, limit, seed)
    if long_tail != 1:
        part, indices = chosen["train"]
        kept = tailed(made.parts[part].labels[indices], long_tail, tail_shape, seed)
        chosen = {**chosen, "train": (part, indices[kept])}
    whole = restandardised(_images(made, chosen, reading, said), standardise)
    found = _few_labels(whole, labels_share, seed)
    return _without_first(found) if boxes and boxes.get("empty_alone") else found


def _made(
    data_set: ImageFacts,
    root: Path,
    path: Path | None,
    bits: Literal[8, 16],
    seed: int,
    boxes: Mapping[str, Any] | None,
    form: Mapping[str, Any] | None,
) -> tuple[Cached, Indices | None]:
    """The arrays of a set, and labels of its training images that are other than the true ones."""
    if data_set.name == "boxes" and path is not None and boxes is not None:
        own = {name: value for name, value in boxes.items() if name != "empty_alone"}
        return arrays.cut(data_set, root, path, bits, seed, **own), None
    return arrays.made(data_set, root, path, bits, **(form or {}))


def _without_first(found: Images) -> Images:
    """Of images without labels only those that come behind the training split."""
    assert isinstance(found.with_unlabelled, Joined)
    return replace(found, with_unlabelled=found.with_unlabelled.second)


def _splits(data_set: ImageFacts, made: Cached, seed: int) -> dict[str, tuple[str, Indices]]:
    """The name of the part of each split, and its indices there."""
    sizes = {name: len(part.labels) for name, part in made.parts.items()}
    if size := sizes.pop(published.UNLABELLED, 0):
        without = {published.UNLABELLED: (published.UNLABELLED, np.arange(size))}
        return _splits_of(data_set, made, sizes, seed) | without
    return _splits_of(data_set, made, sizes, seed)


def _splits_of(
    data_set: ImageFacts, made: Cached, sizes: dict[str, int], seed: int
) -> dict[str, tuple[str, Indices]]:
    """Those of parts of these sizes."""
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


def _digits(seed: int, limit: int | None, long_tail: float, tail_shape: TailShape) -> Digits:
    whole = digits.load(seed)
    whole = whole if limit is None else _limited_digits(whole, limit, seed)
    if long_tail == 1:
        return whole
    kept = tailed(whole.train.labels.numpy(), long_tail, tail_shape, seed)
    return _digits_at(whole, {"train": kept})


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
        digest.update(at.tobytes())
        splits[name] = getattr(whole, name).at(at)
    return replace(whole, **splits, fingerprint=digest.hexdigest()[:16])


def _few_labels(whole: Any, share: float, seed: int) -> Any:
    """A set of which only a share of training images, of each class, has labels."""
    if share == 1:
        return whole
    labels = whole.train.labels
    kept = stratified(labels.numpy(), round(share * len(labels)), seed)
    sizes = labels.bincount()
    if int(labels[kept].bincount(minlength=len(sizes))[sizes > 0].min()) < 1:
        raise ValueError(
            f"data.labels_share must leave each class an image, of which the smallest has "
            f"{int(sizes[sizes > 0].min())}, got {share:g}"
        )
    hidden = torch.full_like(labels, NO_LABEL)
    hidden[kept] = labels[kept]
    every, truth = replace(whole.train, labels=hidden), labels
    if whole.with_unlabelled is not None:
        every, truth = Joined(every, whole.with_unlabelled.second), whole.truth
    digest = hashlib.sha256(whole.fingerprint.encode() + kept.tobytes()).hexdigest()[:16]
    few = whole.train.at(kept)
    return replace(whole, train=few, with_unlabelled=every, truth=truth, fingerprint=digest)


def _images(
    made: Cached,
    chosen: dict[str, tuple[str, Indices]],
    reading: Reading | None = None,
    said: Indices | None = None,
) -> Images:
    """`said` are labels of the part that training is of, in place of the true ones."""
    digest = hashlib.sha256(made.fingerprint.encode())
    if reading is None:
        mean, deviation = _statistics(made, *chosen["train"])
    else:
        part, indices = chosen["train"]
        mean, deviation = thermal_statistics(made.folder, made.parts[part], indices, reading)
        digest.update(repr(reading).encode())
    splits: dict[str, Any] = {}
    for name, (part, indices) in chosen.items():
        digest.update(f"{name}/{part}".encode() + indices.tobytes())
        mapped = made.parts[part]
        own = said if name == "train" and said is not None else mapped.labels
        labels = torch.from_numpy(own[indices])
        if own is said:
            digest.update(labels.numpy().tobytes())
        if part == published.UNLABELLED:
            labels = torch.full_like(labels, NO_LABEL)
        found = (mapped, indices, labels, mean, deviation)
        splits[name] = MappedSplit(*found) if reading is None else CountsSplit(*found, reading)
    if published.UNLABELLED in splits:
        unlabelled = splits.pop(published.UNLABELLED)
        splits["with_unlabelled"] = Joined(splits["train"], unlabelled)
        splits["truth"] = splits["with_unlabelled"].labels
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
