"""Words and tables that commands print for a person or a script."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from raysearch.driver.evaluating import foreseen
from raysearch.driver.progress import (
    best_tables,
    duration,
    headline,
    params_line,
    size,
    trials_table,
)
from raysearch.errors import UnknownName
from raysearch.events.log import Store
from raysearch.passwords import hidden
from raysearch.provenance.snapshot import in_words
from raysearch.results.answer import (
    answer,
    answer_lines,
    damage_lines,
    failure_lines,
    fixed_lines,
    resource_lines,
    summary,
    trial_notices,
    unfinished_lines,
    warning_lines,
)
from raysearch.results.forecast import expected, expected_runs
from raysearch.results.opening import store_of
from raysearch.results.ranking import has_repeats, winner
from raysearch.results.spent import spent_lines
from raysearch.results.tables import rows
from raysearch.results.view import SearchView
from raysearch.settings import Settings
from raysearch.sweeps.requirements import missing_at_a_point, withholds
from raysearch.sweeps.search_spec import SearchSpec
from raysearch.terminal import make_console, print_json, say, say_block, say_wrapped, show
from raysearch.texts import one_line, shown
from raysearch.verbs import searches, state_of

if TYPE_CHECKING:
    from raysearch.driver.driver import Outcome
    from raysearch.driver.plan import Request
    from raysearch.sweeps.space import Space

_WORDS = 80
"""Letters of the name of a parameter."""
_INDENT = 11
"""Where what is said of a search begins, after its heading."""


def show_plan(request: Request, settings: Settings, count: int) -> None:
    """The space of a sweep with these values: exact count, conditions, first configurations."""
    from raysearch.driver.plan import Machine, is_asked_elsewhere, plan

    planned = plan(request, settings, Machine.here(), quick=True)
    sweep, space, spec = planned.sweep, planned.space, planned.spec
    counted = space.count()
    say(f"sweep      {sweep.name}  ({sweep.reference})")
    if sweep.question:
        say(f"question   {one_line(sweep.question)}")
    say("metric     " + ", ".join(f"{m.direction} {m.name} ({m.reduce})" for m in sweep.metrics))
    say(f"points     {counted}")
    if counted.stated is not None:
        say(f"stated     {counted.stated}")
    if sweep.evaluates:
        found, said = foreseen(space, request.of, request.top, settings, store_of)
        spec = replace(spec, evaluates=found)
        say(f"evaluates  {said}")
    trials = spec.trials or "all points"
    say(f"trials     {trials}, {spec.sampler}, pruner {spec.pruner}{_repeated(spec, space)}")
    for line in [*fixed_lines(spec), *resource_lines(spec), *warning_lines(spec)]:
        say(line)
    say(f"forecast   {_expected(spec, settings)}")
    if (said := withholds(space) or missing_at_a_point(space)) is not None:
        say(f"missing    {said}")
    if is_asked_elsewhere(sweep, settings):
        say("not asked  whether time or chance changes it: a search asks fresh processes first")
    say("parameters")
    conditions = space.conditions()
    for parameter, distribution in space.parameters().items():
        when = " or ".join(
            " and ".join(f"{shown(parent)} = {shown(value)}" for parent, value in condition.items())
            for condition in conditions.get(parameter, [])
        )
        say(f"  {shown(parameter, _WORDS)}: {shown(distribution, 200)}{when and f'   if {when}'}")
    say("first configurations")
    for point in islice(space.preview(count), count):
        say_wrapped(f"  {params_line(point.params)}", 4)


def _repeated(spec: SearchSpec, space: Space) -> str:
    """Which configurations are run with which seeds; empty where each is run once."""
    count, first = spec.repeats, next(iter(space.preview(1))).seed
    if count < 2:
        return ""
    if spec.points is not None:
        return f", each with {count} seeds ({_seeds(first, count)})"
    default = " and the default configuration" if space.default() is not None else ""
    what = f"the best {spec.finalists}{default}" if spec.finalists > 1 else f"the best{default}"
    return f"; then {what} again, with {count} further seeds each ({_seeds(first + 1, count)})"


def _seeds(first: int, count: int) -> str:
    last = first + count - 1
    return f"{first} and {last}" if count == 2 else f"{first} to {last}"


def _expected(spec: SearchSpec, settings: Settings) -> str:
    """How long and how much disk, from earlier searches of the same sweep."""
    same = [view for view in searches(settings) if view.spec.sweep == spec.sweep]
    ahead = expected(spec, same[-1:])
    if ahead.rate is None:
        return "unknown until a search of this sweep has run here; the live table shows one"
    if ahead.seconds is None:
        return f"{ahead.rate * 60:.1f} trials/min until its time is up"
    return (
        f"about {duration(ahead.seconds)} and {size(ahead.disk or 0)} of checkpoints for "
        f"{expected_runs(spec)} trials, {spec.concurrent} at once, as the {ahead.trials} of "
        f"{same[-1].search}"
    )


def show_status(view: SearchView, settings: Settings, *, as_json: bool) -> None:
    """How far a search is."""
    state = state_of(view, settings)
    if as_json:
        print_json({"name": view.search, "state": state, **summary(view), "trials": rows(view)})
        return
    say(f"{view.search}: {state}" + (f" ({one_line(view.reason)})" if view.reason else ""))
    if state in ("killed", "interrupted", "stopped", "paused"):
        say(f"go on with: raysearch resume {view.search}{_runs(settings)}")
    if view.begun.code != view.spec.code:
        say(f"code: {in_words(view.begun.code, view.spec.code, settings.folder(view.search))}")
    show(headline(view))
    if view.best() is not None:
        say(winner(view))
    for line in [*damage_lines(view), *resource_lines(view.spec, view.at_once)]:
        say(line)
    for line in [*view.notices, *trial_notices(view)]:
        say(f"noticed: {line}")
    show(trials_table(view, 20, make_console().width))


def show_best(view: SearchView, folder: Path, *, as_json: bool) -> None:
    """The winner: how sure it is, its configuration and its checkpoint."""
    record = answer(view, folder)
    if as_json:
        print_json(record)
        return
    say(f"{view.spec.metric.name}: {winner(view)}")
    say(f"checkpoint: {record['checkpoint'] or 'none'}")
    if record["damage"]:
        say(f"damaged: {record['damage']}")
    say_block(json.dumps(record["config"], indent=2, ensure_ascii=False, allow_nan=False))


def show_logs(view: SearchView, folder: Path, trial: int) -> None:
    """Every attempt's log; a traceback is the end of its log."""
    if trial not in view.trials:
        last = max(view.trials, default=-1)
        raise UnknownName(
            f"search {view.search!r} has no trial {trial}; it has {len(view.trials)}"
            + (f", 0 to {last}" if last >= 0 else "")
        )
    attempts = sorted((folder / f"{trial:04d}").glob("*-*"), key=lambda path: path.stat().st_ctime)
    for attempt in attempts:
        say(f"== trial {trial}, {attempt.name}: {attempt}")
        files = [attempt / name for name in ("log.txt", "traceback.txt")]
        if not any(file.exists() and file.stat().st_size for file in files):
            say("(it said nothing)")
        for file in files:
            name, text = file.name, file.read_text(errors="replace") if file.exists() else ""
            if text and not (name == "traceback.txt" and "Traceback" in _log(attempt)):
                say_block(text, log=True)
    shown_failures = view.trials[trial].failures
    for failure in shown_failures:
        message = one_line(failure["message"])
        say(f"attempt {failure['attempt']} failed: {failure['kind']}: {message}")
    if not attempts:
        say(f"trial {trial} is {view.trials[trial].state}: no attempt has a log")


def _log(attempt: Path) -> str:
    file = attempt / "log.txt"
    return file.read_text(errors="replace") if file.exists() else ""


def show_answer(outcome: Outcome, settings: Settings) -> None:
    """What a finished search says: the best trials, the test score, where everything lies."""
    view, folder = outcome.view, settings.folder(outcome.name)
    settings = settings.tracking_of(view.spec)
    say()
    show(headline(view))
    if outcome.state != "finished":
        go_on = f"raysearch resume {outcome.name}{_runs(settings)}"
        say(f"{outcome.state}: {outcome.reason}; go on with: {go_on}")
        for line in unfinished_lines(view):
            say(line)
    elif outcome.reason:
        more = f"raysearch extend {outcome.name}{_runs(settings)}"
        say(f"finished: {outcome.reason}; for more: {more}")
    best = view.best()
    if best is None:
        say("no trial completed")
        for line in failure_lines(view):
            say_wrapped(line, _INDENT)
    else:
        say("best configurations" if has_repeats(view) else "best trials")
        for table in best_tables(view, 4, make_console().width):
            show(table)
        for line in answer_lines(view):
            say_wrapped(line, _INDENT)
        for line in failure_lines(view):
            say_wrapped(line, _INDENT)
    for line in [*view.notices, *trial_notices(view)]:
        say_wrapped(f"noticed    {line}", _INDENT)
    resources = resource_lines(view.spec, view.at_once)
    for line in [*damage_lines(view), *fixed_lines(view.spec), *resources]:
        say_wrapped(line, _INDENT)
    for line in report_lines(outcome, settings):
        say(line)
    say(f"took       {duration(view.seconds())}")
    for line in spent_lines(view):
        say_wrapped(line, _INDENT)
    say(f"folder     {folder}")
    say(f"events     {hidden(settings.store)}")
    trackers = tracker_names(view, settings)
    say(f"mlflow     {hidden(settings.tracking_uri) if 'mlflow' in trackers else 'none'}")
    if "mlflow" in trackers:
        say(f"open       {ui_command(settings, outcome.name)}")
    for line in tracked_lines(view.spec, folder):
        say(line)
    if outcome.aside:
        say(f"set aside  {outcome.aside}")
    for tracker, problem in outcome.untracked.items():
        say(f"missing    {tracker} lacks the end of this search: {one_line(problem)}")
        say(f"           write it by: raysearch sync {outcome.name}{_runs(settings)}")
    if best is not None:
        say(f"best       raysearch best {outcome.name}{_runs(settings)}")


def tracker_names(view: SearchView, settings: Settings) -> list[str]:
    """The trackers to which the events of a search are written."""
    from raysearch.tracking.registry import places, tracked
    from raysearch.tracking.tracker import Place

    folder = settings.folder(view.search)
    place = Place(view.search, folder, settings.store, settings.tracking_uri)
    return places(tracked(view.spec), place)


def tracked_lines(spec: SearchSpec, folder: Path) -> list[str]:
    """How what trackers beside MLflow wrote is opened, as far as that is known."""
    from raysearch.tracking.registry import tracked
    from raysearch.tracking.tensorboard import FOLDER

    names = tracked(spec).split(",")
    return [f"open       tensorboard --logdir {folder / FOLDER}"] if "tensorboard" in names else []


def _runs(settings: Settings) -> str:
    is_default = settings.runs == Settings.locate().runs
    return "" if is_default else f" --runs {os.path.relpath(settings.runs)}"


def report_lines(outcome: Outcome, settings: Settings) -> list[str]:
    """Where the report of a search that has ended lies, or why there is none."""
    command = f"raysearch report {outcome.name}{_runs(settings)}"
    page = settings.folder(outcome.name) / "report" / "index.html"
    if outcome.report or outcome.state == "finished" and page.exists():
        return [f"report     {outcome.report or page}", f"           {command} --open"]
    if outcome.unreported:
        again = f"write it by: {command}"
        return [f"missing    the report: {one_line(outcome.unreported)}; {again}"]
    return []


def ui_command(settings: Settings, name: str) -> str:
    """The command that opens MLflow's page of a search."""
    return f"raysearch ui {name}{_runs(settings)}"


_CALLED = {"mlflow": "MLflow", "tensorboard": "TensorBoard"}


def show_check(store: Store, name: str, settings: Settings, *, as_json: bool = False) -> bool:
    """Prints what disagrees; returns whether anything does."""
    from raysearch.audit import audit_search

    findings = audit_search(store, name, settings)
    if as_json:
        print_json([asdict(finding) for finding in findings])
        return bool(findings)
    for finding in findings:
        say(one_line(finding, 1000))
    if not findings:
        view = SearchView.read(store, name)
        names = [
            _CALLED.get(one, one) for one in tracker_names(view, settings.tracking_of(view.spec))
        ]
        what = ", ".join(["events", "Optuna study", *names])
        say(f"{name}: {what} and folders agree")
    return bool(findings)
