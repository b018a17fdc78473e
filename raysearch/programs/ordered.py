"""Reports of a program of which several loggers write: put in order before they are reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from raysearch.programs.readers.order import Order
from raysearch.programs.readers.reader import FoundReport
from raysearch.programs.reports import Reports


class OrderedReports(Reports):
    """What loggers wrote is put in order first, see `Order`.

    What the program itself reports, or says without a step, is in order.
    """

    def __init__(self, session: Any, say: Callable[[str], None]) -> None:
        super().__init__(session, say)
        self._order, self._alive = Order(self.objectives), session.alive

    def take(
        self,
        step: int | None,
        metrics: Mapping[str, float],
        checkpoint: Path | None,
        source: str,
        at: float | None = None,
    ) -> None:
        """Takes in a report of one source, and reports what there is to report."""
        if step is None or source == "raysearch":
            super().take(step, metrics, checkpoint, source, at)
            return
        found = self._order.take([FoundReport(step, self._plain(metrics), source)])
        for each in found:
            path = checkpoint if each is found[-1] else None
            super().take(each.step, each.metrics, path, each.source, at)
        if not found and checkpoint is not None:
            super().take(max(self.step or 0, 0), {}, checkpoint, source, at)
        elif not found:
            self._alive()

    def close(self) -> None:
        """Reports what is left. Raises KnownFailure: a metric of the sweep was never heard."""
        for each in self._order.finish():
            super().take(each.step, each.metrics, None, each.source)
        for name, count in self._order.dropped.items():
            values = "value is" if count == 1 else "values are"
            self.note(
                f"metric {name!r}: {count} {values} left out, as the steps did not go forward"
            )
        super().close()
