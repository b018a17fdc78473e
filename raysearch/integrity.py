"""Size and SHA-256 of checkpoints, files or folders: as they were, and as they are now."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from raysearch.errors import BadSetting

_CHUNK = 1 << 20


class Digest(NamedTuple):
    """Bytes of all files, and the SHA-256 in hexadecimal digits.

    That of a folder is over the sorted names in it, each with the size and the SHA-256 of its file:
    no file can be changed, renamed, added or taken away without changing it.
    """

    bytes: int
    sha256: str


def digest(path: Path) -> Digest:
    """Reads a file, or a folder with all below it.

    Raises:
        OSError: it is not there or cannot be read. ValueError: something in it is neither a file
            nor a folder.
    """
    if not path.is_dir():
        return file_digest(path)
    return folder_digest(
        (name, file_digest(path / name) if is_file else None) for name, is_file in members(path)
    )


def file_digest(path: Path) -> Digest:
    """The digest of one file; the kernel may have it in memory, nothing else is held there."""
    hashed, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
            size += len(chunk)
    return Digest(size, hashed.hexdigest())


def folder_digest(found: Iterator[tuple[str, Digest | None]]) -> Digest:
    """The digest of a folder from those of its `members`; None for a folder in it."""
    hashed, size = hashlib.sha256(), 0
    for name, inner in found:
        line = f"{name}/\0" if inner is None else f"{name}\0{inner.bytes}\0{inner.sha256}\0"
        hashed.update(os.fsencode(line))
        size += 0 if inner is None else inner.bytes
    return Digest(size, hashed.hexdigest())


def members(folder: Path) -> list[tuple[str, bool]]:
    """All below a folder, sorted: names relative to it with `/`, and whether each is a file.

    A link to a file counts as that file.

    Raises:
        ValueError: a link to a folder or to nothing, a socket, a pipe or a device.
    """
    found: list[tuple[str, bool]] = []
    for place, folders, files in os.walk(folder, onerror=_refuse):
        for name in [*folders, *files]:
            path = Path(place, name)
            is_file = name in files
            if is_file and not _is_regular(path) or not is_file and path.is_symlink():
                raise BadSetting(f"{path} is neither a file nor a folder but {_kind(path)}")
            found.append((path.relative_to(folder).as_posix(), is_file))
    return sorted(found)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; 0 if it is not there."""
    if path.is_file():
        return path.stat().st_size
    inside = (Path(place, name) for place, _, names in os.walk(path) for name in names)
    return sum(file.lstat().st_size for file in inside if not file.is_symlink())


def damage(path: Path, size: int | None, sha256: str | None) -> str:
    """What is wrong with a checkpoint that had this size and SHA-256; empty if it is as it was.

    What is None was not recorded and is not compared.
    """
    try:
        if not path.exists():
            return "is gone"
        if size is not None and size_of(path) != size:
            return f"has {size_of(path)} bytes, it had {size} when it was reported"
        now = digest(path).sha256 if sha256 is not None else None
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except BadSetting as error:
        return f"is not as it was reported: {error}"
    if now == sha256:
        return ""
    return "was changed after it was reported: its SHA-256 is another"


def _refuse(error: OSError) -> None:
    raise error


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False


def _kind(path: Path) -> str:
    if path.is_symlink():
        return f"a link to {os.readlink(path)!r}"
    mode = path.lstat().st_mode
    kinds = {stat.S_IFSOCK: "a socket", stat.S_IFIFO: "a pipe"}
    return kinds.get(stat.S_IFMT(mode), "a device")
