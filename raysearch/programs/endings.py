"""How a program ended that did not end well: a kind of failure, and the words for it."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from raysearch.programs.output import traceback_in
from raysearch.texts import one_line
from raysearch.trial.endings import KnownFailure, is_of_memory

_SHOWN = 20
"""Last lines that are shown where there is no traceback."""
_OF_SIGNAL = 128
_NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded")
_LONGEST = 300
_FAILED = re.compile(r"failed \(exitcode: (-?\d+)\) local_rank: (\d+) \(pid: \d+\)")
_TORCHRUN = "torch/distributed/elastic/"
_HINT = "Set the environment variable HYDRA_FULL_ERROR=1"
"""How the last line of Hydra begins; what is wrong stands above it."""


def ended(
    code: int, lines: Sequence[str], facts: Mapping[str, Any], kernel_killed: bool
) -> KnownFailure:
    """What a program ended by.

    Args:
        code: its exit code, or minus the number of a signal.
        lines: the last that it wrote.
        facts: those of the program.
        kernel_killed: whether the kernel has killed for memory meanwhile.
    """
    code, worker, said = _of_worker(code, list(lines))
    traceback, last = traceback_in(said, worker)
    text = traceback or "\n".join(said[-_SHOWN:])
    last = one_line(last or _last_of(said), _LONGEST)
    number = -code if code < 0 else code - _OF_SIGNAL
    name = _signal_name(number)
    how = f"ended by {name}" if code < 0 else f"exit code {code}"
    if worker is not None:
        how = f"worker {worker} {how}" if code < 0 else f"{how} of worker {worker}"
    if code > 0 and name:
        how += f" (as a shell says of {name})"
    if code in facts["again_on"]:
        return KnownFailure("again", f"{how}, which asks for another start", text)
    kind = _kind(code, name, last, traceback, kernel_killed)
    if kind == "exception":  # which says it all
        return KnownFailure(kind, last if code == 1 else f"{last} ({how})", text)
    if kind == "exit":
        how = how.removeprefix("exit ")
    return KnownFailure(kind, f"{how}: {last}", text)


def code_of(code: int, lines: Sequence[str]) -> int:
    """The exit code that counts: that of the worker which failed first, if torchrun names it."""
    return _of_worker(code, list(lines))[0]


def _of_worker(code: int, lines: list[str]) -> tuple[int, int | None, list[str]]:
    """What torchrun says of the worker that failed first, whose exit code it does not pass on.

    Its code and rank on this machine, and the lines without those of torchrun; as given, and None,
    where torchrun says nothing.
    """
    failed = [(number, _FAILED.search(line)) for number, line in enumerate(lines)]
    known = [(number, match) for number, match in failed if match]
    if code != 1 or not known:
        return code, None, lines
    end, match = known[-1]
    said = [line for line in lines[:end] if _TORCHRUN not in line]
    return int(match[1]), int(match[2]), said


def _last_of(lines: Sequence[str]) -> str:
    told = (line for line in reversed(lines) if line.strip() and not line.startswith(_HINT))
    return next(told, "it wrote nothing")


def _kind(code: int, name: str, last: str, traceback: str, kernel_killed: bool) -> str:
    if name == "SIGKILL" and kernel_killed:
        return "memory"
    if is_of_memory(last):
        return "memory"
    if _NO_SPACE.search(last):
        return "full"
    if last.startswith("FloatingPointError"):
        return "diverged"
    if code < 0:
        return "killed" if name == "SIGKILL" else "signal"
    return "exception" if traceback else "exit"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""
