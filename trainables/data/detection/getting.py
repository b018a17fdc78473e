"""Brings the files of a set of pictures with boxes to where they are looked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from trainables.data import archives
from trainables.data.detection.facts import DetectionFacts
from trainables.data.downloading import download

Say = Callable[[str], None]


def get(data_set: DetectionFacts, root: Path, given: Path | None, say: Say) -> None:
    """Fetches a set, or takes it from a folder or an archive that is `given`.

    Of a folder that is given the files stay where they are, and are linked. No checksums are
    published; each file of a zip archive has its own, which is looked at when it is unpacked.

    Raises:
        LookupError: it has no address, or is not in what is given. ValueError: an archive is
            damaged, or nothing can be written. ConnectionError: no address answers.
    """
    if data_set.missing(root) is None:
        say(f"{data_set.name} is there: {data_set.looked_for(root)[-1]}")
        return
    target = root / data_set.name
    if data_set.kind == "made" or (given is None and not data_set.archives):
        raise LookupError(data_set.missing(root))
    if given is None:
        for archive in data_set.archives:
            if not (target / archive.holds).exists():
                path = target / archive.url.rpartition("/")[2]
                download((archive.url,), path, "", say, size=archive.size)
                _unpack(path, target)
                path.unlink()
    elif archives.is_archive(given):
        _unpack(given, target)
    else:
        _link(data_set, given, target)
    left = data_set.missing(root)
    if left is not None:
        raise LookupError(f"not all of {data_set.name} was in {given}: {left}")
    say(f"{data_set.name} is there: {target}")


def _unpack(archive: Path, target: Path) -> None:
    """Moves what is in an archive, or in the only folder in it that no set names, to a folder."""
    target.mkdir(parents=True, exist_ok=True)
    inside = target / f".{archive.name}.unpacked"
    shutil.rmtree(inside, ignore_errors=True)  # of a process that was killed
    archives.unpack(archive, inside)
    try:
        entries = list(inside.iterdir())
        is_wrapped = len(entries) == 1 and any(
            (entries[0] / name).exists() for name in ("annotations", "annotations.mat")
        )
        for entry in list(entries[0].iterdir()) if is_wrapped else entries:
            if (target / entry.name).exists():
                raise ValueError(
                    f"{target / entry.name} must not be there yet: it is in {archive}, too"
                )
            os.replace(entry, target / entry.name)
    finally:
        shutil.rmtree(inside, ignore_errors=True)


def _link(data_set: DetectionFacts, given: Path, target: Path) -> None:
    files = data_set.needs or tuple(
        name for part in data_set.parts.values() for name in (part.annotations, part.pictures)
    )
    absent = [name for name in files if not (given / name).exists()]
    if absent:
        raise LookupError(
            f"--from must be an archive or a folder that has {', '.join(files)}, got {given}"
        )
    target.mkdir(parents=True, exist_ok=True)
    for name in dict.fromkeys(Path(name).parts[0] for name in files):
        if not (target / name).exists():
            (target / name).symlink_to((given / name).resolve())
