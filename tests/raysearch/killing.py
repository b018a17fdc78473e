"""Runs the `raysearch` command and kills the driver with SIGKILL at a named moment.

    python -m tests.raysearch.killing MOMENT KIND COUNT -- search SPACE --name NAME …

Moments, each at the COUNT-th event of KIND: `before` it is written, `in` its commit (it is numbered
and lost), `after` it is committed and before anything follows from it.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from raysearch.cli.application import main
from raysearch.events.log import Event, EventLog
from raysearch.events.schema import Fact


def die() -> None:
    """As a power cut would: nothing is flushed, nothing is closed."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(moment: str, kind: str, count: int) -> None:
    """Lets the `count`-th event of a kind end this process."""
    append, flush = EventLog.append, EventLog.flush
    seen = 0

    def deadly_append(self: EventLog, fact: Fact, *arguments: Any, **options: Any) -> Event:
        nonlocal seen
        seen += fact.kind == kind
        due = fact.kind == kind and seen == count
        if due and moment == "before":
            die()
        if due and moment == "in":
            EventLog.flush = deadly_flush  # type: ignore[method-assign]
        appended = append(self, fact, *arguments, **options)
        if due:
            die()
        return appended

    def deadly_flush(self: EventLog) -> None:
        die()
        flush(self)

    EventLog.append = deadly_append  # type: ignore[method-assign]


if __name__ == "__main__":
    arm(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    sys.argv = ["raysearch", *sys.argv[5:]]
    main()
