"""Copies of sets on the own disk of a node, each made once by one process and shared by all."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from trainables.core.files import sync, unfinished_of, whole_folder
from trainables.data.files import alone, checksum

log = logging.getLogger(__name__)

_SPARE = 1.05  # of the bytes must be free
_THREADS = 8  # a share over the network answers slowly, and several at once
_PIECE = 1 << 20


def copied(
    folder: Path,
    names: Sequence[str],
    to: str | Path | None,
    checksums: Mapping[str, str] | None = None,
) -> Path:
    """A folder with these files of another one, of the same name, below `to`; itself without one.

    It appears with all of them or not at all, and is used again as long as they are there with
    their sizes and those of `folder` are as large and as old as they were. While one process
    copies, others wait. Each file is read back and compared with what was read; where `checksums`
    (`sha256:…`) say what it must be, with that too.

    Raises:
        LookupError: a file is not there.
        ValueError: it cannot be written there, the disk has no room, or bytes are not as they must
            be.
    """
    if to is None:
        return folder
    try:
        facts = {name: (folder / name).stat() for name in sorted(names)}
    except OSError as error:
        raise LookupError(
            f"{error.filename} must be there to be copied: {error.strerror}"
        ) from None
    sizes = {name: one.st_size for name, one in facts.items()}
    old = [[name, one.st_size, one.st_mtime_ns] for name, one in facts.items()]
    which = hashlib.sha256(json.dumps(old).encode()).hexdigest()[:16]
    target = Path(to).expanduser() / which / folder.name
    if _is_whole(target, sizes):
        return target
    try:
        with alone(target, log.info):
            if not _is_whole(target, sizes):
                _copy(folder, target, sizes, checksums or {})
    except OSError as error:
        raise ValueError(
            f"data.copy_to must be a folder that can be written, for a copy of {folder}, got "
            f"{str(to)!r} ({error})"
        ) from None
    return target


def _is_whole(target: Path, sizes: Mapping[str, int]) -> bool:
    """Whether all files are there: what cleans up temporary folders may have taken some."""
    try:
        return all((target / name).stat().st_size == size for name, size in sizes.items())
    except OSError:
        return False


def _copy(
    folder: Path, target: Path, sizes: Mapping[str, int], checksums: Mapping[str, str]
) -> None:
    shutil.rmtree(unfinished_of(target), ignore_errors=True)  # of a process that was killed
    shutil.rmtree(target, ignore_errors=True)  # something in it is gone
    _need_room(folder, target.parent, sum(sizes.values()))
    log.info("copying %d files of %s to %s", len(sizes), folder, target)

    def one(unfinished: Path, name: str) -> None:
        copy = unfinished / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        read = _written(folder / name, copy)
        if read != checksums.get(name, read):
            raise ValueError(f"{folder / name} was changed; delete {folder}: it is made again")
        if checksum(copy) != read:
            raise ValueError(f"data.copy_to must keep what is written, and {copy} is not the same")

    with whole_folder(target) as unfinished:
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(partial(one, unfinished), sizes))
        if not _is_whole(unfinished, sizes):
            raise ValueError(f"{folder} must not change while it is copied to {target}")


def _written(source: Path, copy: Path) -> str:
    """Copies a file onto the disk; `sha256:…` of what was read."""
    digest = hashlib.sha256()
    with source.open("rb") as opened, copy.open("wb") as file:
        while piece := opened.read(_PIECE):
            digest.update(piece)
            file.write(piece)
        sync(file)
    return f"sha256:{digest.hexdigest()}"


def _need_room(folder: Path, there: Path, size: int) -> None:
    free = shutil.disk_usage(there).free
    if size * _SPARE > free:
        raise ValueError(
            f"data.copy_to must be on a disk with {size * _SPARE / 1e9:.3g} GB free for a copy of "
            f"{folder}, got {free / 1e9:.3g} GB in {there}"
        )
