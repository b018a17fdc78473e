"""Commands about data sets: what there is, getting one, checking them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raysearch.commands.options import FINISHED, NOTHING_COMPLETED, Json, app, plainly
from raysearch.declare.catalog import data_sets, find_data_set
from raysearch.declare.data_sets import facts
from raysearch.settings import EXPERIMENTS

group = typer.Typer(
    help="List the data sets, get one, check them.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(group, name="data")

Root = Annotated[
    Path | None,
    typer.Option("--root", help="Folder of data sets; default data. Runs read it by data.root."),
]
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@group.callback()
def list_sets(context: typer.Context, root: Root = None, as_json: Json = False) -> None:
    """List the data sets: what each is, licence, size, where it is looked for, if it is there."""
    if context.invoked_subcommand is not None:
        if root is not None or as_json:
            raise typer.BadParameter(f"--root and --json go behind {context.invoked_subcommand!r}")
        return
    with plainly():
        _show([facts(one, root) for one in data_sets(EXPERIMENTS).values()], as_json)


@group.command()
def get(
    name: Annotated[str, typer.Argument(help="Name of a data set.")],
    given: Annotated[
        Path | None,
        typer.Option("--from", help="A file of it, a folder with its files, or an archive."),
    ] = None,
    root: Root = None,
) -> None:
    """Get a data set from its home, resumed if it broke off, or from a file that is at hand."""
    with plainly():
        find_data_set(name, EXPERIMENTS).get(root, given, typer.echo)


@group.command()
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Names; default all there are.")] = None,
    root: Root = None,
) -> None:
    """Check that the bytes of data sets, and what was made of them, are what they should be."""
    with plainly():
        known = data_sets(EXPERIMENTS)
        named = [find_data_set(name, EXPERIMENTS) for name in names or []]
        there = [one for one in known.values() if one.looked_for(root) and not one.missing(root)]
        sets = named or there
        found = {one.name: one.check(root) for one in sets}
    if not found:
        typer.echo("no data set is there; `raysearch data` lists them")
    for name, wrong in found.items():
        typer.echo(f"{name}: {'right' if not wrong else '; '.join(wrong)}")
    raise typer.Exit(NOTHING_COMPLETED if any(found.values()) else FINISHED)


def _show(rows: list[dict[str, object]], as_json: bool) -> None:
    import json

    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        size = row["bytes"]
        missing, places = row["missing"], row["looked for"]
        typer.echo(f"{row['name']}: {row['what']}")
        typer.echo(f"  licence    {row['licence']}")
        typer.echo(f"  source     {row['source']}")
        if isinstance(size, int) and size:
            typer.echo(f"  size       {_in_words(size)}")
        if isinstance(places, list) and places:
            typer.echo(f"  looked for {', '.join(map(str, places))}")
            typer.echo(f"  there      {'yes' if missing is None else f'no: {missing}'}")


def _in_words(size: int) -> str:
    value, unit = float(size), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit else f"{size} bytes"
