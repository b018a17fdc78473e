"""On which corrupted or changed images networks are measured; training does not depend on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from trainables.core.config import Config
from trainables.data.corruptions.severities import MAIN, NAMES
from trainables.settings.contents import by_content
from trainables.settings.ranges import Natural

CorruptionName = Literal[
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur",
    "zoom_blur", "snow", "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate",
    "jpeg_compression", "speckle_noise", "gaussian_blur", "spatter", "saturate",
]  # fmt: skip
"""Those of CIFAR-10-C."""


class Corruption(Config):
    """Accuracy on `images` corrupted images of each corruption and severity (0: not measured).

    All 19 corruptions unless some are listed. They are made of images of the validation split, as
    those of `cifar` or of `imagenet`; with a `path` they are read from a folder like CIFAR-10-C,
    of the test split. `reference` is a file of accuracies of another run, its
    `files/corruption-accuracies.csv`, beside which errors are put (null: no such ratio).
    """

    images: Natural = 0
    corruptions: tuple[CorruptionName, ...] | None = None
    table: Literal["cifar", "imagenet"] = "cifar"
    path: str | None = None
    reference: str | None = None

    @model_validator(mode="after")
    def _each_is_listed_once(self) -> Corruption:
        listed = self.corruptions
        if listed is not None and (not listed or len(set(listed)) < len(listed)):
            raise ValueError(
                f"corruptions must be null for all, or name each once and at least one, got "
                f"{list(listed)}"
            )
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Of the corruptions, in the order of their publication."""
        return tuple(name for name in NAMES if self.corruptions is None or name in self.corruptions)

    def void(self) -> frozenset[str]:
        """Of no images everything; of files how they were made."""
        if not self.images:
            return frozenset(type(self).model_fields)
        return frozenset({"table"}) if self.path is not None else frozenset()

    def unreported(self, metric: str, place: str) -> str | None:
        """The sentence on why no training reports a metric; begins with it, names a path below
        `place`; None if it may.
        """
        if not metric.startswith("corruption/"):
            return None
        if not self.images:
            return f"metric {metric} needs corrupted images; take {place}.images of at least 1"
        if problem := self._absent(metric.removeprefix("corruption/"), place):
            return f"metric {metric} needs {problem}"
        if self.path is not None:
            return (
                f"metric {metric} is of the test split with {place}.path, which no training looks "
                f"at; leave it null for corrupted validation images"
            )
        return None

    def _absent(self, name: str, place: str) -> str | None:
        """What a value of the evaluation needs and there is not."""
        if name in ("mce", "relative_mce") and self.reference is None:
            return f"errors to be put beside; take {place}.reference"
        if name in set(NAMES) - set(self.names):
            return f"that corruption; list it in {place}.corruptions, or leave that null for all"
        if name == "mean_error" and not set(MAIN) & set(self.names):
            return f"a main corruption, such as {MAIN[0]}; list one in {place}.corruptions"
        return None

    def missing(self, place: str) -> str | None:
        """One sentence on a file that is not there; begins with a path below `place`."""
        if not self.images:
            return None
        if self.reference is not None and not Path(self.reference).is_file():
            return f"{place}.reference must be a file of accuracies, got {self.reference!r}"
        if self.path is None:
            return None
        for name in ("labels", *self.names):
            if not (Path(self.path) / f"{name}.npy").is_file():
                return (
                    f"{place}.path must be a folder like CIFAR-10-C with {name}.npy, got "
                    f"{self.path!r}"
                )
        return None

    def _canonical(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        """In which order corruptions are listed does not count, and all of them are all."""
        found = by_content(super()._canonical(plain), "reference", "path")
        if "corruptions" in found:
            found["corruptions"] = None if self.names == NAMES else sorted(self.names)
        return found


def _rising(strengths: tuple[float, ...]) -> tuple[float, ...]:
    if list(strengths) != sorted(set(strengths)):
        raise ValueError(f"must rise from one to the next, got {list(strengths)}")
    return strengths


_Half = Annotated[float, Field(gt=0, le=0.5)]
_Whole = Annotated[float, Field(gt=0, le=1)]
_COLOURED = ("saturation", "hue")


class NaturalChanges(Config):
    """Whether answers to `images` of the validation split stay as images change a little (0: not
    measured), with the same share of each class.

    Changes have strengths, each a list that rises (empty: none): `translation` in shares of the
    sides, `saturation` of HSV and `brightness` up or down by so much, `hue` in turns; as in
    `trainables.data.natural`. Images of one channel have neither saturation nor hue. In one's own
    pictures whose names have numbers of `frames`, those at most so many pictures before or behind
    are neighbours (0: none are looked for), as in `trainables.data.sequences`, if they are in the
    same split.
    """

    images: Natural = 0
    frames: Natural = 0
    translation: Annotated[tuple[_Half, ...], AfterValidator(_rising)] = (0.05, 0.1, 0.2, 0.3)
    saturation: Annotated[tuple[_Whole, ...], AfterValidator(_rising)] = (0.25, 0.5, 0.75, 1.0)
    hue: Annotated[tuple[_Half, ...], AfterValidator(_rising)] = (0.05, 0.1, 0.2, 0.4)
    brightness: Annotated[tuple[_Whole, ...], AfterValidator(_rising)] = (0.1, 0.2, 0.3, 0.4)

    def void(self) -> frozenset[str]:
        """Of no images everything; no frames are as if there were none to have."""
        if not self.images:
            return frozenset(type(self).model_fields)
        return frozenset() if self.frames else frozenset({"frames"})

    def strengths(self, channels: int) -> dict[str, tuple[float, ...]]:
        """Of the changes that are made of images with so many channels, by name."""
        kinds = {
            "translation": self.translation,
            "saturation": self.saturation,
            "hue": self.hue,
            "brightness": self.brightness,
        }
        return {k: v for k, v in kinds.items() if v and (channels == 3 or k not in _COLOURED)}

    def refused(self, place: str, channels: int, name: str, *, has_files: bool) -> str | None:
        """The sentence on what cannot be measured on the set `name`; begins with a path below
        `place`; None if all can.
        """
        if not self.images:
            return None
        if self.frames and not has_files:
            return (
                f"{place}.frames must be 0 with data.name {name!r}, whose images have no names, "
                f"got {self.frames}; take data.name 'folder' or 'boxes'"
            )
        if not self.frames and not self.strengths(channels):
            return (
                f"{place}.translation must have a strength, or {place}.frames be above 0, where "
                f"{place}.images is above 0: something must change, got none"
            )
        return None

    def unreported(
        self, metric: str, place: str, channels: int, lacks: Mapping[str, str]
    ) -> str | None:
        """The sentence on why no training reports a metric; begins with it, names a path below
        `place`; None if it may. `lacks` says what those need who do not answer, by name.
        """
        evaluation, _, rest = metric.partition("/")
        if evaluation != "natural":
            return None
        if not self.images:
            return f"metric {metric} needs images to change; take {place}.images of at least 1"
        who, _, name = rest.rpartition("/")
        if who in lacks:
            return f"metric {metric} needs {lacks[who]}"
        kind, made = name.partition("_")[0], self.strengths(channels)
        if kind == "frames" and not self.frames:
            return f"metric {metric} needs neighbouring frames; take {place}.frames of at least 1"
        if kind in ("right", "same") and not made:
            return f"metric {metric} needs a change; give {place}.translation a strength"
        if kind in _COLOURED and channels == 1:
            return f"metric {metric} needs images of 3 channels, and these have 1"
        if kind in type(self).model_fields and kind not in (*made, "frames"):
            return f"metric {metric} needs a strength; list one in {place}.{kind}"
        number = name.rpartition("_")[2]
        if number.isdecimal() and not 1 <= int(number) <= len(made.get(kind, ())):
            return (
                f"metric {metric} needs so many strengths; {place}.{kind} lists "
                f"{len(made.get(kind, ()))}"
            )
        return None
