"""Brings a data set to where it is looked for: from its addresses, or from a file at hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from trainables.core.files import appearing
from trainables.data import archives, places
from trainables.data.downloading import download
from trainables.data.facts import File, ImageFacts

Say = Callable[[str], None]


def get(data_set: ImageFacts, root: Path, given: Path | None, say: Say) -> None:
    """Brings a set into the first place of a root, or says that it is there already.

    `given` is one of its files, or a folder that has them, instead of its addresses; for a folder
    of images an archive of it.

    Raises:
        LookupError: nothing can be got of that name, or `given` is not there.
        ValueError: bytes that are not those of the set, or that cannot be written.
        ConnectionError: no address answers.
    """
    if given is not None and not given.exists():
        raise LookupError(f"--from must be a file or folder that is there, got {str(given)!r}")
    if data_set.name == "folder":
        _folder(root, given, say)
        return
    if data_set.name == "boxes":
        raise LookupError("boxes are your own: give the file that lists them as data.path")
    if not data_set.forms:
        say(f"{data_set.name} is there: {data_set.source}")
        return
    found = places.find(data_set, root)
    if found is not None:
        say(f"{data_set.name} is there: {found.folder}")
        return
    target = data_set.looked_for(root)[0]
    if data_set.package and places.has_debian() and given is None:
        say(f"on this system `apt-get install {data_set.package}` brings it, too")
    for file in data_set.forms[0]:
        if given is None:
            download(file.urls, target / file.name, file.checksum, say, size=file.size)
        else:
            _take(given if given.is_file() else given / file.name, target, file)
    say(f"{data_set.name} is there: {target}")


def _take(source: Path, target: Path, file: File) -> None:
    """Copies a file of a set that is at hand already."""
    if source.name != file.name or not source.is_file():
        raise LookupError(f"--from must be {file.name}, or a folder that has it, got {source}")
    for sentence in places.wrong(file, source):
        raise ValueError(sentence)
    target.mkdir(parents=True, exist_ok=True)
    with appearing(target / file.name) as partial:
        shutil.copyfile(source, partial)


def _folder(root: Path, given: Path | None, say: Say) -> None:
    """Unpacks an archive of a folder of images below a root, under the archive's name."""
    if given is None or not archives.is_archive(given):
        raise LookupError(
            "a folder of images is your own: give it as data.path, or its archive (tar or zip) by "
            f"--from{'' if given is None else f', got {given}'}"
        )
    target = root / given.name.partition(".")[0]
    archives.unpack(given, target)
    inner = list(target.iterdir())
    path = inner[0] if len(inner) == 1 and inner[0].is_dir() else target
    say(f"{len(places.class_names(path))} classes are there: data.name=folder data.path={path}")
