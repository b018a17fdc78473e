"""The time for which a search was driven: pauses between its drivers are left out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from raysearch.events.log import Event
from raysearch.events.schema import (
    ArtifactWritten,
    Created,
    Extended,
    Noted,
    Recoded,
    Renamed,
    Resumed,
    Retried,
    Tagged,
)

_SAID = frozenset((Noted, Tagged, Extended, Retried, Recoded, Renamed, ArtifactWritten))
"""What is written of a search between two drivers too."""


@dataclass
class Driven:
    """The spans in which a search was driven, from the first to the last event of each driver."""

    spans: list[list[int]] = field(default_factory=list[list[int]])

    @property
    def until(self) -> int | None:
        """When its last driver wrote its last event (milliseconds since 1970)."""
        return self.spans[-1][1] if self.spans else None

    def take(self, event: Event) -> None:
        """Takes in the next event.

        `left` of a `resumed` is the end of the span before it: the next driver completes what a
        killed one had begun, before it says that it goes on.
        """
        kind = type(event.body)
        if kind is Created or kind is Resumed:
            left = event.body.left if isinstance(event.body, Resumed) else None
            if self.spans and left is not None:
                self.spans[-1][1] = min(self.spans[-1][1], int(left))
            self.spans.append([event.time, event.time])
        elif self.spans and not _is_said(event):
            self.spans[-1][1] = event.time

    def seconds(self, begin: float = 0, end: float = math.inf) -> float:
        """How long, in seconds; of the time between `begin` and `end` (milliseconds since 1970)."""
        spans = [(max(first, begin), min(last, end)) for first, last in self.spans]
        return sum(last - first for first, last in spans if last > first) / 1000


def _is_said(event: Event) -> bool:
    kind = type(event.body)
    return kind in _SAID and (event.trial is None or kind is Retried)
