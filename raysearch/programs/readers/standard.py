"""The readers of what programs write without being asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from raysearch.programs.readers.csv_files import CsvFiles
from raysearch.programs.readers.reader import Reader
from raysearch.programs.readers.tensorboard import TensorBoard
from raysearch.programs.readers.watched import Watched


def readers(folders: Sequence[Path], pids: Callable[[], list[int]], since: float) -> list[Reader]:
    """One reader for each kind of file.

    Args:
        folders: the working folder of the program, and what it keeps from attempt to attempt.
        pids: the processes of the program that live now; files that they hold open are read too.
        since: when the program began, in seconds since 1970; made before, it knows what was there.
    """
    watched = Watched(folders, pids, since)
    return [TensorBoard(watched), CsvFiles(watched)]
