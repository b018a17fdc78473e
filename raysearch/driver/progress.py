"""The live view of a search: a table that redraws on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import accumulate, islice
from types import TracebackType
from typing import Any

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from raysearch.errors import described
from raysearch.results.answer import fixed_lines, warning_lines
from raysearch.results.averaged import long_means
from raysearch.results.endings import lost
from raysearch.results.forecast import expected_runs, forecast
from raysearch.results.ranking import Rank, has_repeats, winner
from raysearch.results.view import SearchView, TrialView
from raysearch.terminal import letters, make_console, say, table_of
from raysearch.texts import CELL, decimals, one_line, shown

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
_VAGUE = ("kind", "name")
"""Last parts of names that say nothing by themselves."""
_LINES = 24
"""Parameters in the table of the best trials."""
_LINE_EVERY = 10.0
_DRAW_EVERY = 0.5


class Watch:
    """Shows a search while it runs; its `listen` is called by the driver after each event."""

    def __init__(self, console: Console | None = None, rows: int = 12) -> None:
        self._console = console or make_console()
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
                # Without a thread of its own, in which an error would be nobody's.
                self._live = Live(console=self._console, auto_refresh=False, transient=True)
                self._live.__enter__()
                self._live.update(Text("starting …"), refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Gives the terminal back."""
        if self._live is not None:
            with self._never_fatal():
                self._live.__exit__(kind, error, traceback)

    def listen(self, view: SearchView) -> None:
        """Draws at most twice a second; on a plain output each told trial has a line."""
        if not self._is_broken:
            with self._never_fatal():
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
        now = time.monotonic()
        if now - self._drawn >= _DRAW_EVERY:
            self._drawn = now
            table = trials_table(view, self._rows, self._console.width)
            self._live.update(Group(headline(view), table), refresh=True)

    def _lines(self, view: SearchView, first: bool) -> None:
        if view.told != self._looked_at:  # not at each of a million reports
            self._looked_at = view.told
            told = {n for n, trial in view.trials.items() if trial.ended and trial.state != "known"}
            new, self._told = sorted(told - self._told), told
            for number in [] if first else new:
                self._say(_line(view, view.trials[number]))
        now = time.monotonic()
        if now - self._drawn >= _LINE_EVERY:
            self._drawn = now
            self._say(headline(view))

    def _say(self, text: str | Text) -> None:
        self._console.print(letters(text) if isinstance(text, str) else text, soft_wrap=True)


def headline(view: SearchView) -> Text:
    """`12/32 done, 2 running, 4 pruned, 0 failed, best 0.95 (trial 7), 0.4 trials/s, ETA 0:50`."""
    counts = view.counts()
    total = expected_runs(view.spec)
    parts = [
        f"{view.done()}{f'/{total}' if total else ''} done",
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
        parts.append(f"best {_mean(best)[0]} (trial {best.trial.number}{seeds})")
    ahead = forecast(view)
    if ahead.rate:
        parts.append(f"{ahead.rate * 60:.1f} trials/min")
    if ahead.used:
        parts.append(f"disk {size(ahead.used)}{_at_the_end(view, ahead.disk)}")
    if ahead.seconds is not None:
        parts.append(f"ETA {duration(ahead.seconds)}")
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


def trials_table(view: SearchView, rows: int, width: int | None = None) -> Table:
    """The running trials and the best of the others, with the parameters that vary.

    Where configurations were run again, the run that stands for one shows its mean ± half of the
    95 % interval, and over how many seeds. Parameters that do not fit into `width` are counted.
    """
    names = view.varying()
    header = [shown(name) for name in (*labels(view), *short_names(names))]
    running = [trial for trial in view.trials.values() if trial.state == "running"]
    others = [trial for trial in view.ranked() if trial.state != "running"]
    stands, repeated = {each.trial.number: each for each in view.ranking()}, has_repeats(view)
    trials = [*running, *others[: max(rows - len(running), 3)]]
    found = [cells(view, t, names, stands.get(t.number), repeated=repeated) for t in trials]
    fit = _fitting([header, *found], len(header) - len(names), width)
    left = [f"… {len(header) - fit} more"] if fit < len(header) else []
    table = table_of([*header[:fit], *left], no_wrap=True)
    for trial, row in zip(trials, found, strict=True):
        table.add_row(*map(letters, row[:fit]), style=_STYLES.get(trial.doing, ""))
    return table


def _fitting(rows: Sequence[Sequence[str]], least: int, width: int | None) -> int:
    """How many columns of a table fit, with the count of the others; at least one parameter."""
    columns = len(rows[0])
    ends = list(accumulate(2 + max(cell_len(row[at]) for row in rows) for at in range(columns)))
    if width is None or ends[-1] - 2 <= width:
        return columns
    fit = sum(end + len("… 999 more") <= width for end in ends)
    return min(max(fit, least + 1), columns)


def labels(view: SearchView) -> list[str]:
    """What the columns of `cells` are, before the parameters."""
    metrics = [metric.name for metric in view.spec.metrics]
    means = ["mean" if len(metrics) == 1 else f"mean {name}" for name in metrics]
    repeated = [*means, "seeds"] if has_repeats(view) else []
    of = ["evaluates"] if view.spec.evaluates is not None else []
    return ["trial", "state", *of, *metrics, *repeated, view.spec.fidelity]


def cells(
    view: SearchView,
    trial: TrialView,
    names: list[str],
    rank: Rank | None,
    *,
    repeated: bool,
) -> list[str]:
    """Number, state, values, fidelity and the named parameters of a trial, as text.

    In a search that evaluates finished trials also which of them it is; if configurations were
    `repeated`, also means and seeds of that which the trial stands for.
    """
    values = trial.values or (trial.reports[-1][2] if trial.reports else None)
    fidelity = next(
        (report[1] for report in reversed(trial.reports) if report[1] is not None), None
    )
    count = len(view.spec.metrics)
    means: list[str] = []
    if repeated:
        means = [""] * (count + 1) if rank is None else [*_mean(rank), _seeds(rank)]
    of = [str((trial.evaluates or {}).get("trial", ""))] if view.spec.evaluates is not None else []
    return [
        str(trial.number),
        trial.doing,
        *of,
        *([decimals(value) for value in values] if values else [""] * count),
        *means,
        "" if fidelity is None else str(fidelity),
        *(shown(trial.params.get(name, "")) for name in names),
    ]


def _mean(rank: Rank) -> list[str]:
    """`0.9823 ± 0.0072` for each objective; without an interval the mean alone."""
    return [
        f"{decimals(found.mean)}" + (f" ± {decimals(found.half)}" if found.count > 1 else "")
        for found in rank.intervals
    ]


def _seeds(rank: Rank) -> str:
    outcomes = {"complete": rank.complete, **rank.others}
    return seeds_in_words(outcomes, is_suspicious=bool(rank.suspicion))


def seeds_in_words(outcomes: Mapping[str, int], *, is_suspicious: bool) -> str:
    """`3`, or `3: 1 complete, 2 diverged`, or `3: suspicious, identical results`."""
    text = str(sum(outcomes.values()))
    if len(outcomes) > 1:
        text += f": {', '.join(f'{count} {what}' for what, count in outcomes.items())}"
    return f"{text}: suspicious, identical results" if is_suspicious else text


def best_table(view: SearchView, count: int) -> Table:
    """The best configurations side by side, a row for each parameter: fits 80 columns.

    With several objectives: of the Pareto front.
    """
    won, names, repeated = winner(view), view.varying(), has_repeats(view)
    best = won.front if won is not None and len(won.metrics) > 1 else view.ranking()
    columns = [cells(view, each.trial, names, each, repeated=repeated) for each in best[:count]]
    every = list(enumerate([*labels(view), *names]))[2:]
    rows = [[shown(label, 2 * CELL), *(each[at] for each in columns)] for at, label in every]
    if len(rows) > _LINES:
        rows = [*rows[:_LINES], [f"… and {len(rows) - _LINES} more: raysearch best", ""]]
    return table_of(["", *(f"trial {column[0]}" for column in columns)], rows, no_wrap=True)


def short_names(names: list[str]) -> list[str]:
    """The last parts of dotted names, as far as they differ."""
    last = [name.rpartition(".")[2] for name in names]
    return [
        name if last.count(short) > 1 or short in _VAGUE else short
        for short, name in zip(last, names, strict=True)
    ]


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
    texts = [f"{shown(name)}={shown(value)}" for name, value in islice(params.items(), most)]
    more = f" and {len(params) - most} more" if len(params) > most else ""
    return ", ".join(texts) + more
