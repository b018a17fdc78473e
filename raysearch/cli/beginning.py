"""Commands that write files to begin with: new."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from raysearch.cli.options import app, plainly
from raysearch.terminal import say


class What(StrEnum):
    """What can be begun."""

    EXPERIMENT = "experiment"


@app.command()
def new(
    what: Annotated[What, typer.Argument(help="What is begun.")],
    name: Annotated[str, typer.Argument(help="Its name, that of a package such as shape_bias.")],
    folder: Annotated[
        Path | None, typer.Option(help="Where its package is written; default here.")
    ] = None,
) -> None:
    """Write an experiment of your own, with a sweep: it runs at once, and is there to be changed.

    Nothing is overwritten.
    """
    from raysearch.templates.writing import write_experiment

    with plainly():
        written = write_experiment(name, (folder or Path()).absolute())
    for file in written:
        say(f"wrote      {file}")
    say(f"run        raysearch search {name}.sweeps:first")
