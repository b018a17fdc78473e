"""Commands that look: what is declared, how searches are, what they found."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from raysearch.cli.address import at_address, with_address
from raysearch.cli.forms import Csv, Latex, Markdown, form_of
from raysearch.cli.options import (
    RUNS,
    Json,
    Name,
    Names,
    Overrides,
    Runs,
    StoreUrl,
    Tracking,
    app,
    plainly,
    view_of,
)
from raysearch.settings import Settings
from raysearch.terminal import say

Opened = Annotated[bool, typer.Option("--open", help="Open it in your browser.")]


@app.command()
def spaces(as_json: Json = False) -> None:
    """List the declared sweeps: how many points, the metric, the question."""
    from raysearch.cli.spaces import show_spaces

    with plainly():
        show_spaces(as_json)


@app.command()
def plan(
    space: Annotated[str, typer.Argument(help="A sweep: its name, or module:attribute.")],
    overrides: Overrides = None,
    rows: Annotated[int, typer.Option(help="How many configurations to show.")] = 5,
    trials: Annotated[int | None, typer.Option(help="For a search of so many trials.")] = None,
    repeats: Annotated[int | None, typer.Option(help="With so many seeds.")] = None,
    of: Annotated[str | None, typer.Option(help="Evaluating trials of this search.")] = None,
    top: Annotated[int | None, typer.Option(help="Only so many of the best of them.")] = None,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Show what a search would run, without a trial: exact count, configurations, forecast."""
    from raysearch.cli import show
    from raysearch.driver.plan import Request, parse_overrides

    with plainly():
        values = parse_overrides(overrides or [])
        request = Request(space, values, trials=trials, repeats=repeats, of=of, top=top)
        show.show_plan(request, Settings.locate(runs, store), rows)


@app.command("list")
@at_address
def list_searches(
    group: Annotated[str | None, typer.Option(help="Only searches of this group.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="Only searches with this tag: name=value, or name.")
    ] = None,
    note: Annotated[
        str | None, typer.Option(help="Only searches with this in name, question or notes.")
    ] = None,
    as_json: Json = False,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """List the searches: state, trials, best; those of a group, with a tag, with a word."""
    from raysearch.cli.show_list import show_list
    from raysearch.verbs import Filter

    with plainly():
        chosen = Filter.read(group, tag or [], note)
        show_list(Settings.locate(runs, store), chosen, as_json)


@app.command()
@at_address
def status(name: Name, as_json: Json = False, store: StoreUrl = None, runs: Runs = RUNS) -> None:
    """Show how far a search is, and its trials."""
    from raysearch.cli import show

    with plainly():
        settings = Settings.locate(runs, store)
        show.show_status(view_of(name, runs, store)[1], settings, as_json=as_json)


@app.command()
@at_address
def results(
    name: Name,
    where: Annotated[
        str | None, typer.Option(help="Only trials that fit: \"optimizer.kind == 'adamw'\".")
    ] = None,
    sort: Annotated[
        str | None, typer.Option(help="By which column, a minus before it for falling: -seconds.")
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(help="Count, mean and best mean for each value of one column; --sort: -best."),
    ] = None,
    csv: Csv = False,
    latex: Latex = False,
    markdown: Markdown = False,
    as_json: Json = False,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Show all trials, best first, with the parameters that vary; or those that are chosen."""
    from raysearch.cli.show_results import show_results
    from raysearch.results.selection import Chosen

    with plainly():
        form = form_of(as_json=as_json, csv=csv, latex=latex, markdown=markdown)
        show_results(view_of(name, runs, store)[1], Chosen(where, sort, group_by), form)


@app.command()
@at_address
def best(name: Name, as_json: Json = False, store: StoreUrl = None, runs: Runs = RUNS) -> None:
    """Show the best trial: its configuration as JSON, and its checkpoint."""
    from raysearch.cli import show

    with plainly():
        settings = Settings.locate(runs, store)
        show.show_best(view_of(name, runs, store)[1], settings.folder(name), as_json=as_json)


@app.command()
@at_address
def logs(
    name: Name,
    trial: Annotated[int, typer.Argument(help="Number of a trial.")],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the trial ends, or Ctrl-C.")
    ] = False,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Show the logs of all attempts at a trial, with tracebacks."""
    from raysearch.cli import logs, show

    with plainly():
        settings = Settings.locate(runs, store)
        if follow:
            logs.follow_logs(name, trial, settings)
            return
        show.show_logs(view_of(name, runs, store)[1], settings.folder(name), trial)


@app.command()
@at_address
def check(
    name: Name,
    as_json: Json = False,
    tracking_uri: Tracking = None,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Compare events, Optuna study, MLflow and folders of a search, trial by trial."""
    from raysearch import verbs
    from raysearch.cli import show

    with plainly():
        settings = Settings.locate(runs, store, tracking_uri)
        store_, _ = verbs.salvaged_of(name, settings)
        damaged = show.show_check(store_, name, settings, as_json=as_json)
    raise typer.Exit(1 if damaged else 0)


@app.command()
def ui(
    name: Annotated[str | None, typer.Argument(help="Open the page of this search.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port on this machine; default 5000, or a free one.")
    ] = None,
    tracking_uri: Tracking = None,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Serve MLflow's page on this machine until Ctrl-C, and print the link of a search."""
    from raysearch.cli.page_server import serve_ui

    with plainly():
        serve_ui(Settings.locate(runs, store, tracking_uri), name, port)


@app.command()
def compare(
    names: Names,
    csv: Csv = False,
    latex: Latex = False,
    markdown: Markdown = False,
    as_json: Json = False,
    as_html: Annotated[
        bool, typer.Option("--html", help="Write one page: the best so far, curves overlaid.")
    ] = False,
    opened: Opened = False,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Compare searches: their winners, how sure they are, what they cost, how they differ."""
    from raysearch import verbs
    from raysearch.cli import show_verbs

    with plainly():
        settings = Settings.locate(runs, store)
        form = form_of(as_json=as_json, csv=csv, latex=latex, markdown=markdown)
        if not (as_html or opened):
            show_verbs.show_comparison(names, settings, form)
            return
        show_verbs.check_page(form)
        _show_page(verbs.comparison(names, settings), opened)


def _fetch_report(address: str, context: typer.Context) -> None:
    from raysearch.server.remote import Remote

    name = str(context.params["name"])
    folder = Settings.locate().folder(name) / "report"
    page = Remote(address).report(name, folder, context.params.get("by"))
    _show_page(page, bool(context.params.get("opened")))


def _show_page(page: Path, opened: bool) -> None:
    """Says where a page lies, and opens it in the reader's browser if that was asked for."""
    say(page)
    if opened and not webbrowser.open(page.absolute().as_uri()):
        say("no browser could be opened here: open the file above in one", err=True)


@app.command()
@with_address(_fetch_report)
def report(
    name: Name,
    by: Annotated[
        str | None, typer.Option(help="Draw the objective by a setting too, or by two: a,b.")
    ] = None,
    opened: Opened = False,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Write the report of a search, one HTML page; it is put into MLflow too."""
    from raysearch import verbs

    with plainly():
        page, missing = verbs.report(name, Settings.locate(runs, store), by)
    _show_page(page, opened)
    if missing:
        say(f"missing    MLflow does not have it yet: {missing}")
