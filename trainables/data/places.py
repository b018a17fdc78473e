"""Places of data sets on disk: presence, checksums, and the command that gets them."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shlex
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from trainables.data.facts import File, ImageFacts
from trainables.data.published import is_published
from trainables.data.root import ROOT

CACHE = "cache"
"""The folder below the root in which the arrays made of sets lie."""
MANIFEST = "manifest.json"
_SPLITS = ("train", "val", "test")
_PIECE = 1 << 20
_DEBIAN = Path("/etc/debian_version")


@dataclass(frozen=True)
class Found:
    """A set that is there: the folder, and the files of the form that is complete in it."""

    folder: Path
    files: tuple[File, ...]

    def paths(self) -> list[Path]:
        """The files, in the order of the catalogue."""
        return [self.folder / file.name for file in self.files]


def find(data_set: ImageFacts, root: Path) -> Found | None:
    """The first place and form in which all files of a set are there; sizes are not looked at."""
    for folder in data_set.looked_for(root):
        for files in data_set.forms:
            found = Found(folder, files)
            if all(os.path.isfile(path) for path in found.paths()):  # False if not allowed
                return found
    return None


def missing(data_set: ImageFacts, root: Path) -> str | None:
    """One sentence on what to run, or what to put where; None if the set is there."""
    if not data_set.forms or find(data_set, root) is not None:
        return None
    looked = " and ".join(map(str, data_set.looked_for(root)))
    below = "" if root == ROOT else f" --root {shlex.quote(str(root))}"
    package = f", or `apt-get install {data_set.package}`" if data_set.package else ""
    names = ", ".join(file.name for file in data_set.forms[0])
    return (
        f"data set {data_set.name} is not there (looked for in {looked}); run `raysearch data get "
        f"{data_set.name}{below}`{package}, or put {names} into {data_set.looked_for(root)[0]}"
    )


def has_debian() -> bool:
    """Whether this system is Debian or made of it, so that `apt-get` can be advised."""
    return _DEBIAN.exists()


def class_names(path: Path) -> list[str]:
    """The classes of a folder of images, sorted: its sub-folders, or those of `train`.

    Raises:
        LookupError: there is no such folder, or there are fewer than two classes in it.
    """
    if not path.is_dir():
        raise LookupError(
            f"data.path must be a folder with one sub-folder of images for each class, and there "
            f"is none at {str(path)!r}"
        )
    try:
        inner = path / "train" if has_own_splits(path) or is_published(path) else path
        names = [each.name for each in inner.iterdir() if each.is_dir() and each.name[0] != "."]
    except OSError as error:
        raise LookupError(f"data.path must be a folder that can be read, got {error}") from None
    if len(names) < 2:
        raise LookupError(
            f"data.path must hold at least two classes, a sub-folder of images each, and "
            f"{str(inner)!r} has {len(names)} sub-folders"
        )
    return sorted(names)


def has_own_splits(path: Path) -> bool:
    """Whether a folder of images is divided into `train` and `test`, with or without `val`."""
    return (path / "train").is_dir() and (path / "test").is_dir()


def own_splits(path: Path) -> list[str]:
    """The splits that a folder of images has of its own; none if it is not divided."""
    return [name for name in _SPLITS if (path / name).is_dir()] if has_own_splits(path) else []


def check(data_set: ImageFacts, root: Path) -> list[str]:
    """What is wrong with the files of a set and with the arrays made of it: a sentence each."""
    problem = missing(data_set, root)
    if problem is not None:
        return [problem]
    found = find(data_set, root)
    sentences: list[str] = []
    for file, path in zip(found.files, found.paths(), strict=True) if found else ():
        sentences += wrong(file, path)
    for folder in sorted((root / CACHE).glob(f"{data_set.name}-*/")):
        sentences += wrong_arrays(folder)
    return sentences


def wrong(file: File, path: Path) -> Iterator[str]:
    """The sentence on bytes at a path that are not those of a file of a set, if they are not."""
    expected = file.content or file.checksum
    if not expected:
        return
    kind = expected.partition(":")[0]
    try:
        with _content(path) if file.content else path.open("rb") as opened:
            got = digest_of(opened, kind)
    except (OSError, EOFError, zlib.error) as error:
        yield f"{path} cannot be read: {error}"
        return
    if got != expected:
        yield f"{path} must have the checksum {expected}, got {got}; delete it and get it again"


def _content(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked if it is a `.gz`."""
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def wrong_arrays(folder: Path) -> Iterator[str]:
    """The sentences on arrays made of a set that are not what its manifest says."""
    try:
        files = json.loads((folder / MANIFEST).read_text())["files"]
        for name, expected in files.items():
            with (folder / name).open("rb") as opened:
                if digest_of(opened, "sha256") != expected:
                    yield f"{folder / name} was changed; delete {folder}: it is made again"
    except (OSError, ValueError, KeyError) as error:
        yield f"{folder} cannot be read ({error}); delete it: it is made again"


def digest_of(opened: IO[bytes], kind: str) -> str:
    """The checksum of a file, `sha256:…` or `md5:…`, read piece by piece."""
    digest = hashlib.new(kind, usedforsecurity=False)
    while piece := opened.read(_PIECE):
        digest.update(piece)
    return f"{kind}:{digest.hexdigest()}"


def fits(path: Path, checksum: str) -> bool:
    """Whether a file has a checksum; any file fits where none is known."""
    if not checksum:
        return True
    with path.open("rb") as opened:
        return digest_of(opened, checksum.partition(":")[0]) == checksum
