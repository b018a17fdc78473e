"""Runs the `raysearch` command; its driver kills itself at a moment that a file names.

    python -m tests.cluster.armed FILE -- search SPACE --name NAME …

The file appears at any time and says `MOMENT KIND`: `before` the next event of that kind is
written, `in` its commit, or `after` it; or `flush mlflow`, before anything is sent to the tracking
server. It is deleted before the driver dies, so that the next one lives.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from raysearch.cli.application import main
from raysearch.events.log import Event, EventLog
from raysearch.events.schema import Fact
from raysearch.tracking.mlflow.outbox import Outbox
from tests.raysearch.killing import die

MOMENTS = [
    "before asked",
    "before started",
    "after started",
    "in report",
    "before told",
    "in told",
    "after told",
    "flush mlflow",
]


def arm(file: Path) -> None:
    """Lets the file end this process."""
    append, flush, send = EventLog.append, EventLog.flush, Outbox.send
    committing = False

    def due(moment: str, kind: str) -> bool:
        try:
            return file.read_text() == f"{moment} {kind}"
        except OSError:
            return False

    def die_now() -> None:
        file.unlink(missing_ok=True)
        die()

    def deadly_append(self: EventLog, fact: Fact, *arguments: Any, **options: Any) -> Event:
        nonlocal committing
        if due("before", fact.kind):
            die_now()
        committing = committing or due("in", fact.kind)
        last = due("after", fact.kind)
        appended = append(self, fact, *arguments, **options)
        if last:
            die_now()
        return appended

    def deadly_flush(self: EventLog) -> None:
        if committing:
            die_now()
        flush(self)

    def deadly_send(self: Outbox, client: Any) -> None:
        if due("flush", "mlflow"):
            die_now()
        send(self, client)

    EventLog.append = deadly_append  # type: ignore[method-assign]
    EventLog.flush = deadly_flush  # type: ignore[method-assign]
    Outbox.send = deadly_send  # type: ignore[method-assign]


if __name__ == "__main__":
    arm(Path(sys.argv[1]))
    sys.argv = ["raysearch", *sys.argv[3:]]
    main()
