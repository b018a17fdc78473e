"""Logs of the parts: bounded in size, while other processes write to them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

LARGEST = 10 << 20
"""Bytes of a log before it begins anew."""
KEPT = 3
"""How many older logs are kept: `NAME.log.1` is the youngest."""


def rotate(log: Path, largest: int = LARGEST) -> None:
    """Keeps what a log says as `.1` and empties it, if it has grown too large.

    The processes that write to it append, so they go on at its new beginning: none has to be told.
    What they write in the moment between copy and cut is lost.
    """
    if not log.exists() or log.stat().st_size <= largest:
        return
    for number in range(KEPT - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            os.replace(older, log.with_name(f"{log.name}.{number + 1}"))
    first = log.with_name(f"{log.name}.1")
    os.close(os.open(first, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    shutil.copyfile(log, first)
    os.truncate(log, 0)


def last_line(log: Path) -> str:
    """The last line that says something, of the last 4 KiB; empty if there is none."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = file.read().decode(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")[:300]
