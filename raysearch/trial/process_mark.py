"""The mark of a process: tells whether that very one is still there, seen from the same machine."""

from __future__ import annotations

import os
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def mark_of_process(pid: int | None = None) -> str:
    """Boot, process id and start of a process (None: this one); empty if there is none."""
    try:
        pid = os.getpid() if pid is None else pid
        # The name, in parentheses, may hold anything; the 22nd field is the start in ticks.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        gone = fields[0] in ("Z", "X")
        return "" if gone else f"{_BOOT.read_text().strip()} {pid} {fields[19]}"
    except OSError:
        return ""


def is_there(mark: str) -> bool:
    """Whether the process of this mark is on this machine and has not ended; it may be stopped."""
    return bool(mark) and mark_of_process(int(mark.split()[-2])) == mark
