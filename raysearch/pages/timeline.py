"""The timeline of a search: which trial ran where and when, its attempts and how they ended."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from raysearch.pages.chart import Chart, axis, layer, word
from raysearch.pages.objectives import drawn
from raysearch.pages.words import elapsed, listed
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


UNKNOWN = "unknown"
"""What the machine of an attempt is called that does not say where it ran."""
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Span:
    """An attempt at a trial: from when to when (ms since 1970), how it ended and in which words.

    `nodes` are the host names of its machines, of several workers perhaps several; none where the
    search does not say.
    """

    trial: int
    attempt: int
    begin: int
    end: int
    sort: str
    words: str
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bar:
    """An attempt on one of its machines, in a lane of the chart."""

    span: Span
    lane: int


def spans(view: SearchView) -> list[Span]:
    """All attempts, by their beginning; one that a kill ended ends with the driver's last event."""
    found = [span for trial in drawn(view) for span in _of(trial, view)]
    return sorted(found, key=lambda span: (span.begin, span.trial, span.attempt))


def _of(trial: TrialView, view: SearchView) -> Iterator[Span]:
    failed = {failure["attempt"]: failure for failure in trial.failures}
    last = len(trial.attempts) - 1
    for place, attempt in enumerate(trial.attempts):
        begin, number = int(attempt["time"]), int(attempt["attempt"])
        failure, nodes = failed.get(number), tuple(attempt.get("nodes", ()))
        driven = next((e for b, e in view.driven.spans if b <= begin <= e), begin)
        if place < last or trial.ended is None and failure is not None:
            ahead = int(trial.attempts[place + 1]["time"]) if place < last else driven
            end = int(failure["time"]) if failure is not None else min(driven, ahead)
            said = f"{failure['kind']}: {failure['message']}" if failure else "its driver ended"
            yield Span(trial.number, number, begin, max(begin, end), "tried again", said, nodes)
        elif trial.ended is not None:
            sort = "completed" if trial.state == "complete" else trial.state
            yield Span(trial.number, number, begin, trial.ended, sort, trial.reason, nodes)
        else:
            yield Span(trial.number, number, begin, max(begin, driven), "running", "", nodes)


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


def machines(found: Iterable[Span]) -> list[str]:
    """The machines of attempts, `node2` before `node10`; last that of those that do not say."""
    names = {name for span in found for name in span.nodes}
    parts = {name: _DIGITS.split(name) for name in names}
    known = sorted(
        names, key=lambda name: [(int(p), "") if p.isdigit() else (-1, p) for p in parts[name]]
    )
    return [*known, *([UNKNOWN] if any(not span.nodes for span in found) else [])]


def placed(found: Sequence[Span]) -> tuple[list[Bar], list[tuple[str, int]]]:
    """A bar for each attempt on each of its machines; and the lanes: their machine, their slot.

    The lanes of a machine stand together, as many as attempts ran there at a time.
    """
    bars: list[Bar] = []
    names: list[tuple[str, int]] = []
    for machine in machines(found):
        own = [span for span in found if machine in (span.nodes or (UNKNOWN,))]
        places = lanes(own)
        bars += [Bar(span, len(names) + at) for span, at in zip(own, places, strict=True)]
        names += [(machine, slot + 1) for slot in range(max(places) + 1)]
    return bars, names


def timeline_chart(view: SearchView) -> Chart | str:
    """The attempts in lanes by machine, one for each that runs there at a time.

    A sentence if there is none.
    """
    every = spans(view)
    if not every or view.created is None:
        return "No trial has begun: there is no timeline yet."
    found = every[-MOST:]
    (bars, names), origin = placed(found), view.created
    last = max([*(span.end for span in found), view.driven.until or 0])
    unit, size = unit_of((last - origin) / 1000)

    def at(moment: int) -> float:
        return (moment - origin) / 1000 / size

    first = at(found[0].begin) if len(found) < len(every) else 0.0
    several = len({machine for machine, _ in names}) > 1
    choices = [word(f"{machine} · {slot}" if several else slot) for machine, slot in names]
    spec = {
        "kind": "plot",
        "x": axis(f"{unit} since it began", first, max(at(last), first + 1e-3)),
        "y": axis("machine · slot" if several else "slot", 0, len(names) - 1, kind="choice",
                  choices=choices),
        "layers": [*_pauses(view, at), *_parts(names), *_bars(bars, at)],
    }  # fmt: skip
    attempts = plural(len(found), "attempt")
    alt = f"{attempts} at {plural(len({s.trial for s in found}), 'trial')} in "
    alt += f"{plural(len(names), 'slot')} over {elapsed((last - origin) / 1000)}"
    return Chart("timeline", spec, f"{alt}.", _caption(view, found, every))


def _caption(view: SearchView, found: Sequence[Span], every: Sequence[Span]) -> str:
    known = [name for name in machines(found) if name != UNKNOWN]
    of_it = " of its machine" if len(known) > 1 else ""
    caption = "A bar is an attempt at a trial, from its start to its end, in the first slot"
    caption += f"{of_it} that was free then; its colour is how it ended."
    if not known:
        caption += " On which machines they ran was not written down."
    elif len(known) == 1 and all(span.nodes for span in found):
        caption += f" All ran on {word(known[0])}."
    again = sum(span.sort == "tried again" for span in found)
    if again:
        caption += f" {plural(again, 'attempt was', 'attempts were')} followed by another one."
    if len(view.driven.spans) > 1:
        caption += " Nobody drove the search where the ground is grey."
    if len(found) < len(every):
        caption += f" The last {MOST:,} of {len(every):,} attempts are drawn."
    return caption


def unit_of(seconds: float) -> tuple[str, float]:
    """The unit in which so long a time is shown, and how many seconds it has."""
    return next(((name, size) for over, name, size in _UNITS if seconds > over), ("seconds", 1.0))


def _pauses(view: SearchView, at: Any) -> list[dict[str, Any]]:
    driven = view.driven.spans
    gaps = [
        (at(one[1]), at(other[0]))
        for one, other in zip(driven, driven[1:], strict=False)
        if other[0] > one[1]
    ]
    return [layer("bands", "not driven", "line", gaps)] if gaps else []


def _parts(names: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    """Lines between the machines."""
    data = [at - 0.5 for at in range(1, len(names)) if names[at][0] != names[at - 1][0]]
    return [layer("parts", "", "line", data)] if data else []


def _bars(bars: Sequence[Bar], at: Any) -> list[dict[str, Any]]:
    layers: list[dict[str, Any]] = []
    for sort, colour in _SORTS.items():
        data = [
            (at(bar.span.begin), at(bar.span.end), bar.lane, bar.span.trial, _said(bar.span))
            for bar in bars
            if (bar.span.sort if bar.span.sort in _SORTS else "running") == sort
        ]
        if data:
            layers.append(layer("bars", sort, colour, data))
    return layers


def _said(span: Span) -> tuple[str, str]:
    """Beside the pointer: which attempt, how long, and how it ended."""
    words = f" ({one_line(span.words, 120)})" if span.words and span.sort == "tried again" else ""
    where = f" on {one_line(listed(span.nodes, 4), 120)}" if span.nodes else ""
    return f"attempt {span.attempt}", elapsed((span.end - span.begin) / 1000) + where + words
