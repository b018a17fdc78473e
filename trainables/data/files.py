"""Folders that one process at a time makes, checksums of their files, and room for them."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from trainables.data.places import digest_of

_SPARE = 1.05  # of the estimated bytes must be free


@contextmanager
def alone(folder: Path, say: Callable[[str], None]) -> Generator[None]:
    """One process at a time prepares a folder; the others say so and wait."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process prepares {folder}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def checksum(path: Path) -> str:
    """`sha256:…` of a file."""
    with path.open("rb") as file:
        return digest_of(file, "sha256")


def need_space(folder: Path, size: int) -> None:
    """Raises ValueError if the disk of a folder has no room for so many more bytes."""
    free = shutil.disk_usage(folder).free
    if size * _SPARE > free:
        raise ValueError(
            f"{folder} must be on a disk with {size * _SPARE / 1e9:.1f} GB free, got "
            f"{free / 1e9:.1f} GB"
        )
