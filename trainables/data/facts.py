"""A set of images for classification: what is known of it and where it lies; nothing is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.data.root import ROOT


@dataclass(frozen=True)
class File:
    """One file of a set.

    `checksum` is that of the file as it comes from its address, `content` that of what is in it
    once it is unpacked (a `.gz` packed anew has another checksum and the same content): each
    `sha256:…` or `md5:…`, empty where there is none. `size` is in bytes, as it comes from `urls`.
    """

    name: str
    size: int
    checksum: str = ""
    content: str = ""
    urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageFacts:
    """Facts of a data set: image side in pixels, channels, classes by index, sizes of splits.

    It is there where all files of one of its `forms` are; the first form is what `get` fetches. It
    is looked for in each of `places`, below a root unless they are absolute. `package` is the
    Debian package that has it. A set without forms comes with an installed package.
    """

    name: str
    source: str
    licence: str
    image_size: int
    channels: int
    classes: tuple[str, ...]
    splits: dict[str, int]
    what: str = ""
    forms: tuple[tuple[File, ...], ...] = ()
    places: tuple[str, ...] = ()
    package: str = ""

    @property
    def size(self) -> int:
        """Bytes to fetch; 0 if there is nothing to."""
        return sum(file.size for file in self.forms[0]) if self.forms else 0

    def looked_for(self, root: Path | None = None) -> Sequence[Path]:
        """The folders in which it is looked for, in this order."""
        return [(root or ROOT) / place for place in self.places]
