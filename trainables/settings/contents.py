"""Files and folders as settings: what is in them counts, and not where they lie."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

_SPLITS = ("train", "val", "test")


def by_content(canonical: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The canonical form of a part, in which the files of some fields are `sha256:…` of theirs.

    A folder is `files:…`, of the names and sizes of all that is below it but hidden files: its
    bytes, which may be many gigabytes, are in the fingerprint of the data of each run, and digests
    are asked for at each point of a space. A field that is void or null stays so. What is not
    there, of which no run can begin, is its path.
    """
    found = {name: canonical[name] for name in names if canonical.get(name) is not None}
    return {**canonical, **{name: _content(file) for name, file in found.items()}}


def by_checkpoints(canonical: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The same of a field that is a folder of checkpoints (`*.pt`): `sha256:…` of what is in them,
    whatever they are called. Of one without any it is as of any folder.
    """
    path = canonical.get(name)
    checkpoints = [] if path is None else [*Path(path).expanduser().rglob("*.pt")]
    if not checkpoints:
        return by_content(canonical, name)
    parts = sorted(_content(str(one)) for one in checkpoints)
    content = hashlib.sha256(" ".join(parts).encode()).hexdigest()
    return {**canonical, name: f"sha256:{content}"}


def _content(path: str) -> str:
    file = Path(path).expanduser()
    try:
        if file.is_dir():
            return f"files:{_listing(file.absolute(), _stamps(file))}"
        facts = file.stat()
        return f"sha256:{_sha256(file, facts.st_size, facts.st_mtime_ns)}"
    except OSError:
        return path


def _stamps(folder: Path) -> tuple[int, ...]:
    """When the folder, those in it, and those in its splits were last changed."""
    inside = sorted(folder.glob("*/"))
    classes = [one for split in _SPLITS for one in sorted((folder / split).glob("*/"))]
    return tuple(one.stat().st_mtime_ns for one in [folder, *inside, *classes])


@lru_cache(64)
def _listing(folder: Path, stamps: tuple[int, ...]) -> str:
    """Of names and sizes; found once as long as no folder changes."""
    digest = hashlib.sha256()
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            path = os.path.join(place, name)
            size = os.stat(path).st_size
            digest.update(f"{Path(path).relative_to(folder).as_posix()}\0{size}\n".encode())
    return digest.hexdigest()


@lru_cache(256)
def _sha256(file: Path, size: int, modified: int) -> str:
    """Of a file as large and as old: each point of a space asks for it."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
