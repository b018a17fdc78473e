"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


def partial_of(path: Path, *, is_shared: bool = False) -> Path:
    """The name beside a path under which it is made.

    `is_shared`: several processes may make the same, and each has a name of its own.
    """
    return path.with_name(f"{path.name}{f'.{os.getpid()}' if is_shared else ''}.partial")


@contextmanager
def appearing(path: Path, *, is_shared: bool = False) -> Generator[Path]:
    """The name under which to make a file or folder, which gets its own when the block ends well.

    What is there is replaced: a file, or an empty folder. An exception leaves nothing.
    """
    partial = partial_of(path, is_shared=is_shared)
    try:
        yield partial
        os.replace(partial, path)
    finally:
        _remove(partial)


@contextmanager
def written(path: Path, *, is_shared: bool = False, syncs: bool = True) -> Generator[IO[bytes]]:
    """A file that appears under its name when it is whole and, if it `syncs`, on the disk."""
    with appearing(path, is_shared=is_shared) as partial, partial.open("wb") as file:
        yield file
        if syncs:
            sync(file)


@contextmanager
def whole_folder(folder: Path) -> Generator[Path]:
    """An empty hidden folder beside one, whose place it takes when the block ends well.

    There must be one process at a time. An exception leaves nothing, but for what was there.
    """
    unfinished = unfinished_of(folder)
    shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def unfinished_of(folder: Path) -> Path:
    """The hidden folder beside one in which it is made."""
    return folder.with_name(f".{folder.name}.unfinished")


def sync(file: IO[bytes]) -> None:
    """Forces what was written to the disk."""
    file.flush()
    os.fsync(file.fileno())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
