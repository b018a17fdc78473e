"""The command that says how an error falls with a setting."""

from __future__ import annotations

from typing import Annotated

import typer

from raysearch.cli.address import at_address
from raysearch.cli.options import RUNS, Json, Name, Runs, StoreUrl, app, plainly
from raysearch.settings import Settings


@app.command()
@at_address
def scaling(
    name: Name,
    setting: Annotated[
        str, typer.Argument(help="A setting such as data.limit, or a fact such as parameters.")
    ],
    metric: Annotated[
        str | None, typer.Argument(help="A metric; default the first objective.")
    ] = None,
    top: Annotated[
        float | None, typer.Option(help="The error is how far it is below: 1 of an accuracy.")
    ] = None,
    as_json: Json = False,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Fit a power law to an error over the trials of a search, with intervals."""
    from raysearch.cli.show_scaling import show_scaling

    with plainly():
        settings = Settings.locate(runs, store)
        show_scaling(name, setting, metric, settings, top=top, as_json=as_json)
