"""A trial run again from the code that was kept, and what is equal then."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raysearch.errors import BadSetting, UnknownName
from raysearch.events.log import Store
from raysearch.events.schema import CheckpointSaved, Reported
from raysearch.provenance import snapshot
from raysearch.provenance.comparison import (
    Row,
    are_equal,
    checkpoint_row,
    fact_rows,
    metric_rows,
    score_rows,
    version_rows,
)
from raysearch.provenance.environment import VARIABLES, current_environment, differences
from raysearch.provenance.trial_difference import codes_of
from raysearch.results import opening
from raysearch.results.saved_checkpoints import Saved, damage_of
from raysearch.results.view import SearchView, TrialView
from raysearch.settings import Settings
from raysearch.sweeps import by_value
from raysearch.sweeps.program import PROGRAM
from raysearch.trial.rerun_launch import rerun

Say = Callable[[str], None]

_DEVICES = "CUDA_VISIBLE_DEVICES"
"""The only variable that is kept and not set again: here other devices may be free."""


@dataclass(frozen=True)
class Reproduction:
    """A trial that was run again: what was compared, and how the run ended.

    `code` is the hash of the snapshot it ran from, None for the code that is here; `error` is how
    the run failed, empty if it did not; `folder` has its log and its checkpoints.
    """

    search: str
    trial: int
    folder: Path
    code: str | None
    rows: tuple[Row, ...]
    error: str = ""

    @property
    def is_equal(self) -> bool:
        """Whether it ran, and all numbers and the data are equal."""
        return not self.error and are_equal(self.rows)


@dataclass
class _Past:
    """What is recorded of the trial: `checkpoints` are those that are still there, by step.

    `codes` are the snapshots that its attempts ran from; `then` is the environment of the first;
    `damaged` says of some checkpoints why they cannot be compared.
    """

    view: SearchView
    trial: TrialView
    codes: list[str | None]
    then: dict[str, Any]
    checkpoints: dict[int, Path] = field(default_factory=dict[int, Path])
    damaged: dict[int, str] = field(default_factory=dict[int, str])
    test_step: int | None = None

    @property
    def workers(self) -> int:
        """How many workers it had."""
        if self.view.spec.experiment == PROGRAM:
            return 1
        return int(self.trial.facts.get("workers") or self.view.spec.workers)

    @property
    def own_workers(self) -> int:
        """How many its program was to start by itself."""
        return self.view.spec.workers if self.view.spec.experiment == PROGRAM else 1

    @property
    def threads(self) -> int:
        """The number of CPU threads it ran with."""
        return int(self.trial.facts.get("threads") or self.view.spec.threads)


def reproduce(
    name: str,
    trial: int,
    settings: Settings,
    folder: Path | None = None,
    *,
    here: bool = False,
    say: Say = print,
) -> Reproduction:
    """Runs a trial of a search again, from its start, and compares all that it reports.

    Args:
        name: the search.
        trial: the number of the trial.
        settings: where searches lie.
        folder: where to write, empty or new; None: a new one in `repro` below the folder of runs.
        here: with the code that is here now, instead of the kept one.
        say: is told beforehand what differs that may change numbers, and where the log is.

    Raises:
        LookupError: no such search or trial. ValueError: the trial never ran or reported nothing,
            its code was not kept or is damaged, or the folder cannot be used.
    """
    store, view = opening.view_of(name, settings)
    own = settings.folder(name)
    past = _past(store, view, trial, own)
    code = None if here else _code(past, own)
    target = _prepare(folder, settings.runs / "repro" / f"{name}-{trial}")
    paths = [Path.cwd()] if code is None else snapshot.unpack(own, code, target / "code")
    paths = [*_by_value(own, target / "code"), *paths, *_added(past)]
    for warning in _warnings(past):
        say(f"warning    {warning}")
    say(f"log        {target / 'log.txt'}")
    job = _job(past, target, None if code is None else target / "code")
    records = rerun(job, paths, _variables(past), target / "log.txt")
    return Reproduction(name, trial, target, code, _rows(past, records), records[-1]["error"])


# What is recorded


def _past(store: Store, view: SearchView, number: int, folder: Path) -> _Past:
    """The trial and its checkpoints. Raises LookupError or ValueError: it cannot be run again."""
    name, trial = view.search, view.trials.get(number)
    if trial is None:
        raise UnknownName(f"search {name!r} has no trial {number}; it has {len(view.trials)}")
    if trial.duplicate_of is not None:
        other = trial.duplicate_of
        raise BadSetting(f"trial {number} of {name!r} never ran: it equals trial {other}, run that")
    if not trial.attempts:
        raise BadSetting(
            f"trial {number} of {name!r} never ran ({trial.state}): choose another one"
        )
    if not trial.reports:
        raise BadSetting(f"trial {number} of {name!r} reported nothing that could be compared")
    if trial.evaluates is not None:
        saved, path = _evaluated(trial.evaluates), trial.evaluates["checkpoint"]
        what = saved.damage(Path(path))
        if what:
            raise BadSetting(
                f"trial {number} of {name!r} evaluates checkpoint {path}, which {what}"
            )
    codes = codes_of(store, view, number)
    past = _Past(view, trial, codes, _environment_then(view, codes[0], folder))
    for event in store.events(name, kinds=(Reported, CheckpointSaved), trial=number):
        fact = event.body
        if not isinstance(fact, Reported | CheckpointSaved):
            continue
        path, step = fact.checkpoint if isinstance(fact, Reported) else fact.path, fact.step
        if path and (folder / path).exists():
            what = damage_of(path, trial.checkpoints, folder)
            if what:
                past.damaged[step] = what
            else:
                past.checkpoints[step] = folder / path
        if path and path == trial.best_checkpoint and (trial.tested.get("metrics") or {}):
            past.test_step = step
    return past


def _evaluated(evaluates: Mapping[str, Any]) -> Saved:
    """What is known of the checkpoint that a trial only evaluates."""
    known = (evaluates.get(name) for name in ("bytes", "sha256", "source"))
    return Saved(0, *known, copied=bool(evaluates.get("copied")))


def _code(past: _Past, folder: Path) -> str:
    """The snapshot of the trial. Raises ValueError: there is none, or it is damaged."""
    name, code = past.view.search, past.codes[0]
    if code is None:
        raise BadSetting(
            f"the code of trial {past.trial.number} of {name!r} was not kept, since an earlier "
            f"version began that search; --here runs it with the code that is here now"
        )
    is_kept = by_value.holds(folder / snapshot.FOLDER / by_value.FOLDER)
    if not snapshot.manifest(folder, code)["sources"] and not is_kept:
        raise BadSetting(
            f"no code was kept of search {name!r}, since all of it is installed as packages; "
            f"--here runs it with those that are here now"
        )
    return code


def _by_value(folder: Path, target: Path) -> list[Path]:
    """A copy of what the search was given by value, if it was."""
    kept = folder / snapshot.FOLDER / by_value.FOLDER
    if not by_value.holds(kept):
        return []
    shutil.copytree(kept, target / by_value.FOLDER)
    return [target / by_value.FOLDER]


def _added(past: _Past) -> list[Path]:
    """The folders that its caller had added to where modules are looked for."""
    code = past.view.begun.code
    return [] if code is None else [Path(path) for path in code.paths or ()]


def _warnings(past: _Past) -> list[str]:
    """What may change numbers, before the run."""
    found = [f"{what}: {one} then, {now} now" for what, one, now in _versions(past)]
    cpus = len(os.sched_getaffinity(0))
    if past.threads > cpus:
        found.append(f"threads: {past.threads} as then, but only {cpus} processors are here")
    found += [f"it is not compared: {what}" for what in past.damaged.values()]
    if len(past.codes) > 1:
        found.append(f"the code changed while trial {past.trial.number} ran; the first is used")
    return found


def _environment_then(view: SearchView, code: str | None, folder: Path) -> dict[str, Any]:
    """Versions and settings of then; of a search whose code was not kept only few are known."""
    if code is not None and not snapshot.damage(folder, code):
        return snapshot.versions(folder, code)
    known = dict(view.spec.packages)
    python = {"python": known.pop("python")} if "python" in known else {}
    now = current_environment(view.spec.threads)
    return {**now, **python, "packages": {**now["packages"], **known}}


def _versions(past: _Past) -> list[tuple[str, str, str]]:
    """What differs now. Variables that are set again do not, and the number of threads is."""
    now = current_environment(past.view.spec.threads)
    plain = [{**one, "environment": _shown(one["environment"])} for one in (past.then, now)]
    return differences(*plain)


def _shown(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name == _DEVICES}


# Running


def _prepare(given: Path | None, usual: Path) -> Path:
    """An empty folder. Raises ValueError if the one that was given is not, or cannot be made."""
    folder, number = (given or usual).absolute(), 1
    while given is None and folder.exists():
        number += 1
        folder = usual.absolute().with_name(f"{usual.name}.{number}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise BadSetting(f"--folder must be empty or new, got {given}")
    except OSError as error:
        raise BadSetting(f"--folder {folder} cannot be written: {error.strerror}") from None
    return folder


def _job(past: _Past, target: Path, code: Path | None) -> dict[str, Any]:
    """What the process is told. A trial that was ended early ends after its last report again."""
    trial, evaluates = past.trial, past.trial.evaluates
    steps = {*past.checkpoints, *({past.test_step} if past.test_step is not None else ())}
    return {
        "experiment": past.view.spec.experiment,
        "config": trial.config,
        "folder": str(target),
        "said": str(target / "said.jsonl"),
        "code": None if code is None else str(code),
        "threads": past.threads,
        "workers": past.workers,
        "own_workers": past.own_workers,
        "purpose": "run" if evaluates is None else "evaluate",
        "restored": None if evaluates is None else evaluates["checkpoint"],
        "last": None if trial.state == "complete" else trial.reports[-1][0],
        "names": sorted(trial.reports[-1][3]),
        "objectives": [metric.name for metric in past.view.spec.metrics],
        "wanted": sorted(steps) if evaluates is None else [],
        "checkpoints": {step: str(path) for step, path in past.checkpoints.items()},
        "test_step": past.test_step,
    }


def _variables(past: _Past) -> dict[str, str | None]:
    """The variables that are kept, as they were; no device for what ran without one."""
    kept = past.then["environment"]
    found = {name: kept.get(name) for name in VARIABLES if name != _DEVICES}
    return found | ({_DEVICES: ""} if past.trial.facts.get("device") == "cpu" else {})


# Comparing


def _rows(past: _Past, records: list[dict[str, Any]]) -> tuple[Row, ...]:
    """All that can be compared, numbers first."""
    now: dict[int, Mapping[str, float]] = {}
    facts: dict[str, Any] = {}
    rows: list[Row] = []
    tested: Mapping[str, float] | None = None
    last = math.inf if past.trial.state == "complete" else past.trial.reports[-1][0]
    for line in records:
        if line["kind"] == "report" and line["metrics"] and line["step"] <= last:
            now[line["step"]] = {**line["metrics"], **now.get(line["step"], {})}
        elif line["kind"] == "described":
            facts.update(line["facts"])
        elif line["kind"] in ("compared", "missing"):
            rows.append(checkpoint_row(line["step"], line if "values" in line else None))
        elif line["kind"] == "tested":
            tested = line["metrics"]
    then = {step: metrics for step, _, _, metrics in past.trial.reports}
    scores = past.trial.tested.get("metrics") or {}
    return (
        *metric_rows(then, now),
        *rows,
        *(Row(f"checkpoint of step {step}", False, what) for step, what in past.damaged.items()),
        *(score_rows(scores, tested) if scores else ()),
        *(fact_rows(past.trial.facts, facts) if facts else ()),
        *version_rows(_versions(past)),
        *_outside_row(records[-1]["outside"]),
    )


def _outside_row(files: list[str]) -> list[Row]:
    if not files:
        return []
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return [Row("code that was not kept", None, ", ".join(files[:3]) + more, False)]
