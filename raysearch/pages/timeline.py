"""The timeline of a search: which trial ran where and when, its attempts and how they ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from raysearch.pages.chart import Chart, axis, layer
from raysearch.pages.objectives import drawn
from raysearch.pages.words import elapsed
from raysearch.results.view import SearchView, TrialView
from raysearch.texts import one_line, plural

MOST = 3000
"""Attempts that are drawn at most, the latest."""
_UNITS = ((3 * 86_400, "days", 86_400.0), (3 * 3600, "hours", 3600.0), (300, "minutes", 60.0))
_SORTS = {
    "completed": "complete",
    "pruned": "pruned",
    "failed": "failed",
    "infeasible": "infeasible",
    "running": "running",
    "tried again": "again",
}
"""How attempts end, and the colours of these."""


@dataclass(frozen=True)
class Span:
    """An attempt at a trial: from when to when (ms since 1970), how it ended and in which words."""

    trial: int
    attempt: int
    begin: int
    end: int
    sort: str
    words: str


def spans(view: SearchView) -> list[Span]:
    """All attempts, by their beginning; one that a kill ended ends with the driver's last event."""
    found = [span for trial in drawn(view) for span in _of(trial, view)]
    return sorted(found, key=lambda span: (span.begin, span.trial, span.attempt))


def _of(trial: TrialView, view: SearchView) -> Iterator[Span]:
    failed = {failure["attempt"]: failure for failure in trial.failures}
    last = len(trial.attempts) - 1
    for place, attempt in enumerate(trial.attempts):
        begin, number = int(attempt["time"]), int(attempt["attempt"])
        failure = failed.get(number)
        driven = next((e for b, e in view.driven.spans if b <= begin <= e), begin)
        if place < last or trial.ended is None and failure is not None:
            ahead = int(trial.attempts[place + 1]["time"]) if place < last else driven
            end = int(failure["time"]) if failure is not None else min(driven, ahead)
            said = f"{failure['kind']}: {failure['message']}" if failure else "its driver ended"
            yield Span(trial.number, number, begin, max(begin, end), "tried again", said)
        elif trial.ended is not None:
            sort = "completed" if trial.state == "complete" else trial.state
            yield Span(trial.number, number, begin, trial.ended, sort, trial.reason)
        else:
            yield Span(trial.number, number, begin, max(begin, driven), "running", "")


def lanes(found: Sequence[Span]) -> list[int]:
    """The slot of each attempt: the first that is free when it begins.

    At any moment there are as many in use as attempts run.
    """
    free: list[int] = []
    places: list[int] = []
    for span in found:
        lane = next((place for place, until in enumerate(free) if until <= span.begin), len(free))
        if lane == len(free):
            free.append(0)
        free[lane] = span.end
        places.append(lane)
    return places


def timeline_chart(view: SearchView) -> Chart | str:
    """The attempts in lanes, one for each that runs at a time; a sentence if there is none."""
    every = spans(view)
    if not every or view.created is None:
        return "No trial has begun: there is no timeline yet."
    found = every[-MOST:]
    places, origin = lanes(found), view.created
    last = max([*(span.end for span in found), view.driven.until or 0])
    unit, size = unit_of((last - origin) / 1000)

    def at(moment: int) -> float:
        return (moment - origin) / 1000 / size

    first = at(found[0].begin) if len(found) < len(every) else 0.0
    spec = {
        "kind": "plot",
        "x": axis(f"{unit} since it began", first, max(at(last), first + 1e-3)),
        "y": axis("slot", 0, max(places), kind="choice", choices=_names(max(places) + 1)),
        "layers": [*_pauses(view, at), *_bars(found, places, at)],
    }
    again = sum(span.sort == "tried again" for span in found)
    attempts = plural(len(found), "attempt")
    alt = f"{attempts} at {plural(len({s.trial for s in found}), 'trial')} in "
    alt += f"{plural(max(places) + 1, 'slot')} over {elapsed((last - origin) / 1000)}"
    caption = "A bar is an attempt at a trial, from its start to its end, in the first slot that "
    caption += "was free then; its colour is how it ended."
    if again:
        caption += f" {plural(again, 'attempt was', 'attempts were')} followed by another one."
    if len(view.driven.spans) > 1:
        caption += " Nobody drove the search where the ground is grey."
    if len(found) < len(every):
        caption += f" The last {MOST:,} of {len(every):,} attempts are drawn."
    return Chart("timeline", spec, f"{alt}.", caption)


def unit_of(seconds: float) -> tuple[str, float]:
    """The unit in which so long a time is shown, and how many seconds it has."""
    return next(((name, size) for over, name, size in _UNITS if seconds > over), ("seconds", 1.0))


def _names(count: int) -> list[str]:
    return [str(place + 1) for place in range(count)]


def _pauses(view: SearchView, at: Any) -> list[dict[str, Any]]:
    driven = view.driven.spans
    gaps = [
        (at(one[1]), at(other[0]))
        for one, other in zip(driven, driven[1:], strict=False)
        if other[0] > one[1]
    ]
    return [layer("bands", "not driven", "line", gaps)] if gaps else []


def _bars(found: Sequence[Span], places: Sequence[int], at: Any) -> list[dict[str, Any]]:
    layers: list[dict[str, Any]] = []
    for sort, colour in _SORTS.items():
        data = [
            (at(span.begin), at(span.end), lane, span.trial, _said(span))
            for span, lane in zip(found, places, strict=True)
            if (span.sort if span.sort in _SORTS else "running") == sort
        ]
        if data:
            layers.append(layer("bars", sort, colour, data))
    return layers


def _said(span: Span) -> tuple[str, str]:
    """Beside the pointer: which attempt, how long, and how it ended."""
    words = f" ({one_line(span.words, 120)})" if span.words and span.sort == "tried again" else ""
    return f"attempt {span.attempt}", elapsed((span.end - span.begin) / 1000) + words
