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
    said = list(lines)
    traceback, last = traceback_in(said)
    text = traceback or "\n".join(said[-_SHOWN:])
    last = one_line(last or (said[-1] if said else "it wrote nothing"), _LONGEST)
    number = -code if code < 0 else code - _OF_SIGNAL
    name = _signal_name(number)
    how = f"ended by {name}" if code < 0 else f"exit code {code}"
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
