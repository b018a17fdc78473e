"""A W&B sweep, as its YAML states it, in our terms."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import yaml

from raysearch.errors import BadSetting, UnknownName
from raysearch.imports.fields import Fields
from raysearch.imports.imported_sweep import ImportedSweep, Parameter
from raysearch.imports.programs import OpenFields
from raysearch.imports.wandb_command import read_command, states_program
from raysearch.imports.wandb_ranges import Spec, read_range
from raysearch.sweeps.nearest import on_offer
from raysearch.sweeps.sweep import Metric
from raysearch.sweeps.unreadable import legible

_METHODS = {"grid": "grid", "random": "random", "bayes": "tpe"}
_READ = ("name", "description", "method", "metric", "parameters", "early_terminate", "run_cap")
_IGNORED = {
    "program": "the experiment is run here, not a script",
    "command": "the experiment is run here, not a command; what it fixed must be given",
    "project": "see --group",
    "entity": "there is one user",
    "controller": "there is no server",
    "apiVersion": "",
    "version": "",
    "kind": "",
}
"""Keys that mean nothing here, and why."""


def read_wandb(file: str | Path, fields: Fields) -> ImportedSweep:
    """The sweep that a YAML file states.

    Raises:
        LookupError, ValueError: what cannot be read or expressed, by its name, in one sentence.
    """
    with legible(Path(file).name):
        return _read(Path(file), fields)


def _read(path: Path, fields: Fields) -> ImportedSweep:
    stated = _load(path)
    method = stated.get("method")
    if not isinstance(method, str) or method not in _METHODS:
        raise BadSetting(f"method must be {', '.join(_METHODS)}, got {method!r}")
    if "parameters" not in stated:
        raise BadSetting(
            f"{path.name} must state its parameters by name below `parameters:`, got "
            f"{', '.join(stated)}"
        )
    specs = dict(_flat(stated["parameters"]))
    paths = fields.resolve(specs)
    _refuse_left_out(specs, paths)
    for name in paths:
        fields.branch(paths[name], _choices(specs[name]))
    parameters = tuple(
        read_range(
            paths[name], specs[name], grid=method == "grid", example=fields.example(paths[name])
        )
        for name in paths
    )
    program, remarks = None, list[str]()
    if isinstance(fields, OpenFields):
        command = read_command(stated, list(paths.values()))
        program, remarks = command.call, list(command.notes)
        parameters = tuple(_seeded(each, program.seed) for each in parameters)
    pruner, notes = _pruner(stated.get("early_terminate"))
    metric, more = _metric(stated, fields)
    return ImportedSweep(
        tool="W&B",
        source=path.name,
        name=str(stated.get("name") or path.stem),
        sampler=_METHODS[method],
        pruner=pruner,
        trials=_trials(stated),
        metric=metric,
        parameters=parameters,
        points=points(parameters),
        question=str(stated.get("description") or ""),
        notes=(*_ignored(stated, program is not None), *remarks, *notes, *more),
        conditions=conditions(parameters, fields),
        program=program,
    )


def keeps_program(file: Path) -> bool:
    """Whether a YAML file names what it runs."""
    with legible(file.name):
        return states_program(_load(file))


def points(parameters: tuple[Parameter, ...]) -> int | None:
    """The number of combinations of all values; None if there are infinitely many."""
    counts = [parameter.count for parameter in parameters]
    return None if None in counts else math.prod(count or 1 for count in counts)


def conditions(
    parameters: tuple[Parameter, ...], fields: Fields
) -> dict[str, tuple[str, tuple[object, ...]]]:
    """Parameters that only some of the variants have that the sweep chooses from."""
    found = {each.path: fields.condition(each.path) for each in parameters}
    return {path: condition for path, condition in found.items() if condition is not None}


def _load(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise UnknownName(f"there is no file {str(path)!r} to import")
    try:
        stated = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except yaml.YAMLError as error:
        raise BadSetting(f"{path.name} must be YAML: {' '.join(str(error).split())}") from None
    if not isinstance(stated, dict):
        raise BadSetting(f"{path.name} must state method and parameters, got {stated!r}")
    known = (*_READ, *_IGNORED)
    for key in cast("dict[str, Any]", stated):
        if key not in known:
            raise UnknownName(
                f"{path.name} states {key!r}, which W&B does not{on_offer(key, known)}"
            )
    return cast("dict[str, Any]", stated)


def _flat(parameters: object, prefix: str = "") -> Iterator[tuple[str, Spec]]:
    """All parameters; those of a nested one by dotted names."""
    if not isinstance(parameters, dict) or not parameters:
        where = f" of {prefix.rstrip('.')}" if prefix else ""
        raise BadSetting(f"parameters{where} must be a mapping of names, got {parameters!r}")
    for name, spec in cast("dict[str, Any]", parameters).items():
        if not isinstance(spec, dict):
            raise BadSetting(f"{prefix}{name} must be a mapping, such as value: 3, got {spec!r}")
        _refuse_nested(f"{prefix}{name}", cast("dict[str, Any]", spec))
        if set(cast("dict[str, Any]", spec)) == {"parameters"}:
            yield from _flat(spec["parameters"], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", cast("Spec", spec)


def _refuse_nested(name: str, spec: Mapping[str, Any]) -> None:
    """Parameters within a parameter that do not stand below `parameters:`, as W&B wants them."""
    inner = [key for key, each in spec.items() if isinstance(each, dict)]
    inner = [key for key in inner if key not in ("parameters", "value")]
    if inner:
        raise BadSetting(
            f"{name} must state {', '.join(inner)} below a `parameters:` of its own, as W&B wants "
            f"what is nested: {name}: {{parameters: {{{inner[0]}: …}}}}"
        )


def _choices(spec: Spec) -> list[object]:
    return [spec["value"]] if "value" in spec else list(spec.get("values") or [])


def _refuse_left_out(specs: Mapping[str, Spec], paths: Mapping[str, str]) -> None:
    for name in specs.keys() - paths.keys():
        if "value" not in specs[name]:
            raise BadSetting(f"--map {name}=: only a constant can be left out, and {name} varies")


def _metric(stated: Mapping[str, Any], fields: Fields) -> tuple[Metric | None, list[str]]:
    """The metric; W&B's engine compares the best value of a run, and so do we."""
    metric = stated.get("metric")
    if metric is None:
        return None, []
    if not isinstance(metric, dict) or not isinstance(metric.get("name"), str):
        raise BadSetting(f"metric must state a name, got {metric!r}")
    goal = str(metric.get("goal", "minimize"))
    if goal not in ("minimize", "maximize"):
        raise BadSetting(f"goal of metric must be minimize or maximize, got {goal!r}")
    notes = [
        f"metric.{key}: left out, {why}"
        for key, why in (
            ("target", "a search does not end at a value"),
            ("impute", "trials without a value are told infeasible"),
        )
        if key in metric
    ]
    name = fields.metric(metric["name"])
    return Metric(name, goal, reduce="best"), notes


def _trials(stated: Mapping[str, Any]) -> int | None:
    cap = stated.get("run_cap")
    if cap is not None and (type(cap) is not int or cap < 1):
        raise BadSetting(f"run_cap must be an integer from 1, got {cap!r}")
    return cap


def _seeded(parameter: Parameter, seed: str | None) -> Parameter:
    """The parameter that is the seed, by our name for it."""
    return replace(parameter, path="seed") if parameter.path == seed else parameter


def _ignored(stated: Mapping[str, Any], is_kept: bool) -> list[str]:
    kept = ("program", "command") if is_kept else ()
    left = [key for key in stated if key not in kept and _IGNORED.get(key)]
    notes = [f"{key}: left out, {_IGNORED[key]}" for key in left]
    if "run_cap" not in stated and stated["method"] != "grid":
        notes.append("run_cap: not stated, so that W&B would go on for ever; 32 trials here")
    return notes


def _pruner(stated: object) -> tuple[str, list[str]]:
    """W&B's hyperband is what we call successive halving: one bracket, in which runs end.

    With `min_iter` the rungs are min_iter·eta^k; with `max_iter` they are max_iter/eta^k for k up
    to s, rounded down, of which the lowest is our first.
    """
    if stated is None:
        return "none", []
    if not isinstance(stated, dict) or stated.get("type") != "hyperband":
        raise BadSetting(f"type of early_terminate must be hyperband, got {stated!r}")
    given = cast("dict[str, Any]", stated)
    eta = given.get("eta", 3)
    if not _is_whole(eta) or eta < 2:
        raise BadSetting(f"eta of early_terminate must be an integer from 2 here, got {eta!r}")
    notes = [
        "early_terminate: W&B counts reports, from 0, and ends a run whose best value so far is "
        "worse than the best 1/eta of those at the last rung; here a rung is in units of the "
        "fidelity, and a trial must be among the best 1/factor there",
    ]
    if "max_iter" in given:  # W&B too looks at it first
        first, rungs = _from_the_top(given, int(eta))
        notes.append(f"early_terminate: W&B's rungs are {', '.join(map(str, rungs))}")
    else:
        first = given.get("min_iter")
        if not _is_whole(first) or cast("int", first) < 1:
            raise BadSetting(f"min_iter of early_terminate must be from 1, got {first!r}")
        if "s" in given:
            notes.append("early_terminate.s: left out, W&B does not use it with min_iter")
    return f"successive-halving:min={int(cast('int', first))},factor={int(eta)}", notes


def _from_the_top(given: Mapping[str, Any], eta: int) -> tuple[int, list[int]]:
    most, count = given["max_iter"], given.get("s")
    if not _is_whole(most) or not _is_whole(count):
        raise BadSetting(
            f"max_iter and s of early_terminate must both be integers, got {most!r} and {count!r}"
        )
    rungs = sorted(int(most / eta**k) for k in range(1, int(cast("int", count)) + 1))
    rungs = [rung for rung in rungs if rung >= 1]
    if not rungs:
        raise BadSetting(f"max_iter of early_terminate must be at least eta ({eta}), got {most}")
    return rungs[0], rungs


def _is_whole(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return math.isfinite(value) and value == int(value)
