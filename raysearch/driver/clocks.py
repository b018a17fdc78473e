"""The clocks of a search: its time, the time box of its command, the time of each trial."""

from __future__ import annotations

import time
from collections.abc import Callable

from raysearch.driver.attempts import Limits
from raysearch.driver.live_trial import LiveTrial


class Clock:
    """Says what is up. `spent` are the seconds that the search was driven before.

    `now` is the clock, in seconds. The time box counts from `begun`, by the same clock: when this
    driver's command began. Trials are asked to save some time before its end, and what has not
    ended shortly before it is given up: so that the command itself ends within its box.
    """

    def __init__(
        self,
        limits: Limits,
        spent: float = 0.0,
        begun: float | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.now, started = now, now()
        self._limits, self._spent, self._started = limits, spent, started
        box = limits.time_box
        end = None if box is None else (started if begun is None else begun) + box
        saving = min(max(0.1 * (box or 0), 5.0), 60.0)
        self._box = None if end is None else (end - saving, end - min(saving / 2, 5.0))

    def search_is_up(self) -> bool:
        """Whether the search has used up its time."""
        limit = self._limits.time
        return limit is not None and self._spent + self.now() - self._started > limit

    def must_save(self) -> bool:
        """Whether the end of the time box is near: trials save and end."""
        return self._box is not None and self.now() > self._box[0]

    def must_end(self) -> bool:
        """Whether the time box is over: what still runs is given up."""
        return self._box is not None and self.now() > self._box[1]

    def trial_is_up(self, live: LiveTrial) -> bool:
        """Whether a trial has used up its time, that of earlier attempts included."""
        limit = self._limits.trial_time
        return limit is not None and live.seconds(self.now()) > limit
