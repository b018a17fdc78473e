"""Commands that run: search, resume, extend, retry, train."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from raysearch.cli.address import declared
from raysearch.cli.options import (
    FINISHED,
    INTERRUPTED,
    NOTHING_COMPLETED,
    OUT_OF_BOX,
    RUNS,
    STOPPED_ITSELF,
    Address,
    Name,
    Overrides,
    Runs,
    StoreUrl,
    Tracking,
    app,
    plainly,
    view_of,
)
from raysearch.cli.programs import NAMES as PROGRAM
from raysearch.cli.programs import parameters, sweep_meant
from raysearch.errors import BadSetting
from raysearch.settings import Settings
from raysearch.terminal import say, say_block
from raysearch.texts import one_line

if TYPE_CHECKING:
    from raysearch.driver.driver import Outcome
    from raysearch.driver.plan import Request
    from raysearch.results.view import SearchView

_NO_OPTIONS = (
    *("space", "overrides", "tags", "address", "tracking_uri", "store", "runs"),
    *("notify", "notify_command"),
    *PROGRAM,
)
"""Parameters of `search` that are no options of a request."""
SweepName = Annotated[str | None, typer.Argument(help="A sweep: its name, or module:attribute.")]
Listener = Callable[["SearchView"], None]
AcceptChanges = Annotated[
    bool, typer.Option(help="Go on with the code that is here, although it changed.")
]
AsItWas = Annotated[bool, typer.Option("--as-it-was", help="Go on with the code that was kept.")]


def _text(words: str) -> Any:
    return typer.Option(help=words)


TimeBox = Annotated[
    str | None, _text("End this command by then, checkpoints saved: exit status 124.")
]
Time = Annotated[str | None, _text("How long at most: 90s, 15m, 2h.")]
TrialTime = Annotated[str | None, _text("How long a trial may run; then it counts as pruned.")]
Disk = Annotated[str | None, _text("Disk for all checkpoints: 20G; the worst ones go first.")]
Sampler = Annotated[str | None, _text("random, tpe, gp, cmaes, qmc, nsga2 or grid.")]
Pruner = Annotated[
    str | None,
    _text(
        "none, median, percentile, hyperband, successive-halving, patient or threshold, with "
        "arguments as median:warmup=2."
    ),
]
Repeats = Annotated[int | None, _text("Seeds for each cell of a grid, or for the best few.")]
Incomplete = Annotated[
    str | None, _text("Where stands what diverged with some seed: last, or in its rank.")
]
Workers = Annotated[
    int | None,
    _text("Workers of a trial: each sees its share of each batch; {workers} in commands."),
]
Gpus = Annotated[float | None, _text("GPUs of each worker: 1, 2 …, or a part of one: 0.5.")]
Memory = Annotated[str | None, _text("Memory a trial: 800M, 2G.")]
Notify = Annotated[
    list[str] | None,
    typer.Option(
        "--notify",
        help="Whom to tell of the first result, the first failure and the end: an address of "
        "apprise, or @FILE with one a line; again for more; default RAYSEARCH_NOTIFY.",
    ),
]
NotifyCommand = Annotated[
    str | None, _text("A command that is run then, with JSON as its input: cat >> told.jsonl.")
]
Track = Annotated[
    str | None,
    _text(
        "What its events are written to: mlflow, tensorboard, both as mlflow,tensorboard, a "
        "module:attribute, or none; default mlflow."
    ),
]
User = Annotated[str | None, _text("Whose share of a cluster it takes; default who runs it.")]
Priority = Annotated[int, _text("On a shared cluster the higher goes first.")]
OfSearch = Annotated[str | None, _text("Evaluate trials of this search (sweeps that evaluate).")]


def _settings(
    runs: Path | None,
    store: str | None,
    tracking_uri: str | None,
    address: str | None,
    notify: list[str] | None,
    command: str | None,
) -> Settings:
    """The settings of a command that drives a search, and whom it notifies."""
    from raysearch.notifications import channels

    settings = Settings.locate(runs, store, tracking_uri, address)
    return replace(settings, notify=channels(notify, command))


def _search(
    context: typer.Context,
    space: SweepName = None,
    overrides: Overrides = None,
    trials: Annotated[int | None, _text("How many trials at most.")] = None,
    time: Time = None,
    trial_time: TrialTime = None,
    time_box: TimeBox = None,
    disk: Disk = None,
    sampler: Sampler = None,
    pruner: Pruner = None,
    repeats: Repeats = None,
    finalists: Annotated[int | None, _text("How many the best few are.")] = None,
    incomplete: Incomplete = None,
    seed: Annotated[int, _text("Seed of the search.")] = 0,
    concurrent: Annotated[int | None, _text("Trials at once.")] = None,
    workers: Workers = None,
    gpus: Gpus = None,
    memory: Memory = None,
    name: Annotated[str | None, _text("Name; default the sweep and a number.")] = None,
    group: Annotated[str | None, _text("The group that it belongs to.")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="A tag: name=value.")] = None,
    notes: Annotated[str | None, typer.Option("--note", help="A note, for MLflow too.")] = None,
    known: Annotated[
        str | None, _text("Results of past runs, CSV or JSON: never run again.")
    ] = None,
    of: OfSearch = None,
    top: Annotated[int | None, _text("Only so many of the best of them.")] = None,
    max_failures: Annotated[
        str | None, _text("End the search after more failed trials than 5, or than 20%.")
    ] = None,
    user: User = None,
    priority: Priority = 0,
    track: Track = None,
    notify: Notify = None,
    notify_command: NotifyCommand = None,
    address: Address = None,
    tracking_uri: Tracking = None,
    store: StoreUrl = None,
    runs: Runs = RUNS,
    **program: Any,
) -> None:
    """Run a search and print its answer."""
    from raysearch.driver.plan import make_request, parse_overrides
    from raysearch.verbs import parse_tags

    with plainly(), sweep_meant(space, overrides, program) as (meant, given, checked):
        settings = _settings(runs, store, tracking_uri, address, notify, notify_command)
        values, marks = parse_overrides(given), parse_tags(tags or [], [])
        options = {key: value for key, value in context.params.items() if key not in _NO_OPTIONS}
        request = make_request(meant, values, tags=marks, **options)
        status = _drive(_beginning(request, settings, checked), settings)
    raise typer.Exit(status)


def _beginning(
    request: Request, settings: Settings, checked: Callable[[], None]
) -> Callable[[Listener], Outcome]:
    """What begins a search, and says by `checked` that all that was asked for is right."""

    def begin(listener: Listener) -> Outcome:
        from raysearch.driver.search import start

        def heard(view: SearchView) -> None:
            checked()
            listener(view)

        return start(request, settings, heard)

    return begin


def _parameters() -> list[inspect.Parameter]:
    own = list(inspect.signature(_search, eval_str=True).parameters.values())[:-1]
    return [*own, *parameters()]


search = app.command("search")(declared(_search, _parameters()))


@app.command()
def resume(
    name: Name,
    accept_changes: AcceptChanges = False,
    as_it_was: AsItWas = False,
    time_box: TimeBox = None,
    notify: Notify = None,
    notify_command: NotifyCommand = None,
    address: Address = None,
    tracking_uri: Tracking = None,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Go on with a search that was killed, interrupted or stopped; nothing is run twice."""
    from raysearch.driver.plan import parse_time

    with plainly():
        settings = _settings(runs, store, tracking_uri, address, notify, notify_command)

    def go_on(listener: Listener) -> Outcome:
        from raysearch.driver.search import resume as go

        box = parse_time(time_box, "--time-box") if time_box else None
        return go(
            name,
            settings,
            listener,
            accept_changes=accept_changes,
            as_it_was=as_it_was,
            time_box=box,
        )

    with plainly():
        view_of(name, runs, store)
        status = _drive(go_on, settings)
    raise typer.Exit(status)


@app.command()
def extend(
    name: Name,
    trials: Annotated[int | None, typer.Option(help="How many more trials.")] = None,
    time: Annotated[str | None, typer.Option(help="How much more time: 90s, 15m, 2h.")] = None,
    accept_changes: AcceptChanges = False,
    as_it_was: AsItWas = False,
    notify: Notify = None,
    notify_command: NotifyCommand = None,
    address: Address = None,
    tracking_uri: Tracking = None,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Go on with a search, finished or not, for more trials or time; nothing is run again."""
    from raysearch.driver.plan import parse_time

    with plainly():
        settings = _settings(runs, store, tracking_uri, address, notify, notify_command)

    def go_on(listener: Listener) -> Outcome:
        from raysearch.driver.search import extend as go

        seconds = parse_time(time) if time else None
        permissions = {"accept_changes": accept_changes, "as_it_was": as_it_was}
        return go(name, settings, listener, trials=trials, seconds=seconds, **permissions)

    with plainly():
        view_of(name, runs, store)
        status = _drive(go_on, settings)
    raise typer.Exit(status)


@app.command()
def retry(
    name: Name,
    infeasible: Annotated[bool, typer.Option(help="Also those out of memory or diverged.")] = False,
    accept_changes: AcceptChanges = False,
    as_it_was: AsItWas = False,
    notify: Notify = None,
    notify_command: NotifyCommand = None,
    address: Address = None,
    tracking_uri: Tracking = None,
    store: StoreUrl = None,
    runs: Runs = RUNS,
) -> None:
    """Run the failed trials of a search again, from their start."""
    with plainly():
        settings = _settings(runs, store, tracking_uri, address, notify, notify_command)

    def go_on(listener: Listener) -> Outcome:
        from raysearch.driver.search import retry as go

        permissions = {"accept_changes": accept_changes, "as_it_was": as_it_was}
        return go(name, settings, listener, infeasible=infeasible, **permissions)

    with plainly():
        view_of(name, runs, store)
        status = _drive(go_on, settings)
    raise typer.Exit(status)


def _drive(begin: Callable[[Listener], Outcome], settings: Settings) -> int:
    from raysearch.cli import show
    from raysearch.driver.progress import Watch
    from raysearch.driver.signals import Signalled, heard

    listed = "`raysearch list` shows what there is to resume"
    try:
        with heard(), Watch() as watch:
            outcome = begin(watch.listen)
    except KeyboardInterrupt:  # while Ray starts, or for the second time
        say(f"interrupted at once: {listed}", err=True)
        return INTERRUPTED
    except Signalled as signal:
        say(
            f"{signal} ended it while no trial ran: give the same command again, or {listed}",
            err=True,
        )
        return OUT_OF_BOX
    show.show_answer(outcome, settings)
    return status_of(outcome)


def status_of(outcome: Outcome) -> int:
    """The exit status that says how a search ended."""
    from raysearch.driver.conductor import BY_REQUEST

    if outcome.state == "interrupted":
        return INTERRUPTED
    if outcome.state == "paused":
        return OUT_OF_BOX
    if outcome.view.best() is None:
        return NOTHING_COMPLETED
    is_asked = outcome.state != "stopped" or outcome.reason == BY_REQUEST
    return FINISHED if is_asked else STOPPED_ITSELF


@app.command()
def train(
    experiment: Annotated[str, typer.Argument(help="An experiment, such as ssl.supervised.")],
    overrides: Overrides = None,
    evaluate_only: Annotated[
        Path | None, _text("Train nothing: evaluate this checkpoint with these values.")
    ] = None,
    split: Annotated[str | None, _text("What is evaluated: val, test or all.")] = None,
    folder: Annotated[Path | None, _text("Where to write.")] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Train nothing: print the whole configuration.")
    ] = False,
    runs: Runs = RUNS,
) -> None:
    """Train one configuration here, without a search, or evaluate a checkpoint."""
    from raysearch.driver import single

    values = overrides or []
    with plainly(), _to_its_end():
        if show and (evaluate_only, split, folder) != (None, None, None):
            raise BadSetting("--show must stand alone: nothing is evaluated or written with it")
        if show:
            single.show(experiment, values)
        elif evaluate_only is not None:
            single.evaluate(
                experiment,
                values,
                evaluate_only,
                split or "val",
                folder,
                Settings.locate(runs).runs,
            )
        elif split is not None:
            raise BadSetting(f"--split is for --evaluate-only, got {split!r}")
        else:
            single.train(experiment, values, folder, Settings.locate(runs).runs)


@contextmanager
def _to_its_end() -> Generator[None]:
    """Says how a run ended that did not finish: the traceback is for what is no bad input."""
    from raysearch.driver.single import RunFailed

    try:
        yield
    except FloatingPointError as error:
        say(f"diverged: {one_line(error)}", err=True)
    except RunFailed as error:
        say_block("".join(traceback.format_exception(error.__cause__ or error)), err=True)
    except KeyboardInterrupt:
        say("interrupted: the same command goes on from the last checkpoint", err=True)
        raise typer.Exit(INTERRUPTED) from None
    else:
        return
    raise typer.Exit(NOTHING_COMPLETED)
