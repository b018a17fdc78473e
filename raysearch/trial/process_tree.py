"""Process trees: who is below whom, and the end of a tree, by parentage alone."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_ROUNDS = 20
DYING = 10.0
"""Seconds for killed processes to be gone; longer only hangs one in an uninterruptible call."""


def adopt_orphans() -> None:
    """Makes this process the parent of all below it whose own parents die (child subreaper)."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with(parent: int) -> None:
    """Lets the kernel kill this process as soon as its parent is gone."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before this was said
        os._exit(1)


def call(name: str) -> None:
    """Gives this process a name of at most 15 bytes, as `ps` and `top` show it."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def name_of(pid: int) -> str:
    """The name of a process as `call` gave it; empty when it is gone."""
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return ""


def stat_of(pid: int) -> tuple[str, int, int] | None:
    """State (`Z` is a zombie), parent and session of a process; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state, parent, _, session = file.read().rpartition(b") ")[2].split()[:4]
        if state == b"Z" and len(os.listdir(f"/proc/{pid}/task")) > 1:
            state = b"S"  # only its main thread has ended
    except (OSError, ValueError):
        return None
    return state.decode(), int(parent), int(session)


def birth(pid: int) -> int:
    """When a process was started, in ticks of this machine's clock; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b") ")[2].split()[19])
    except (OSError, ValueError):
        return 0


def processes() -> list[int]:
    """All processes that can be seen."""
    return [int(entry) for entry in os.listdir("/proc") if entry.isdecimal()]


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    stat = stat_of(pid)
    return stat is not None and stat[0] not in "ZX"


def family(pid: int) -> list[int]:
    """A process and all below it, without zombies; empty when it is gone."""
    below = _by_parent()
    found = [pid] if alive(pid) else []
    for member in found:  # grows while it is read
        found.extend(below.get(member, []))
    return found


def children(pid: int) -> list[int]:
    """The processes of which this one is the parent, without zombies."""
    return _by_parent().get(pid, [])


def dead_children(pid: int) -> list[int]:
    """The zombies of which this process is the parent."""
    found = ((each, stat_of(each)) for each in processes())
    return [each for each, stat in found if stat is not None and stat[:2] == ("Z", pid)]


def _by_parent() -> dict[int, list[int]]:
    below: dict[int, list[int]] = {}
    for pid in processes():
        stat = stat_of(pid)
        if stat is not None and stat[0] not in "ZX":
            below.setdefault(stat[1], []).append(pid)
    return below


def stop_tree(pid: int) -> list[int]:
    """Stops a process and all below it, so that none can start another; returns them."""
    stopped: list[int] = []
    for _ in range(_ROUNDS):
        new = [member for member in family(pid) if member not in stopped]
        if not new:
            break
        for member in new:
            send(member, signal.SIGSTOP)
        stopped.extend(new)
    return stopped


def kill_tree(pid: int) -> None:
    """Kills a process and all below it: first stopped, so that none can start another meanwhile."""
    for member in stop_tree(pid):
        send(member, signal.SIGKILL)


def gone(pids: Iterable[int], limit: float) -> bool:
    """Waits until none of these processes is alive, `limit` seconds at most; whether that is so."""
    left, deadline, pause = list(pids), time.monotonic() + limit, 0.001
    while left := [pid for pid in left if alive(pid)]:
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(2 * pause, 0.05)
    return True


def reap() -> list[int]:
    """Takes note of all children of this process that have ended; returns them."""
    found: list[int] = []
    with suppress(ChildProcessError):
        while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
            found.append(pid)
    return found


def send(pid: int, number: signal.Signals) -> bool:
    """Sends a signal; whether there was such a process of ours."""
    if pid <= 0:  # it would mean a whole process group
        return False
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def end_children(spared: int | None = None) -> None:
    """Kills all that this process is the parent of, and all below; waits until they are gone."""
    deadline = time.monotonic() + DYING
    while strays := [pid for pid in children(os.getpid()) if pid != spared]:
        for pid in strays:
            kill_tree(pid)
        gone(strays, 0.1)
        if time.monotonic() > deadline:
            return
