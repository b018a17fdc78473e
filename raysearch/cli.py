"""The commands; no logic. Heavy imports happen inside the command that needs them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from raysearch.settings import Settings

if TYPE_CHECKING:
    from raysearch.record.events import Store
    from raysearch.record.results import SearchView
    from raysearch.search import Outcome

app = typer.Typer(
    name="raysearch",
    help="Hyperparameter search for vision-representation research: declare, search, compare.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FINISHED, NOTHING_COMPLETED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

Runs = Annotated[Path, typer.Option("--runs", help="Folder in which everything lies.")]
StoreUrl = Annotated[
    str | None, typer.Option("--store", help="Database of the events; default runs/raysearch.db.")
]
Tracking = Annotated[
    str | None, typer.Option("--tracking-uri", help="MLflow; default sqlite in runs/mlflow.db.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="Name of a search.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PATH=VALUE]...", help="Values; one given to a sampled name fixes it."),
]
RUNS = Path("runs")


@contextmanager
def _plainly() -> Generator[None]:
    """Bad input is one sentence on standard error and exit status 2, never a traceback."""
    try:
        yield
    except (LookupError, ValueError) as error:
        text = str(error.args[0]) if error.args else str(error)
        print(f"error: {text}", file=sys.stderr)
        raise typer.Exit(BAD_INPUT) from None


@app.command()
def spaces(as_json: Json = False) -> None:
    """List the declared sweeps: how many points, the metric, the question."""
    from raysearch import front

    with _plainly():
        front.show_spaces(as_json)


@app.command()
def plan(
    space: Annotated[str, typer.Argument(help="A sweep: its name, or module:attribute.")],
    overrides: Overrides = None,
    rows: Annotated[int, typer.Option(help="How many configurations to show.")] = 5,
) -> None:
    """Show what a search would run, without a trial: exact count, conditions, configurations."""
    from raysearch import front

    with _plainly():
        front.show_plan(space, overrides or [], rows)


@app.command()
def search(
    space: Annotated[str, typer.Argument(help="A sweep: its name, or module:attribute.")],
    overrides: Overrides = None,
    trials: Annotated[int | None, typer.Option(help="How many trials at most.")] = None,
    time: Annotated[str | None, typer.Option(help="How long at most: 90s, 15m, 2h.")] = None,
    sampler: Annotated[str | None, typer.Option(help="random, tpe or grid.")] = None,
    pruner: Annotated[
        str | None, typer.Option(help="none, median or hyperband, as median:warmup=2.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the search.")] = 0,
    concurrent: Annotated[int | None, typer.Option(help="Trials at once.")] = None,
    memory: Annotated[str | None, typer.Option(help="Memory a trial: 800M, 2G.")] = None,
    name: Annotated[str | None, typer.Option(help="Name; default the sweep and a number.")] = None,
    tracking_uri: Tracking = None,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Run a search and print its answer."""
    from raysearch.plan import Request, parse_memory, parse_overrides, parse_time

    with _plainly():
        request = Request(
            space=space,
            overrides=parse_overrides(overrides or []),
            trials=trials,
            time=parse_time(time) if time else None,
            sampler=sampler,
            pruner=pruner,
            seed=seed,
            concurrent=concurrent,
            memory=parse_memory(memory) if memory else None,
            name=name,
        )
        settings = Settings.locate(runs, store, tracking_uri)

        def begin(listener: Callable[[SearchView], None]) -> Outcome:
            from raysearch.search import start

            return start(request, settings, listener)

        status = _drive(begin, settings)
    raise typer.Exit(status)


@app.command()
def resume(
    name: Name,
    accept_changes: Annotated[
        bool, typer.Option(help="Go on although the sweep or the defaults changed.")
    ] = False,
    tracking_uri: Tracking = None,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Go on with a search that was killed, interrupted or stopped; nothing is run twice."""
    settings = Settings.locate(runs, store, tracking_uri)

    def go_on(listener: Callable[[SearchView], None]) -> Outcome:
        from raysearch.search import resume as go

        return go(name, settings, listener, accept_changes=accept_changes)

    with _plainly():
        _view(name, runs, store)
        status = _drive(go_on, settings)
    raise typer.Exit(status)


def _drive(begin: Callable[[Callable[[SearchView], None]], Outcome], settings: Settings) -> int:
    from raysearch import front
    from raysearch.watch import Watch

    with Watch() as watch:
        outcome = begin(watch.listen)
    front.show_answer(outcome, settings)
    if outcome.state == "interrupted":
        return INTERRUPTED
    return FINISHED if outcome.view.best() is not None else NOTHING_COMPLETED


@app.command()
def train(
    experiment: Annotated[str, typer.Argument(help="An experiment, such as ssl.supervised.")],
    overrides: Overrides = None,
    folder: Annotated[Path | None, typer.Option(help="Where to write.")] = None,
    runs: Runs = RUNS,
) -> None:
    """Train one configuration here, without a search."""
    from raysearch import single

    with _plainly():
        single.train(experiment, overrides or [], folder, runs)


@app.command("list")
def list_searches(as_json: Json = False, store: StoreUrl = None, runs: Runs = RUNS) -> None:
    """List the searches: state, trials, best."""
    from raysearch import front

    with _plainly():
        front.show_list(Settings.locate(runs, store), as_json)


@app.command()
def status(name: Name, as_json: Json = False, store: StoreUrl = None, runs: Runs = RUNS) -> None:
    """Show how far a search is, and its trials."""
    from raysearch import front

    with _plainly():
        settings = Settings.locate(runs, store)
        front.show_status(_view(name, runs, store)[1], settings, as_json=as_json)


@app.command()
def results(
    name: Name,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Json = False,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Show all trials, best first, with the parameters that vary."""
    from raysearch import front

    with _plainly():
        front.show_results(_view(name, runs, store)[1], csv=csv, as_json=as_json)


@app.command()
def best(name: Name, as_json: Json = False, store: StoreUrl = None, runs: Runs = RUNS) -> None:
    """Show the best trial: its configuration as JSON, and its checkpoint."""
    from raysearch import front

    with _plainly():
        settings = Settings.locate(runs, store)
        front.show_best(_view(name, runs, store)[1], settings.folder(name), as_json=as_json)


@app.command()
def logs(
    name: Name,
    trial: Annotated[int, typer.Argument(help="Number of a trial.")],
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Show the logs of all attempts at a trial, with tracebacks."""
    from raysearch import front

    with _plainly():
        settings = Settings.locate(runs, store)
        front.show_logs(_view(name, runs, store)[1], settings.folder(name), trial)


@app.command()
def stop(
    name: Name,
    trial: Annotated[int | None, typer.Option(help="Only this trial.")] = None,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Ask the driver of a search to end it in order, or to end one trial."""
    from raysearch import front

    with _plainly():
        front.request_stop(*_view(name, runs, store), trial=trial, folder=runs.absolute() / name)


@app.command()
def sync(
    name: Name, tracking_uri: Tracking = None, store: StoreUrl = None, runs: Runs = RUNS
) -> None:
    """Write to MLflow what it has missed."""
    from raysearch import front

    with _plainly():
        settings = Settings.locate(runs, store, tracking_uri)
        front.sync_tracking(_view(name, runs, store)[0], name, settings)


@app.command()
def ui(
    name: Annotated[str | None, typer.Argument(help="Open the page of this search.")] = None,
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 5000,
    tracking_uri: Tracking = None,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Serve the MLflow page on this machine and print the link of a search."""
    from raysearch import front

    with _plainly():
        front.serve_ui(Settings.locate(runs, store, tracking_uri), name, port)


@app.command()
def check(
    name: Name, tracking_uri: Tracking = None, store: StoreUrl = None, runs: Runs = RUNS
) -> None:
    """Compare events, Optuna study, MLflow and folders of a search, trial by trial."""
    from raysearch import front

    with _plainly():
        settings = Settings.locate(runs, store, tracking_uri)
        store_, _ = _view(name, runs, store)
        damaged = front.show_check(store_, name, settings)
    raise typer.Exit(1 if damaged else 0)


def _view(name: str, runs: Path, store: str | None) -> tuple[Store, SearchView]:
    """The store and the view of an existing search; creates nothing."""
    from raysearch import front

    return front.open_search(name, Settings.locate(runs, store))


def main(arguments: list[str] | None = None) -> Any:
    """The `raysearch` command."""
    return app(arguments)


if __name__ == "__main__":
    main()
