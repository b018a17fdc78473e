"""What the commands print: the words and tables that a person, or a script, reads."""

from __future__ import annotations

import csv as csv_writer
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from raysearch.answer import (
    answer,
    answer_lines,
    damage_lines,
    failure_lines,
    fixed_lines,
    summary,
    unfinished_lines,
)
from raysearch.declare.needs import lacks
from raysearch.errors import UnknownName
from raysearch.evaluating import foreseen
from raysearch.record.events import Store
from raysearch.record.forecast import expected, expected_runs
from raysearch.record.passwords import hidden
from raysearch.record.results import SearchView, rows
from raysearch.record.snapshot import in_words
from raysearch.record.standing import has_repeats, winner
from raysearch.settings import EXPERIMENTS, SWEEPS, Settings
from raysearch.verbs import Filter, searches, state_of, store_of, view_of
from raysearch.watch import best_table, duration, headline, shown, size, trials_table

if TYPE_CHECKING:
    from raysearch.declare.space import Space
    from raysearch.drive.driver import Outcome
    from raysearch.plan import Request

console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 200)


def print_json(value: Any) -> None:
    """JSON on standard output, the same on a terminal and in a pipe."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def declared() -> list[dict[str, Any]]:
    """All declared sweeps, a record for each."""
    from raysearch.declare.catalog import sweeps
    from raysearch.declare.space import Space

    found: list[dict[str, Any]] = []
    for name, sweep in sweeps(SWEEPS).items():
        count = Space(sweep).count()
        found.append(
            {
                "name": name,
                "count": str(count),
                "points": count.points,
                "distinct": count.distinct,
                "stated": count.stated,
                "sampler": sweep.sampler,
                "pruner": sweep.pruner,
                "trials": sweep.trials,
                "metrics": [f"{metric.direction} {metric.name}" for metric in sweep.metrics],
                "question": sweep.question,
            }
        )
    return found


def show_spaces(as_json: bool) -> None:
    """All declared sweeps."""
    found = declared()
    if as_json:
        print_json(found)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("sweep", "points", "trials", "sampler", "metric", "question"):
        table.add_column(column, overflow="fold")
    for row in found:
        points = row["count"]
        if row["stated"] is not None and row["stated"] != row["points"]:
            points += f" (stated {row['stated']})"
        trials = "all" if row["trials"] is None else str(row["trials"])
        metrics = ", ".join(row["metrics"])
        table.add_row(row["name"], points, trials, row["sampler"], metrics, row["question"])
    console.print(table)


def show_plan(request: Request, settings: Settings, count: int) -> None:
    """The space of a sweep with these values: exact count, conditions, first configurations."""
    from raysearch.plan import Machine, plan

    planned = plan(request, settings, Machine.here(), quick=True)
    sweep, space, spec = planned.sweep, planned.space, planned.spec
    counted = space.count()
    print(f"sweep      {sweep.name}  ({sweep.reference})")
    if sweep.question:
        print(f"question   {sweep.question}")
    print("metric     " + ", ".join(f"{m.direction} {m.name} ({m.reduce})" for m in sweep.metrics))
    print(f"points     {counted}")
    if counted.stated is not None:
        print(f"stated     {counted.stated}")
    if sweep.evaluates:
        spec["evaluates"], said = foreseen(space, request.of, request.top, settings, store_of)
        print(f"evaluates  {said}")
    trials = spec["trials"] or "all points"
    print(
        f"trials     {trials}, {spec['sampler']}, pruner {spec['pruner']}{_repeated(spec, space)}"
    )
    for line in fixed_lines(spec):
        print(line)
    print(f"forecast   {_expected(spec, settings)}")
    if (said := lacks(space)) is not None:
        print(f"missing    {said}")
    print("parameters")
    conditions = space.conditions()
    for parameter, distribution in space.parameters().items():
        when = " or ".join(
            " and ".join(f"{parent} = {shown(value)}" for parent, value in condition.items())
            for condition in conditions.get(parameter, [])
        )
        print(f"  {parameter}: {distribution}" + (f"   if {when}" if when else ""))
    print("first configurations")
    for point in islice(space.preview(count), count):
        print("  " + ", ".join(f"{key}={shown(value)}" for key, value in point.params.items()))


def _repeated(spec: Mapping[str, Any], space: Space) -> str:
    """Which configurations are run with which seeds; empty where each is run once."""
    count, first = spec["repeats"], next(iter(space.preview(1))).seed
    if count < 2:
        return ""
    if spec["points"] is not None:
        return f", each with {count} seeds ({_seeds(first, count)})"
    default = " and the default configuration" if space.default() is not None else ""
    what = (
        f"the best {spec['finalists']}{default}" if spec["finalists"] > 1 else f"the best{default}"
    )
    return f"; then {what} again, with {count} further seeds each ({_seeds(first + 1, count)})"


def _seeds(first: int, count: int) -> str:
    last = first + count - 1
    return f"{first} and {last}" if count == 2 else f"{first} to {last}"


def _expected(spec: Mapping[str, Any], settings: Settings) -> str:
    """How long and how much disk, from earlier searches of the same sweep."""
    same = [view for view in searches(settings) if view.spec["sweep"] == spec["sweep"]]
    ahead = expected(spec, same[-1:])
    if ahead.rate is None:
        return "unknown until a search of this sweep has run here; the live table shows one"
    if ahead.seconds is None:
        return f"{ahead.rate * 60:.1f} trials/min until its time is up"
    return (
        f"about {duration(ahead.seconds)} and {size(ahead.disk or 0)} of checkpoints for "
        f"{expected_runs(spec)} trials, {spec['concurrent']} at once, as the {ahead.trials} of "
        f"{same[-1].search}"
    )


def listed(settings: Settings, chosen: Filter) -> list[dict[str, Any]]:
    """The searches in the store that are meant, a record for each."""
    found: list[dict[str, Any]] = []
    for view in searches(settings, chosen):
        best = next(iter(view.standings()), None)
        found.append(
            {
                "name": view.search,
                "sweep": view.spec["sweep_name"],
                "state": state_of(view, settings),
                "trials": len(view.trials),
                **{key: view.counts().get(key, 0) for key in ("complete", "pruned", "failed")},
                "best": best.mean if best is not None else None,
                "best_trial": best.trial.number if best is not None else None,
                "group": view.spec["group"],
                "tags": dict(view.spec["tags"]),
                "notes": view.spec["notes"],
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
        print("no search fits" if is_any else begin)
        return
    table = Table(box=None, pad_edge=False)
    for column in found[0]:
        table.add_column(column.replace("_", " "))
    for row in found:
        row["tags"] = ", ".join(f"{name}={value}" for name, value in row["tags"].items())
        table.add_row(*("" if value is None else shown(value) for value in row.values()))
    console.print(table)


def columns_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Records side by side: a column for each, a line for each field that any of them has."""
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for row in rows:
        table.add_column(str(next(iter(row.values()))), overflow="fold")
    for key in list(dict.fromkeys(key for row in rows for key in row))[1:]:
        values = [row.get(key) for row in rows]
        table.add_row(key, *("" if value is None else shown(value) for value in values))
    return table


def show_status(view: SearchView, settings: Settings, *, as_json: bool) -> None:
    """How far a search is."""
    state = state_of(view, settings)
    if as_json:
        print_json({"name": view.search, "state": state, **summary(view), "trials": rows(view)})
        return
    print(f"{view.search}: {state}" + (f" ({view.reason})" if view.reason else ""))
    if state in ("killed", "interrupted", "stopped", "paused"):
        print(f"go on with: raysearch resume {view.search}{_runs(settings)}")
    if view.begun.get("code") != view.spec.get("code"):
        print(f"code: {in_words(view.begun, view.spec, settings.folder(view.search))}")
    console.print(headline(view))
    if view.best() is not None:
        print(winner(view))
    for line in damage_lines(view):
        print(line)
    console.print(trials_table(view, 20))


def show_results(view: SearchView, *, csv: bool, as_json: bool) -> None:
    """All trials, best first."""
    table = rows(view)
    if as_json:
        print_json(table)
    elif csv:
        columns = list(dict.fromkeys(key for row in table for key in row))
        writer = csv_writer.DictWriter(sys.stdout, columns)
        writer.writeheader()
        writer.writerows(table)
    else:
        console.print(trials_table(view, len(view.trials)))


def show_best(view: SearchView, folder: Path, *, as_json: bool) -> None:
    """The winner: how sure it is, its configuration and its checkpoint."""
    record = answer(view, folder)
    if as_json:
        print_json(record)
        return
    print(f"{view.spec['metrics'][0]['name']}: {winner(view)}")
    print(f"checkpoint: {record['checkpoint'] or 'none'}")
    if record["damage"]:
        print(f"damaged: {record['damage']}")
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
        print(f"== trial {trial}, {attempt.name}: {attempt}")
        files = [attempt / name for name in ("log.txt", "traceback.txt")]
        if not any(file.exists() and file.stat().st_size for file in files):
            print("(it said nothing)")
        for file in files:
            name, text = file.name, file.read_text(errors="replace") if file.exists() else ""
            if text and not (name == "traceback.txt" and "Traceback" in _log(attempt)):
                print(text, end="" if text.endswith("\n") else "\n")
    shown_failures = view.trials[trial].failures
    for failure in shown_failures:
        print(f"attempt {failure['attempt']} failed: {failure['kind']}: {failure['message']}")
    if not attempts:
        print(f"trial {trial} is {view.trials[trial].state}: no attempt has a log")


def _log(attempt: Path) -> str:
    file = attempt / "log.txt"
    return file.read_text(errors="replace") if file.exists() else ""


def show_answer(outcome: Outcome, settings: Settings) -> None:
    """What a finished search says: the best trials, the test score, where everything lies."""
    view, folder = outcome.view, settings.folder(outcome.name)
    settings = settings.tracking_of(view.spec)
    print()
    console.print(headline(view))
    if outcome.state != "finished":
        go_on = f"raysearch resume {outcome.name}{_runs(settings)}"
        print(f"{outcome.state}: {outcome.reason}; go on with: {go_on}")
        for line in unfinished_lines(view):
            print(line)
    elif outcome.reason:
        more = f"raysearch extend {outcome.name}{_runs(settings)}"
        print(f"finished: {outcome.reason}; for more: {more}")
    best = view.best()
    if best is None:
        print("no trial completed")
        for line in failure_lines(view):
            print(f"  {line}")
    else:
        print("best configurations" if has_repeats(view) else "best trials")
        console.print(best_table(view, 4))
        for line in answer_lines(view):
            print(line)
    for line in [*damage_lines(view), *fixed_lines(view.spec)]:
        print(line)
    print(f"took       {duration(view.seconds())}")
    print(f"folder     {folder}")
    print(f"events     {hidden(settings.store)}")
    print(f"mlflow     {hidden(settings.tracking_uri)}")
    if settings.tracking_uri != "none":
        print(f"open       {ui_command(settings, outcome.name)}")
    if outcome.untracked:
        print(f"missing    MLflow lacks the end of this search: {outcome.untracked}")
        print(f"           write it by: raysearch sync {outcome.name}{_runs(settings)}")
    if best is not None:
        print(f"best       raysearch best {outcome.name}{_runs(settings)}")


def _runs(settings: Settings) -> str:
    relative = os.path.relpath(settings.runs)
    return "" if relative == "runs" else f" --runs {relative}"


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
        print(finding)
    if not findings:
        print(f"{name}: events, Optuna study, MLflow and folders agree")
    return bool(findings)


def serve_ui(settings: Settings, name: str | None, port: int) -> None:
    """Runs MLflow's server on this machine until it is interrupted."""
    from raysearch.record.tracking import links, server_environment

    store: Store | None = None
    if name is not None:
        store, view = view_of(name, settings)
        settings = settings.tracking_of(view.spec)
    uri = settings.tracking_uri
    address = uri.rstrip("/") if uri.startswith("http") else f"http://127.0.0.1:{port}"
    if name is not None and store is not None:
        for title, link in links(store, name, uri, address).items():
            print(f"{title}: {link}")
    if uri.startswith("http"):
        return
    print(f"MLflow on {address}, Ctrl-C ends it", flush=True)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--artifacts-destination", str(settings.runs / "mlartifacts")]
    subprocess.run(command, env={**os.environ, **server_environment()}, check=False)


def experiments_help() -> list[str]:
    """The names of all experiments."""
    from raysearch.declare.catalog import experiments

    return sorted(experiments(EXPERIMENTS))
