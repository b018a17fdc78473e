"""The help of the command line: its commands in panels, searching and looking first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from raysearch.cli.options import app
from raysearch.terminal import say
from raysearch.version import version

PANELS: Mapping[str, tuple[str, ...]] = {
    "Search": ("search", "resume", "extend", "retry", "stop", "spaces", "plan", "train"),
    "Look": (
        *("list", "status", "results", "best", "logs", "report", "ui"),
        *("compare", "diff", "scaling", "check"),
    ),
    "Keep": ("note", "tag", "rename", "export", "repro", "sync", "delete"),
    "Data and imports": ("import", "data"),
    "Cluster": ("submit", "serve"),
}
"""Panels from top to bottom, and their commands."""
_MORE = "More"
"""The panel of commands that are in none."""


def arrange(application: typer.Typer) -> None:
    """Gives each command its panel, and puts them into the order of `PANELS`."""
    panels = {name: panel for panel, names in PANELS.items() for name in names}
    places = {name: place for place, name in enumerate(panels)}

    def name_of(one: typer.models.CommandInfo | typer.models.TyperInfo) -> str:
        return str(one.name or getattr(one.callback, "__name__", "")).replace("_", "-")

    for one in (*application.registered_commands, *application.registered_groups):
        one.rich_help_panel = panels.get(name_of(one), _MORE)
    for listed in (application.registered_commands, application.registered_groups):
        listed.sort(key=lambda one: places.get(name_of(one), len(places)))


def _say_version(is_asked: bool) -> None:
    if is_asked:
        say(f"raysearch {version()}")
        raise typer.Exit


@app.callback()
def about(
    is_asked: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_say_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """Hyperparameter search for vision-representation research: declare, search, compare."""
