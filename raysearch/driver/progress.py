"""The live view of a search: a table that redraws on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from raysearch.errors import described
from raysearch.results.answer import fixed_lines, warning_lines
from raysearch.results.averaged import long_means
from raysearch.results.endings import lost
from raysearch.results.forecast import forecast, total_runs
from raysearch.results.headings import headings
from raysearch.results.layout import drawn, fitted, side_by_side
from raysearch.results.ranking import winner
from raysearch.results.tables import (
    TrialColumn,
    TrialRow,
    running_first,
    short_names,
    terminal_columns,
    trial_rows,
    with_interval,
)
from raysearch.results.view import SearchView, TrialView
from raysearch.terminal import letters, make_console, say
from raysearch.texts import CELL, decimals, one_line, shown, shown_value

_STYLES = {
    "running": "cyan",
    "starting": "dim cyan",
    "complete": "green",
    "pruned": "yellow",
    "failed": "red",
    "infeasible": "magenta",
    "duplicate": "dim",
    "known": "dim",
    "waiting": "dim",
}
_LINES = 24
"""Parameters in the table of the best trials."""
_LINE_EVERY = 10.0
_DRAW_EVERY = 0.5
_TICK_EVERY = 1.0


class Watch:
    """Shows a search while it runs; its `listen` is called by the driver after each event.

    On a terminal a line on top says what it does (`phase_of`) and for how long, by `clock` in
    seconds; it is drawn anew each second, also while there are no events.
    """

    def __init__(
        self,
        console: Console | None = None,
        rows: int = 12,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console or make_console()
        self._clock, self._begun = clock, clock()
        self._phase, self._since = phase_of(None), self._begun
        self._body: tuple[RenderableType, ...] = ()
        self._turn, self._ended = threading.RLock(), threading.Event()
        self._rows = rows
        self._live: Live | None = None
        self._told: set[int] = set()
        self._looked_at = -1
        self._drawn = 0.0
        self._view: SearchView | None = None
        self._is_broken = False
        self._doubted = False

    def __enter__(self) -> Watch:
        """Takes over the terminal, if there is one that can be drawn on."""
        with self._never_fatal():
            if self._console.is_terminal and not self._console.is_dumb_terminal:
                # Without rich's own thread, in which an error would be nobody's.
                self._live = Live(console=self._console, auto_refresh=False, transient=True)
                self._live.__enter__()
                self.tick()
                threading.Thread(target=self._tick_on, name="display", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Gives the terminal back."""
        self._ended.set()
        if self._live is not None:
            with self._turn, self._never_fatal():
                self._live.__exit__(kind, error, traceback)

    def tick(self) -> None:
        """Draws the line on top anew, above what was last drawn: it looks at no search."""
        with self._turn:
            if self._live is None or self._is_broken or self._ended.is_set():
                return
            with self._never_fatal():
                now = self._clock()
                text = f"{self._phase} for {rounded(now - self._since)}"
                if self._since > self._begun:
                    text += f", {rounded(now - self._begun)} in all"
                self._live.update(Group(letters(text, "dim"), *self._body), refresh=True)

    def _tick_on(self) -> None:
        while not self._ended.wait(_TICK_EVERY):
            self.tick()

    def listen(self, view: SearchView) -> None:
        """Draws at most twice a second; on a plain output each told trial has a line."""
        if not self._is_broken:
            with self._turn, self._never_fatal():
                self._listen(view)

    @contextmanager
    def _never_fatal(self) -> Generator[None]:
        """What goes wrong with the display is said once, and ends the display: not the search."""
        try:
            yield
        except Exception as error:  # whatever it is, hours of trials matter more
            with suppress(Exception):
                if self._live is not None:
                    self._live.stop()
            with suppress(Exception):
                if not self._is_broken:
                    say(f"the display ends, the search goes on: {described(error)}", err=True)
            self._is_broken = True

    def _listen(self, view: SearchView) -> None:
        first, self._view = self._view is None, view
        if first:
            for line in [*fixed_lines(view.spec), *warning_lines(view.spec)]:
                self._say(line)
            self._doubted = bool(view.spec.warnings)
        if not self._doubted and view.counts().get("complete"):
            self._doubted = True
            for said in long_means(view):
                self._say(f"warning    {said}")
        if self._live is None:
            self._lines(view, first)
            return
        now = self._clock()
        if now - self._drawn >= _DRAW_EVERY:
            self._drawn = now
            table = trials_table(view, self._rows, self._console.width)
            self._body, phase = (headline(view), table), phase_of(view)
            if phase != self._phase:
                self._phase, self._since = phase, now
            self.tick()

    def _lines(self, view: SearchView, first: bool) -> None:
        if view.told != self._looked_at:  # not at each of a million reports
            self._looked_at = view.told
            told = {n for n, trial in view.trials.items() if trial.ended and trial.state != "known"}
            new, self._told = sorted(told - self._told), told
            for number in [] if first else new:
                self._say(_line(view, view.trials[number]))
        now = self._clock()
        if now - self._drawn >= _LINE_EVERY:
            self._drawn = now
            self._say(headline(view))

    def _say(self, text: str | Text) -> None:
        """Writes a line, at words over several where a terminal is narrower."""
        line = letters(text) if isinstance(text, str) else text
        self._console.print(line, soft_wrap=not self._console.is_terminal)


def phase_of(view: SearchView | None) -> str:
    """What a search does: starts Ray (None: nothing is known of it yet), waits, runs, ends."""
    if view is None:
        return "starting Ray"
    doing = [trial.doing for trial in view.trials.values()]
    if "running" in doing:
        return "running"
    if "starting" in doing:
        return "starting trials"
    total = total_runs(view)
    if total is not None and view.done() >= total:
        return "evaluating the best, writing what is left"
    if view.spec.gpus:
        return "waiting for GPUs"
    return "waiting for CPUs" if doing else "starting the first trial"


def rounded(seconds: float) -> str:
    """A duration in one unit: `42 s` below two minutes, `12 min`, from two hours on `3.5 h`."""
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    if seconds < 119.5 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def headline(view: SearchView) -> Text:
    """`12/32 done, 2 running, 4 pruned, 0 failed, best 0.95 (trial 7), …, about 12 min left`."""
    counts = view.counts()
    total = total_runs(view)
    parts = [
        f"{view.done()}{f'/{total}' if total and total != view.done() else ''} done",
        *_going_on(view, counts.get("running", 0)),
        f"{counts.get('pruned', 0)} pruned",
        lost(counts),
    ]
    if counts.get("duplicate"):
        parts.append(f"{counts['duplicate']} duplicates answered")
    if counts.get("known"):
        parts.append(f"{counts['known']} known before")
    if view.ranking():
        best = view.ranking()[0]
        seeds = f", {best.of_seeds}" if best.seeds > 1 or best.others else ""
        parts.append(f"best {with_interval(best)} (trial {best.trial.number}{seeds})")
    ahead = forecast(view)
    if ahead.rate:
        parts.append(f"{ahead.rate * 60:.1f} trials/min")
    if ahead.used:
        parts.append(f"disk {size(ahead.used)}{_at_the_end(view, ahead.disk)}")
    if ahead.seconds is not None:
        parts.append(f"about {rounded(ahead.seconds)} left")
    return letters(f"{view.search}: " + ", ".join(parts), "bold")


def _going_on(view: SearchView, running: int) -> list[str]:
    """How many run, and how many of them have not said anything yet."""
    starting = sum(trial.doing == "starting" for trial in view.trials.values())
    return [f"{running - starting} running", *([f"{starting} starting"] if starting else [])]


def _at_the_end(view: SearchView, disk: int | None) -> str:
    """What checkpoints will take, or may take where there is a quota."""
    quota = view.spec.disk
    if quota is not None:
        return f" of {size(quota)}"
    return "" if disk is None else f", {size(disk)} at the end"


def trials_table(
    view: SearchView,
    rows: int,
    width: int | None = None,
    chosen: Sequence[TrialRow] | None = None,
    columns: Sequence[TrialColumn] | None = None,
) -> Table:
    """The running trials and the best of the others, with the parameters that vary.

    Where configurations were run again, the run that stands for one shows its mean ± half of the
    95 % interval, and over how many seeds. Number, state, objectives and fidelity are never cut;
    parameters that do not fit into `width` are dropped from the right, and counted. With `chosen`
    these rows, in their order; with `columns` those.
    """
    found = running_first(trial_rows(view)) if chosen is None else list(chosen)
    if chosen is None:
        running = sum(row.trial.state == "running" for row in found)
        found = found[: max(rows, running + 3)]
    table = fitted(terminal_columns(view) if columns is None else columns, found, width)
    return drawn(table, [_STYLES.get(row.trial.doing, "") for row in found])


def best_tables(view: SearchView, count: int, width: int | None = None) -> list[Table]:
    """The best configurations side by side, a line for each parameter, as tables of that width.

    With several objectives: of the Pareto front.
    """
    won = winner(view)
    best = won.front if won is not None and len(won.metrics) > 1 else view.ranking()
    stand = [TrialRow(each.trial, each) for each in best[:count]]
    columns = terminal_columns(view)[2:]
    left = len(columns) - _LINES
    columns = columns[:_LINES] if left > 0 else columns
    labels = headings([_label(column) for column in columns], 2 * CELL)
    said = [[column.cell(row) for column in columns] for row in stand]
    if left > 0:
        labels.append(f"… and {left} more: raysearch best")
        said = [[*cells, ""] for cells in said]
    heads = [f"trial {row.trial.number}" for row in stand]
    return side_by_side(labels, list(zip(heads, said, strict=True)), width)


def _label(column: TrialColumn) -> str:
    """Of a parameter the whole name, of all else its header."""
    return column.key if column.may_drop else column.header


def size(number: float) -> str:
    """Bytes as `312 kB` or `4.2 GB`, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"


def duration(seconds: float) -> str:
    """`1:02:03` or `2:03`."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _line(view: SearchView, trial: TrialView) -> str:
    value = f" {decimals(trial.values[0])}" if trial.values else ""
    why = f" ({one_line(trial.reason)})" if trial.reason else ""
    short = dict(zip(short_names(list(trial.params)), trial.params.values(), strict=True))
    return f"trial {trial.number} {trial.state}{value}{why}: {params_line(short)}"


def params_line(params: Mapping[str, Any], most: int = 24) -> str:
    """`lr=0.001, layers=2`; of very many the first, and how many more."""
    texts = [f"{shown(name)}={shown_value(value)}" for name, value in islice(params.items(), most)]
    more = f" and {len(params) - most} more" if len(params) > most else ""
    return ", ".join(texts) + more
