"""From a request to the specification of a search, with all checks of what is asked for."""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from raysearch.driver.requested import plain_options
from raysearch.driver.resources import Machine, parse_memory, resources
from raysearch.errors import BadSetting, UnknownName, foreign
from raysearch.passwords import hidden
from raysearch.provenance.origin import git_state, user_here, versions
from raysearch.results.averaged import foreseen_means
from raysearch.settings import STORE, TRACKING, Settings
from raysearch.study.known_trials import read_known
from raysearch.sweeps import by_value
from raysearch.sweeps.catalog import find_sweep
from raysearch.sweeps.checks import check_space
from raysearch.sweeps.fresh_process import Elsewhere
from raysearch.sweeps.nearest import on_offer
from raysearch.sweeps.program import PROGRAM
from raysearch.sweeps.program_config import split
from raysearch.sweeps.pruners import Joined, PruningRule
from raysearch.sweeps.requirements import refuse_lacks
from raysearch.sweeps.samplers import SamplingRule
from raysearch.sweeps.search_spec import KnownTrial, KnownTrials, MetricSpec, SearchSpec
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Incomplete, Sweep, bare, check_incomplete
from raysearch.sweeps.values import as_json, spelled
from raysearch.tracking.registry import read_track

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
_OURS = ("mlartifacts", "mlruns", "train", "evaluate", "repro", "comparisons")
"""Folders beside those of searches."""
_SOME = 16
"""Points at which given values are held against what the sweep offers."""
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RESOURCES = ("workers", "gpus", "memory", "concurrent")
"""What of a request is asked of the machine."""


@dataclass(frozen=True)
class Request:
    """What a user asks for; None means what the sweep says.

    `overrides` are dotted paths with values: one that the sweep samples is fixed, another replaces
    what the sweep sets. Times are in seconds: `time` for the whole search, `trial_time` for each
    trial, `time_box` for this command. A trial has `workers`, each with so many `gpus`; `memory` is
    in bytes a trial, `disk` in bytes for all checkpoints. `of` names the search whose finished
    trials are evaluated, the best `top` of them. `known` is a CSV or JSON file with the results of
    past runs (`bring.known`). More than `max_failures` failed trials, a number or a share as `20%`,
    end the search. `track` names what the events are written to, as `mlflow,tensorboard` (None:
    MLflow). On a cluster that others use too, `user` is whose share it takes from
    (None: the one who runs it), and of two searches that with the higher `priority` goes first.
    """

    space: str
    overrides: Mapping[str, object] = field(default_factory=dict[str, object])
    trials: int | None = None
    time: float | None = None
    sampler: str | None = None
    pruner: str | None = None
    seed: int = 0
    concurrent: int | None = None
    memory: int | None = None
    workers: int | None = None
    gpus: float | None = None
    name: str | None = None
    trial_time: float | None = None
    time_box: float | None = None
    disk: int | None = None
    repeats: int | None = None
    finalists: int | None = None
    incomplete: str | None = None
    group: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    notes: str | None = None
    of: str | None = None
    top: int | None = None
    known: str | None = None
    user: str | None = None
    priority: int = 0
    max_failures: str | None = None
    track: str | None = None

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON: two requests are identical if this is."""
        return json.loads(json.dumps(asdict(self), default=dict))


def parse_overrides(arguments: Iterable[str]) -> dict[str, object]:
    """`path=value` arguments as a mapping; a value is read as JSON, else as a word.

    Raises:
        ValueError: an argument without `=`, or a path given twice.
    """
    values: dict[str, object] = {}
    for argument in arguments:
        path, equals, text = argument.partition("=")
        if not equals or not path:
            raise BadSetting(
                f"{argument!r} must have the form path=value, such as optimizer.lr=0.001"
            )
        if path in values:
            raise BadSetting(f"{path} is given twice: {values[path]!r} and {text!r}")
        try:
            values[path] = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            values[path] = text
    return values


def _refuse_constant(text: str) -> float:
    """`NaN` and `Infinity`, which Python reads as JSON, are words: no value here is one."""
    raise json.JSONDecodeError("no number", text, 0)


def parse_time(text: str, option: str = "--time") -> float:
    """Seconds: `90`, `90s`, `15m`, `2h`, `1d`. Raises ValueError naming what is allowed."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    if not match or float(match[1]) <= 0:
        raise BadSetting(
            f"{option} must be a positive duration such as 90s, 15m or 2h, got {text!r}"
        )
    return float(match[1]) * _SECONDS[match[2]]


def make_request(space: str, overrides: Mapping[str, object], **options: Any) -> Request:
    """A request whose times and sizes may be texts such as `15m` and `2G`, or plain numbers.

    Raises:
        BadSetting: a text that is neither, or a value of another kind. UnknownName: an option that
            does not exist.
    """
    known = [each.name for each in fields(Request) if each.name not in ("space", "overrides")]
    for name in options:
        if name not in known:
            raise UnknownName(f"a search has no option {name!r}{on_offer(name, known)}")
    for name, read in (
        ("time", parse_time),
        ("trial_time", parse_time),
        ("time_box", parse_time),
        ("memory", parse_memory),
        ("disk", parse_memory),
    ):
        if options.get(name) is not None:
            options[name] = read(str(options[name]), f"--{name.replace('_', '-')}")
    if options.get("known") is not None:
        options["known"] = str(options["known"])
    for name in ("sampler", "pruner"):
        if isinstance(options.get(name), (SamplingRule, PruningRule, Joined)):
            options[name] = str(options[name])
    if isinstance(track := options.get("track"), (list, tuple)):
        options["track"] = ",".join(map(str, track)) or "none"
    given = {"space": space, "overrides": overrides, **options}
    plain = plain_options(given, get_type_hints(Request))
    values: Mapping[str, object] = plain.pop("overrides")
    return Request(overrides={path: as_json(path, one) for path, one in values.items()}, **plain)


@dataclass(frozen=True)
class Plan:
    """A checked search that has not begun: its sweep, its space, and its specification."""

    sweep: Sweep
    space: Space
    spec: SearchSpec


def plan(request: Request, settings: Settings, machine: Machine, *, quick: bool = False) -> Plan:
    """Checks a request and writes down the specification of its search; touches no store.

    With `quick` sampler and pruner are not checked, for which Optuna is imported, nor is whether
    all data is there.

    Raises:
        LookupError, ValueError: one sentence that names the field, the value and what is allowed.
    """
    sweep = find_sweep(request.space, settings.sweeps)
    space = Space(sweep, _given(request, sweep))
    check_space(space)
    sampler, pruner = request.sampler or sweep.sampler, request.pruner or sweep.pruner
    with _asked_elsewhere(sweep, space, settings, quick):
        trials = _trials(request, sweep, space, sampler)
        if not quick:
            _check_parts(request, sampler, pruner, sweep, space)
            if sweep.evaluates is None:
                refuse_lacks(space)
        _check_evaluation(request, sweep, sampler, pruner)
        repeats, finalists = _at_least_one(request, sweep)
    declared = _declared(sweep, space)
    spec = SearchSpec(
        **declared,
        **resources(
            sweep,
            machine,
            experiment=declared["experiment"],
            **{name: getattr(request, name) for name in _RESOURCES},
        ),
        sampler=sampler,
        pruner=pruner,
        trials=trials,
        points=space.count().distinct if _is_grid(sampler) else None,
        distinct=space.count().distinct,
        seed=request.seed,
        fixed=dict(space.fixed),
        warnings=tuple(foreseen_means(sweep, space)),
        outside=_outside(space),
        time=request.time,
        trial_time=request.trial_time,
        disk=request.disk,
        max_failures=_limit_of_failures(request),
        repeats=repeats,
        finalists=finalists,
        incomplete=_incomplete(request, sweep),
        group=sweep.group if request.group is None else request.group,
        tags={**sweep.tags, **request.tags},
        notes=sweep.notes if request.notes is None else request.notes,
        known=_known(request, space),
        request=request.to_json(),
        git=git_state(Path.cwd()),
        packages=versions(),
        command=hidden(" ".join(["raysearch", *sys.argv[1:]])),
        tracking_uri=settings.pinned_tracking,
        user=request.user or user_here(),
        priority=request.priority,
    )
    return Plan(sweep, space, spec)


def _limit_of_failures(request: Request) -> str | None:
    from raysearch.study.failures import parse_limit

    return None if request.max_failures is None else parse_limit(request.max_failures)


def _known(request: Request, space: Space) -> KnownTrials | None:
    if request.known is None:
        return None
    rows = read_known(request.known, space)
    trials = (KnownTrial(row["params"], tuple(row["values"])) for row in rows)
    return KnownTrials(tuple(trials), request.known)


def _asked_elsewhere(
    sweep: Sweep, space: Space, settings: Settings, quick: bool
) -> AbstractContextManager[object]:
    asks = not quick and is_asked_elsewhere(sweep, settings)
    return Elsewhere(space) if asks else nullcontext()


def is_asked_elsewhere(sweep: Sweep, settings: Settings) -> bool:
    """Whether a search asks fresh processes too: not of a sweep installed with its tests."""
    return sweep.function.__module__.partition(".")[0] not in settings.sweeps


def _given(request: Request, sweep: Sweep) -> dict[str, object]:
    """The values that are given, in the words of JSON."""
    if not request.overrides:
        return {}
    return spelled(request.overrides, Space(sweep).sample(random.Random(0)).config)


def _declared(sweep: Sweep, space: Space) -> dict[str, Any]:
    """What the sweep says of itself and of what it runs."""
    first = next(iter(space.preview(1)))
    return {
        "sweep": sweep.reference,
        "sweep_name": sweep.name,
        "experiment": by_value.experiment_of(first.config, sweep),
        "family": first.config.name,
        "metrics": tuple(
            MetricSpec(metric.name, metric.direction, metric.reduce) for metric in sweep.metrics
        ),
        "fidelity": sweep.fidelity,
        "space": space.fingerprint(),
        "defaults": defaults_of(first.config),
        "question": sweep.question,
    }


def defaults_of(config: Any) -> str:
    """The digest of the default configuration. Raises BadSetting if a class has no default."""
    kind = type(config)
    with foreign(f"the default of {kind.__name__}"):
        return kind().digest()


def programs_of(space: Space) -> list[Path]:
    """The folder of the program that a sweep runs, if it runs one."""
    first = next(iter(space.preview(1))).config
    if first.experiment != PROGRAM:
        return []
    return [Path(split(first.to_json())[2]["folder"])]


def _outside(space: Space) -> dict[str, str]:
    """The given values that lie outside of what the sweep offers: their paths and that."""
    return {
        bare(name): str(distribution)
        for point in space.preview(_SOME)
        for name, (value, distribution) in point.answered.items()
        if not distribution.contains(value)
    }


def _check_evaluation(request: Request, sweep: Sweep, sampler: str, pruner: str) -> None:
    if sweep.evaluates is not None and (not _is_grid(sampler) or pruner != "none"):
        raise BadSetting(
            f"--sampler and --pruner of {sweep.name} must be grid and none, since it evaluates "
            f"finished trials, got {sampler!r} and {pruner!r}"
        )
    if sweep.evaluates is not None and request.known is not None:
        raise BadSetting(f"--known is for sweeps that train, and {sweep.name} evaluates")
    if sweep.evaluates is None and (request.of is not None or request.top is not None):
        raise BadSetting(f"--of and --top are for sweeps that evaluate, and {sweep.name} does not")


def _check_parts(request: Request, sampler: str, pruner: str, sweep: Sweep, space: Space) -> None:
    check_study(sampler, pruner, sweep, space)
    if request.track is not None:
        read_track(request.track)


def check_study(sampler: str, pruner: str, sweep: Sweep, space: Space) -> None:
    """Refuses samplers and pruners that do not exist or cannot do this sweep."""
    from raysearch.study.pruners import check_pruner
    from raysearch.study.samplers.named import check_sampler

    check_sampler(sampler, sweep, space)
    check_pruner(pruner, sweep)


def check_name(name: str, what: str = "--name") -> None:
    """Refuses a name of a search that could not be a folder, or is that of something else."""
    if not _NAME.fullmatch(name):
        raise BadSetting(
            f"{what} must begin with a letter or digit and hold at most 80 letters, digits, '-', "
            f"'_' or '.', got {name!r}"
        )
    own = name.casefold()  # some disks know no other
    if own in _OURS or own.startswith((STORE, TRACKING)):
        raise BadSetting(
            f"{what} must be none of {', '.join(_OURS)}, {STORE} and {TRACKING}, which have a "
            f"meaning of their own in a folder of runs, got {name!r}"
        )


def _trials(request: Request, sweep: Sweep, space: Space, sampler: str) -> int | None:
    grid = _is_grid(sampler)
    stated = None if grid and not _is_grid(sweep.sampler) else sweep.trials
    trials = request.trials if request.trials is not None else stated
    if trials is not None and trials < 1:
        raise BadSetting(f"--trials must be at least 1, got {trials}")
    if trials is None and not grid and request.time is None:
        if space.count().points is None:
            raise BadSetting(
                f"--trials must be given: the sweep {sweep.name} states no number of trials and "
                f"the sampler {sampler!r} would never end in an infinite space"
            )
    return trials


def _is_grid(sampler: str) -> bool:
    return sampler.partition(":")[0] == "grid"


def _at_least_one(request: Request, sweep: Sweep) -> tuple[int, int]:
    """How many seeds, and of how many of the best."""
    found: list[int] = []
    for option, given, stated in (
        ("--repeats", request.repeats, sweep.repeats),
        ("--finalists", request.finalists, sweep.finalists),
    ):
        if given is not None and given < 1:
            raise BadSetting(f"{option} must be at least 1, got {given}")
        found.append(stated if given is None else given)
    return found[0], found[1]


def _incomplete(request: Request, sweep: Sweep) -> Incomplete:
    """Where a configuration stands of which a seed was lost."""
    chosen = request.incomplete or sweep.incomplete
    check_incomplete("--incomplete", chosen)
    return "rank" if chosen == "rank" else "last"
