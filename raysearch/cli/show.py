"""Words and tables that commands print for a person or a script."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysearch.driver.evaluating import foreseen
from raysearch.driver.progress import (
    best_table,
    duration,
    headline,
    params_line,
    seeds_in_words,
    size,
    trials_table,
)
from raysearch.errors import BadSetting, UnknownName
from raysearch.events.log import Store
from raysearch.passwords import hidden
from raysearch.provenance.snapshot import in_words
from raysearch.results.answer import (
    answer,
    answer_lines,
    damage_lines,
    doubts,
    failure_lines,
    fixed_lines,
    resource_lines,
    summary,
    trial_notices,
    unfinished_lines,
    warning_lines,
)
from raysearch.results.endings import ends
from raysearch.results.forecast import expected, expected_runs
from raysearch.results.opening import store_of
from raysearch.results.ranking import has_repeats, winner
from raysearch.results.spent import spent_lines
from raysearch.results.tables import cost_lines
from raysearch.results.view import SearchView, rows
from raysearch.settings import Settings
from raysearch.sweeps.requirements import missing_at_a_point, withholds
from raysearch.sweeps.search_spec import SearchSpec
from raysearch.terminal import make_console, print_csv, print_json, say, say_block, show, table_of
from raysearch.texts import one_line, shown
from raysearch.verbs import Filter, searches, state_of

if TYPE_CHECKING:
    from rich.table import Table

    from raysearch.driver.driver import Outcome
    from raysearch.driver.plan import Request
    from raysearch.sweeps.space import Space

_OPTIONAL = ("notes", "tags", "group", "sweep", "pruned", "complete", "seeds")
"""Columns of the list of searches that are left out first where there is no room."""
_WORDS = 80
"""Letters of a note or of any other words in a table."""


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
        say(f"  {params_line(point.params)}")


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


def listed(settings: Settings, chosen: Filter) -> list[dict[str, Any]]:
    """The searches in the store that are meant, a record for each."""
    found: list[dict[str, Any]] = []
    for view in searches(settings, chosen):
        best = next(iter(view.ranking()), None)
        found.append(
            {
                "name": view.search,
                "sweep": view.spec.sweep_name,
                "state": state_of(view, settings),
                "trials": len(view.trials),
                **ends(view.counts()),
                "best": best.mean if best is not None else None,
                "best_trial": best.trial.number if best is not None else None,
                "seeds": best.seeds if best is not None else None,
                **(doubts(best) if best is not None else dict.fromkeys(("outcomes", "suspicious"))),
                "group": view.spec.group,
                "tags": dict(view.spec.tags),
                "notes": view.spec.notes,
            }
        )
    return found


def show_list(settings: Settings, chosen: Filter, as_json: bool) -> None:
    """The searches in the store that are meant."""
    found = listed(settings, chosen)
    if as_json:
        print_json(found)
        return
    if not found:
        is_any = next(searches(settings), None) is not None
        begin = "no search yet; begin with: raysearch search ssl.digits_vit"
        say("no search fits" if is_any else begin)
        return
    if not any(row["infeasible"] for row in found):
        found = [{k: v for k, v in row.items() if k != "infeasible"} for row in found]
    for row in found:
        row["tags"] = ", ".join(f"{name}={value}" for name, value in row["tags"].items())
        outcomes, doubt = row.pop("outcomes"), row.pop("suspicious")
        row["seeds"] = seeds_in_words(outcomes, is_suspicious=bool(doubt)) if outcomes else None
    rows = [{name.replace("_", " "): _cell(value) for name, value in row.items()} for row in found]
    kept, left_out = _that_fit(rows, make_console().width)
    show(table_of(kept, [[row[name] for name in kept] for row in rows]))
    if left_out:
        say(f"no room for {', '.join(left_out)}: a wider terminal has it, and --json", err=True)


def _that_fit(rows: Sequence[Mapping[str, str]], width: int) -> tuple[list[str], list[str]]:
    """The columns that a terminal has room for, without empty ones; and those it has none for.

    What says how far to trust a best value stays, such as how its seeds ended.
    """
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]}
    kept = [name for name in widths if name not in _OPTIONAL or any(row[name] for row in rows)]
    left_out: list[str] = []
    for name in _OPTIONAL:
        if sum(widths[each] + 2 for each in kept) - 2 <= width:
            break
        if name in kept and not (name == "seeds" and any(":" in row[name] for row in rows)):
            kept.remove(name)
            left_out.append(name)
    return kept, left_out


def columns_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Records side by side: a column for each, a line for each field that any of them has."""
    heads = [shown(next(iter(row.values()))) for row in rows]
    keys = list(dict.fromkeys(key for row in rows for key in row))[1:]
    cells = [[shown(key, 80), *(_cell(row.get(key)) for row in rows)] for key in keys]
    table = table_of(["", *heads], cells, overflow="fold")
    table.columns[0].no_wrap = True
    return table


def _cell(value: Any) -> str:
    return "" if value is None else shown(value, _WORDS)


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


def check_form(*, csv: bool, as_json: bool) -> None:
    """Raises BadSetting if both are asked for."""
    if csv and as_json:
        raise BadSetting("either --json or --csv must be given, got both")


def show_results(view: SearchView, *, csv: bool, as_json: bool) -> None:
    """All trials, best first."""
    check_form(csv=csv, as_json=as_json)
    table = rows(view)
    if as_json:
        print_json(table)
    elif csv:
        print_csv(table)
    else:
        show(trials_table(view, len(view.trials), make_console().width))
        for line in cost_lines(view):
            say(line)


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
    print_json(record["config"])


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
            say(line)
    else:
        say("best configurations" if has_repeats(view) else "best trials")
        show(best_table(view, 4))
        for line in answer_lines(view):
            say(line)
        for line in failure_lines(view):
            say(line)
    for line in [*view.notices, *trial_notices(view)]:
        say(f"noticed    {line}")
    resources = resource_lines(view.spec, view.at_once)
    for line in [*damage_lines(view), *fixed_lines(view.spec), *resources]:
        say(line)
    for line in report_lines(outcome, settings):
        say(line)
    say(f"took       {duration(view.seconds())}")
    for line in spent_lines(view):
        say(line)
    say(f"folder     {folder}")
    say(f"events     {hidden(settings.store)}")
    say(f"mlflow     {hidden(settings.tracking_uri)}")
    if settings.tracking_uri != "none":
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


def tracked_lines(spec: SearchSpec, folder: Path) -> list[str]:
    """How what trackers beside MLflow wrote is opened, as far as that is known."""
    from raysearch.tracking.registry import tracked
    from raysearch.tracking.tensorboard import FOLDER

    names = tracked(spec).split(",")
    return [f"open       tensorboard --logdir {folder / FOLDER}"] if "tensorboard" in names else []


def _runs(settings: Settings) -> str:
    relative = os.path.relpath(settings.runs)
    return "" if relative == "runs" else f" --runs {relative}"


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
        say(f"{name}: events, Optuna study, MLflow and folders agree")
    return bool(findings)
