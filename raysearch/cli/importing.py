"""Commands that bring something in: import, of sweeps of other tools, and init, of a script."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raysearch.cli.options import app, plainly
from raysearch.settings import Settings
from raysearch.terminal import say, say_wrapped

if TYPE_CHECKING:
    from raysearch.imports import first_sweep, sweeps

_INDENT = 11
"""Where what is said of a sweep begins, after its heading."""


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
    """Write a sweep of W&B or Hydra as one of ours: readable Python, checked.

    If it names a program, and no --experiment is given, what is written runs that program.
    """
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
        say_wrapped(f"note       {note}", _INDENT)
    say(f"look at it raysearch plan {sweep.reference}")
    say(f"run it     raysearch search {sweep.reference}")


@app.command()
def init(
    script: Annotated[Path, typer.Argument(help="A training script, which is read but not run.")],
    out: Annotated[Path, typer.Option(help="The file to write; it must not exist.")] = Path(
        "sweep.py"
    ),
) -> None:
    """Write a first sweep over a script of one's own: its settings, ranges and metric, to edit."""
    from raysearch.imports.first_sweep import init_sweep

    with plainly():
        found = init_sweep(script, out)
    _show_first(found, script)


def _show_first(found: first_sweep.FirstSweep, script: Path) -> None:
    sweep = found.sweep
    if found.style is None:
        say(
            f"{script.name} takes no settings that are known here (argparse, click, typer, Hydra, "
            f"constants): {found.path} is a template."
        )
    say(f"written    {found.path}")
    say(f"takes      {found.style or 'not understood'}")
    metrics = ", ".join(f"{m.direction} {m.name}" for m in sweep.metrics)
    say(f"metric     {metrics}  (from {found.metric_from})")
    for name, shown in found.searched.items():
        say(f"varies     {name}  {shown}")
    if found.left:
        say_wrapped(f"left       {', '.join(name for name, _ in found.left)}", _INDENT)
    for note in found.notes:
        say_wrapped(f"note       {note}", _INDENT)
    for each in found.to_do:
        say(f"first      {each}")
    say(f"look at it raysearch plan {sweep.reference}")
    say(f"run it     raysearch search {sweep.reference}")
