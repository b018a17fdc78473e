"""Commands that bring something in from other tools: import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raysearch.cli.options import app, plainly
from raysearch.settings import Settings
from raysearch.terminal import say

if TYPE_CHECKING:
    from raysearch.imports import sweeps


@app.command("import")
def import_(
    file: Annotated[Path | None, typer.Argument(help="A W&B sweep, as YAML.")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH=VALUE]...", help="Values that are fixed on top."),
    ] = None,
    hydra: Annotated[
        str | None, typer.Option("--hydra", help="A multirun command line of Hydra, quoted.")
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(help="Whose configurations are meant, such as ssl.supervised.")
    ] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", help="name=path; an empty path leaves the name out."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Such as 'maximize val/accuracy'; default what is stated.")
    ] = None,
    config_dir: Annotated[
        Path | None, typer.Option(help="Where the groups of Hydra's glob() are.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The file to write; it must not exist.")] = None,
) -> None:
    """Write a sweep of W&B or Hydra as one of ours: readable Python, checked."""
    from raysearch.driver.plan import parse_overrides
    from raysearch.imports import sweeps

    given = list(overrides or [])
    if hydra is not None and file is not None:
        given, file = [str(file), *given], None  # there is no file: all of them are values
    with plainly():
        wanted = sweeps.Wanted(
            file=file,
            line=hydra,
            experiment=experiment,
            mapped=sweeps.parse_map(map_ or []),
            values=parse_overrides(given),
            metric=sweeps.parse_metric(metric) if metric else None,
            config_dir=config_dir,
            out=out,
        )
        found = sweeps.import_sweep(wanted, Settings.locate())
    _show(found)


def _show(found: sweeps.Imported) -> None:
    sweep, imported = found.sweep, found.imported
    points = "infinite" if imported.points is None else str(imported.points)
    say(f"written    {found.path}")
    metrics = ", ".join(f"{m.direction} {m.name}" for m in sweep.metrics)
    say(f"metric     {metrics}  (from {found.metric_from})")
    say(f"method     {sweep.sampler}, pruner {sweep.pruner}")
    seeds = f", each with {imported.repeats} seeds" if imported.repeats > 1 else ""
    say(f"points     {imported.tool} {points}, raysearch {found.count}{seeds}")
    for path, (chooser, having) in imported.conditions.items():
        say(f"condition  {path} only if {chooser} is {' or '.join(map(str, having))}")
    for note in imported.notes:
        say(f"note       {note}")
    say(f"look at it raysearch plan {sweep.reference}")
    say(f"run it     raysearch search {sweep.reference}")
