"""Commands that keep: stop, notes and tags, MLflow, export, delete."""

from __future__ import annotations

from typing import Annotated

import typer

from raysearch.cli.address import at_address
from raysearch.cli.options import (
    RUNS,
    Name,
    Names,
    Runs,
    StoreUrl,
    Tracking,
    app,
    plainly,
    view_of,
)
from raysearch.passwords import hidden
from raysearch.settings import Settings
from raysearch.terminal import say


@app.command()
@at_address
def stop(
    name: Name,
    trial: Annotated[int | None, typer.Option(help="Only this trial.")] = None,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Ask the driver of a search to end it in order, or to end one trial."""
    from raysearch import verbs

    with plainly():
        verbs.request_stop(*view_of(name, runs, store), trial, Settings.locate(runs, store))
    what = "search" if trial is None else f"trial {trial} of"
    say(f"asked the driver to end {what} {name}")


@app.command()
def sync(
    name: Name,
    track: Annotated[
        str | None, typer.Option(help="These trackers alone: mlflow,tensorboard; default its own.")
    ] = None,
    tracking_uri: Tracking = None,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Write to MLflow, and to the other trackers of a search, what they have missed."""
    from raysearch import verbs
    from raysearch.tracking.registry import tracked
    from raysearch.tracking.tracker import aside_sentences

    aside: dict[str, list[str]] = {}
    with plainly():
        settings = Settings.locate(runs, store, tracking_uri)
        written = verbs.sync(name, settings, aside, track)
    spec = view_of(name, runs, store)[1].spec
    names = track or tracked(spec)
    where = hidden(settings.tracking_of(spec).tracking_uri) if names == "mlflow" else names
    say(f"{written} events written to {where}")
    if aside:
        say(aside_sentences(aside))


@app.command()
def note(
    names: Names,
    text: Annotated[str, typer.Option("--text", "-m", help="The note; it replaces the old one.")],
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Write a note to searches, also to many at once; MLflow shows it on their page."""
    from raysearch import verbs
    from raysearch.cli import show_verbs

    with plainly():
        show_verbs.show_said(verbs.note(names, text, Settings.locate(runs, store)))


@app.command()
def tag(
    names: Annotated[list[str] | None, typer.Argument(help="Names of searches.")] = None,
    put: Annotated[
        list[str] | None, typer.Option("--set", "-t", help="A tag: name=value; again for more.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", help="The name of a tag to take off.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="The group they belong to.")] = None,
    of_group: Annotated[
        str | None, typer.Option(help="All searches of this group, in place of names.")
    ] = None,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Set or remove tags of searches, also of many at once or of a whole group, or their group."""
    from raysearch import verbs
    from raysearch.cli import show_verbs

    with plainly():
        tags = verbs.parse_tags(put or [], remove or [])
        settings = Settings.locate(runs, store)
        chosen = verbs.named(names or [], of_group, settings)
        show_verbs.show_said(verbs.tag(chosen, tags, group, settings))


@app.command()
def rename(
    name: Name,
    new: Annotated[str, typer.Argument(help="Its new name.")],
    tracking_uri: Tracking = None,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Give a search that is not running another name: in store, folder and MLflow."""
    from raysearch import verbs

    with plainly():
        missing = verbs.rename(name, new, Settings.locate(runs, store, tracking_uri))
    say(f"{name} is {new} now" + (f"; MLflow does not have it yet: {missing}" if missing else ""))


@app.command()
def export(
    name: Name,
    optuna: Annotated[
        str, typer.Option("--optuna", help="An Optuna database: sqlite:///study.db.")
    ],
    study: Annotated[
        str | None, typer.Option(help="Name of the study; default the search.")
    ] = None,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Write a search as an Optuna study, for optuna-dashboard and Optuna's own plots."""
    from raysearch import verbs

    with plainly():
        number = verbs.export(name, optuna, study, Settings.locate(runs, store))
    shown = hidden(optuna)
    say(f"{number} trials written to {shown}; look at them by: optuna-dashboard {shown}")


@app.command()
def delete(
    names: Names,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    tracking_uri: Tracking = None,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Delete searches: events, folders with checkpoints, MLflow runs. It cannot be undone."""
    from raysearch.cli import show_verbs

    with plainly():
        settings = Settings.locate(runs, store, tracking_uri)
        show_verbs.delete(names, settings, ask=not yes)
