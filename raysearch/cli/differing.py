"""The command that lays two trials beside each other: diff."""

from __future__ import annotations

from typing import Annotated

import typer

from raysearch.cli.address import at_address
from raysearch.cli.options import RUNS, Json, Runs, StoreUrl, app, plainly
from raysearch.results.layout import side_by_side
from raysearch.settings import Settings
from raysearch.terminal import make_console, print_json, say, show

Trial = Annotated[str, typer.Argument(metavar="SEARCH/TRIAL", help="A trial: digits-1/3.")]


@app.command()
@at_address
def diff(
    first: Trial,
    second: Annotated[
        str, typer.Argument(metavar="[SEARCH/]TRIAL", help="Another, also of another search.")
    ],
    as_json: Json = False,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Compare two trials, also of two searches: configurations, code, results."""
    from raysearch.provenance import trial_difference as trials
    from raysearch.results.layout import records

    with plainly():
        one = trials.NamedTrial.read(first)
        other = trials.NamedTrial.read(second, one.search)
        found = trials.compare_trials(one, other, Settings.locate(runs, store))
    if as_json:
        print_json(records(trials.columns(one, other), found))
        return
    say(trials.in_words(found))
    cells = trials.columns(one, other)[1:]
    for part in dict.fromkeys(row.part for row in found):
        rows, left = trials.telling((row for row in found if row.part == part), one, other)
        names = [cells[0].cell(each) for each in rows]
        shown = [
            (column.header, [column.cell(each) for each in rows])
            for column in cells[1:]
            if any(map(column.cell, rows))
        ]
        say()
        say(part)
        for table in side_by_side(names, shown, make_console().width, is_one=True) if rows else ():
            show(table)
        for line in left:
            say(line)
