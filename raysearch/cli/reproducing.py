"""The command that runs a trial again from the code that was kept."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raysearch.cli.options import (
    FINISHED,
    INTERRUPTED,
    NOTHING_COMPLETED,
    RUNS,
    Json,
    Name,
    Runs,
    StoreUrl,
    app,
    plainly,
)
from raysearch.settings import Settings
from raysearch.terminal import print_json, say, show, table_of

if TYPE_CHECKING:
    from raysearch.provenance.reproduce import Reproduction


@app.command()
def repro(
    name: Name,
    trial: Annotated[int, typer.Argument(help="Number of a trial.")],
    here: Annotated[
        bool, typer.Option("--here", help="With the code that is here now, not the kept one.")
    ] = False,
    folder: Annotated[Path | None, typer.Option(help="Where to write; empty or new.")] = None,
    as_json: Json = False,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Run a trial again from the code that was kept, and say which numbers are equal."""
    from raysearch.provenance.reproduce import reproduce

    with plainly():
        settings = Settings.locate(runs, store)
        tell = partial(say, err=as_json)
        try:
            found = reproduce(name, trial, settings, folder, here=here, say=tell)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
    _show(found, as_json)
    raise typer.Exit(FINISHED if found.is_equal else NOTHING_COMPLETED)


def _show(found: Reproduction, as_json: bool) -> None:
    from raysearch.provenance.comparison import shortened

    if as_json:
        rows = [
            {"what": row.what, "verdict": row.verdict, "text": row.text, "decides": row.decides}
            for row in found.rows
        ]
        print_json(
            {
                "search": found.search,
                "trial": found.trial,
                "equal": found.is_equal,
                "error": found.error,
                "code": found.code,
                "folder": str(found.folder),
                "rows": rows,
            }
        )
        return
    table = table_of(["", "", ""], [(r.what, r.verdict, r.text) for r in shortened(found.rows)])
    table.show_header = False
    show(table)
    code = "the code that is here" if found.code is None else f"the kept code {found.code[:8]}"
    if found.error:
        say(f"failed     {found.error}")
    verdict = "all numbers are equal" if found.is_equal else "not all numbers are equal"
    say(f"trial {found.trial} of {found.search}, run again with {code}: {verdict}")
