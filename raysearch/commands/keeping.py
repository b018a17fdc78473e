"""Commands that keep: stop, notes and tags, MLflow, export, delete."""

from __future__ import annotations

from typing import Annotated

import typer

from raysearch.commands.options import (
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
from raysearch.settings import Settings


@app.command()
def stop(
    name: Name,
    trial: Annotated[int | None, typer.Option(help="Only this trial.")] = None,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Ask the driver of a search to end it in order, or to end one trial."""
    from raysearch import front

    with plainly():
        front.request_stop(*view_of(name, runs, store), trial=trial, folder=runs.absolute() / name)


@app.command()
def sync(
    name: Name, tracking_uri: Tracking = None, store: StoreUrl = None, runs: Runs = RUNS
) -> None:
    """Write to MLflow what it has missed."""
    from raysearch import front

    with plainly():
        settings = Settings.locate(runs, store, tracking_uri)
        front.sync_tracking(view_of(name, runs, store)[0], name, settings)


@app.command()
def note(
    names: Names,
    text: Annotated[str, typer.Option("--text", "-m", help="The note; it replaces the old one.")],
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Write a note to searches, also to many at once; MLflow shows it on their page."""
    from raysearch import front_verbs, verbs

    with plainly():
        front_verbs.show_said(verbs.note(names, text, Settings.locate(runs, store)))


@app.command()
def tag(
    names: Names,
    put: Annotated[
        list[str] | None, typer.Option("--set", "-t", help="A tag: name=value; again for more.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", help="The name of a tag to take off.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="The group they belong to.")] = None,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Set or remove tags of searches, also of many at once, or their group."""
    from raysearch import front_verbs, verbs

    with plainly():
        tags = verbs.parse_tags(put or [], remove or [])
        front_verbs.show_said(verbs.tag(names, tags, group, Settings.locate(runs, store)))


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
    print(f"{number} trials written to {optuna}; look at them by: optuna-dashboard {optuna}")


@app.command()
def delete(
    names: Names,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    tracking_uri: Tracking = None,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Delete searches: events, folders with checkpoints, MLflow runs. It cannot be undone."""
    from raysearch import front_verbs

    with plainly():
        settings = Settings.locate(runs, store, tracking_uri)
        front_verbs.delete(names, settings, ask=not yes)
