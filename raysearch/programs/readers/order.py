"""Which of the things that a program wrote count, at which step, and in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from raysearch.programs.readers.reader import FoundReport

SOURCES = ("raysearch", "output", "wandb", "mlflow", "tensorboard", "csv")
"""Whoever is named earlier has a metric that several report."""
_MOST = 200
"""So many steps of a metric are kept between two values of what the search compares; above it
every second one is left out. Nobody looks at more, and each is a report that takes time."""


class Order:
    """Makes one sequence of reports, as a session takes it, of what several sources wrote.

    - A metric belongs to one source: the first that reports it; of several that do so at the same
      moment the first of `SOURCES`. Others that report it too (Lightning writes to a table and to
      TensorBoard) are not listened to for it, so no step is reported twice.
    - The metrics that the search compares are the clock of a trial: their steps are its steps. They
      pass at once; a step that does not go forward is dropped and counted.
    - All other metrics wait for the next value of those. If their steps are on the same clock, they
      are then reported at their own steps; if they are ahead of it or behind it (a loss at each
      iteration, beside an accuracy at each epoch), their last value is reported with that one. So
      the sequence follows from what was written, and not from when it was read.

    Args:
        compared: the metrics of the search. Without any, every report passes if its step is not
            less than the one before.
    """

    def __init__(self, compared: Collection[str] = ()) -> None:
        self._compared = frozenset(compared)
        self._owners: dict[str, str] = {}
        self._last: dict[str, int] = {}
        self._held: dict[str, dict[int, float]] = {}
        self._clock = 0
        self.dropped: Counter[str] = Counter()
        """How many values of each metric were dropped, as their step did not go forward."""
        self.unheard: Counter[tuple[str, str]] = Counter()
        """How many values of (metric, source) belong to another source."""

    def take(self, reported: Iterable[FoundReport]) -> list[FoundReport]:
        """What is to be reported now, in order: steps never go back, and no value comes twice."""
        reported = list(reported)
        for one in sorted(reported, key=lambda one: _rank(one.source)):
            for name in one.metrics:
                self._owners.setdefault(name, one.source)
        return [passed for one in reported for passed in self._pass(one)]

    def finish(self) -> list[FoundReport]:
        """What still waits, when nothing more will come: its last values, at the last step.

        If nothing that is compared ever came, all that there is, so that its names are seen.
        """
        held, self._held = self._held, {}
        if self._compared.isdisjoint(self._last):
            steps: dict[int, dict[str, float]] = {}
            for name, values in held.items():
                for step, value in values.items():
                    steps.setdefault(step, {})[name] = value
            return self._go([self._report(step, steps[step]) for step in sorted(steps)])
        new = {name for name in held if self._last.get(name, -1) < self._clock}
        last = {name: list(values.values())[-1] for name, values in held.items() if name in new}
        return self._go([self._report(self._clock, last)] if last else [])

    def _pass(self, one: FoundReport) -> list[FoundReport]:
        own = {name: value for name, value in one.metrics.items() if self._is_heard(name, one)}
        if not self._compared:
            found = {name: own[name] for name in own if self._is_new(name, one.step)}
            return self._go([FoundReport(one.step, found, one.source)] if found else [])
        clock = {
            name: value
            for name, value in own.items()
            if name in self._compared and self._is_new(name, one.step)
        }
        for name in own.keys() - self._compared:
            self._hold(name, one.step, own[name])
        if not clock:
            return []
        return self._go(self._due(one.step, clock))

    def _is_heard(self, name: str, one: FoundReport) -> bool:
        if self._owners[name] == one.source:
            return True
        self.unheard[name, one.source] += 1
        return False

    def _is_new(self, name: str, step: int) -> bool:
        if step >= self._clock and step > self._last.get(name, -1):
            return True
        self.dropped[name] += 1
        return False

    def _hold(self, name: str, step: int, value: float) -> None:
        held = self._held.setdefault(name, {})
        held.pop(step, None)  # a later value of a step that nobody saw yet takes its place
        held[step] = value
        if len(held) > _MOST:
            steps = list(held)
            self._held[name] = {each: held[each] for each in (*steps[:-1:2], steps[-1])}

    def _due(self, until: int, clock: dict[str, float]) -> list[FoundReport]:
        """The reports that waited for metrics that are compared, and these."""
        steps: dict[int, dict[str, float]] = {until: {}}
        held, self._held = self._held, {}
        for name, values in held.items():
            last = self._last.get(name, -1)
            if last == until:
                self._held[name] = values
                continue
            first = max(self._clock, last + 1)
            values = {s: value for s, value in values.items() if s != last} or values
            if not all(first <= step <= until for step in values):
                values = {until: list(values.values())[-1]}  # it has another clock
            for step, value in values.items():
                steps.setdefault(step, {})[name] = value
        steps[until] |= clock
        return [self._report(step, steps[step]) for step in sorted(steps)]

    def _report(self, step: int, metrics: dict[str, float]) -> FoundReport:
        """A report, named after the first of those whose metrics are in it."""
        return FoundReport(step, metrics, min((self._owners[name] for name in metrics), key=_rank))

    def _go(self, reports: list[FoundReport]) -> list[FoundReport]:
        for report in reports:
            self._clock = max(self._clock, report.step)
            self._last.update(dict.fromkeys(report.metrics, report.step))
        return reports


def _rank(source: str) -> int:
    return SOURCES.index(source) if source in SOURCES else len(SOURCES)
