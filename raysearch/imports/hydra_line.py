"""A Hydra multirun command line in our terms."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, RangeSweep

from raysearch.errors import BadSetting, UnknownName
from raysearch.imports.fields import Fields
from raysearch.imports.hydra_overrides import SWEPT, Override, bounds, range_values, read_override
from raysearch.imports.imported_sweep import ImportedSweep, Parameter
from raysearch.imports.programs import SEEDS, OpenFields, ProgramCall, literal
from raysearch.imports.wandb_ranges import chosen, constant
from raysearch.imports.wandb_sweep import conditions, points
from raysearch.sweeps.distributions import Float, Int
from raysearch.sweeps.unreadable import legible

_WITH_VALUE = ("--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd", "--package")
"""Options of Hydra that take the next word."""
_ENVIRONMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_RAYS = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
"""Variables by which Ray gives each trial its GPUs."""
_SAMPLERS = {
    "tpe": "tpe",
    "random": "random",
    "grid": "grid",
    "cmaes": "cmaes",
    "nsgaii": "nsga2",
    "qmc": "qmc",
    "gp": "gp",
}
"""Those of Hydra's Optuna sweeper."""
_TRIALS = (
    "hydra.sweeper.n_trials",
    "hydra.sweeper.optim.budget",
    "hydra.sweeper.ax_config.max_trials",
)


def read_hydra(line: str, fields: Fields, config_dir: Path | None = None) -> ImportedSweep:
    """The sweep of a command line; with a program in front, or overrides alone.

    Args:
        line: as it is typed in a shell.
        fields: the configuration.
        config_dir: where the groups of `glob()` are; None: there is no glob.

    Raises:
        LookupError, ValueError: what cannot be read or expressed, by its name, in one sentence.
    """
    with legible("--hydra"):
        return _read(line.replace("\\\n", " "), fields, config_dir)


def names_program(line: str) -> bool:
    """Whether a line has a program in front of its overrides."""
    with legible("--hydra"):
        return bool(_split(line.replace("\\\n", " ")).program)


def _read(line: str, fields: Fields, config_dir: Path | None) -> ImportedSweep:
    split = _split(line)
    overrides = _last_of_each([read_override(word) for word in split.overrides])
    own = [each for each in overrides if not re.match(r"hydra[./]", each.key)]
    if not own:
        raise BadSetting(f"--hydra must have at least one override, such as lr=0.1,0.01: {line!r}")
    if isinstance(fields, OpenFields):
        return _of_program(line, split, own, overrides, fields, config_dir)
    for override in own:
        _refuse(override)
    own = [_looked_up(override, config_dir) for override in own]
    paths = fields.resolve([override.key for override in own])
    for override in own:
        if override.key not in paths and isinstance(override.value, SWEPT):
            raise BadSetting(
                f"--map {override.key}=: only a constant can be left out, and {override.key} varies"
            )
    own = [override for override in own if override.key in paths]
    for override in own:
        fields.branch(paths[override.key], _choices(override.value))
    parameters = tuple(_parameter(paths[each.key], each.value, fields) for each in own)
    said = _sweeper([each for each in overrides if each.key.startswith("hydra")], parameters)
    return ImportedSweep(
        tool="Hydra",
        source="a Hydra command line",
        name="multirun",
        sampler=said.sampler,
        trials=said.trials,
        parameters=parameters,
        points=points(parameters),
        notes=(f"imported from: {' '.join(line.split())}", *said.notes),
        conditions=conditions(parameters, fields),
    )


def _of_program(
    line: str,
    split: _Line,
    own: Sequence[Override],
    overrides: Sequence[Override],
    fields: OpenFields,
    config_dir: Path | None,
) -> ImportedSweep:
    """The sweep with its program: what does not vary stays a word of the command."""
    own = [_looked_up(each, config_dir) for each in own]
    swept = [each for each in own if isinstance(each.value, SWEPT)]
    constant = {each.key for each in own} - {each.key for each in swept}
    names = {each.key: f"{each.sign}{_with_package(each)}" for each in swept}
    if not swept:
        raise BadSetting(f"--hydra must have at least one override that varies: {line!r}")
    paths = fields.resolve(names.values())
    for override in swept:
        if names[override.key] not in paths:
            raise BadSetting(
                f"--map {override.key}=: only a constant can be left out, and {override.key} varies"
            )
    seed = next((each for each in paths.values() if each.rpartition(".")[2] in SEEDS), None)
    parameters = tuple(
        _parameter("seed" if path == seed else path, override.value, fields)
        for override, path in zip(swept, paths.values(), strict=True)
    )
    fixed = [word for word in split.overrides if _key_of(word) in constant]
    variables = {name: value for name, value in split.variables.items() if name not in _RAYS}
    call = ProgramCall(
        tuple(map(literal, [*split.program, *fixed])), "hydra", seed=seed, environment=variables
    )
    said = _sweeper([each for each in overrides if each.key.startswith("hydra")], parameters)
    notes = [f"{name}: left out, Ray gives GPUs" for name in split.variables if name in _RAYS]
    return ImportedSweep(
        tool="Hydra",
        source="a Hydra command line",
        name="multirun",
        sampler=said.sampler,
        trials=said.trials,
        parameters=parameters,
        points=points(parameters),
        notes=(f"imported from: {' '.join(line.split())}", *said.notes, *notes),
        program=call,
    )


def _with_package(override: Override) -> str:
    return override.key if override.package is None else f"{override.key}@{override.package}"


def _key_of(word: str) -> str:
    return read_override(word).key


@dataclass
class _Line:
    """The parts of a command line: variables in front, the program and its options, overrides."""

    variables: dict[str, str]
    program: list[str]
    overrides: list[str]


def _split(line: str) -> _Line:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise BadSetting(f"--hydra must be quoted as in a shell: {error}: {line!r}") from None
    words, options = _without_options(words)
    program = [place for place, word in enumerate(words) if not _is_override(word)]
    if not program:
        return _Line({}, [], words)
    first, last = program[0], program[-1]
    before = [word for word in words[:first] if not _ENVIRONMENT.match(word)]
    wrong = next((words[place] for place in range(first, last) if _is_override(words[place])), None)
    if before or wrong:
        raise BadSetting(
            f"--hydra must have overrides behind its program, and {words[last]!r} is none: {line!r}"
        )
    variables = dict(word.split("=", 1) for word in words[:first])
    return _Line(variables, [*words[first : last + 1], *options], words[last + 1 :])


def _without_options(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words without Hydra's options, and those that say which configuration is meant."""
    left: list[str] = []
    options: list[str] = []
    skip = False
    for place, word in enumerate(words):
        if skip:
            skip = False
            options.append(word)
        elif word in _WITH_VALUE:
            skip = True
            options.append(word)
        elif word == "-m" and place and re.search(r"python[\d.]*$", words[place - 1]):
            left.append(word)  # python -m module: the module is the program
        elif not word.startswith("-"):
            left.append(word)
        elif word.startswith(("--config-", "--package=")):
            options.append(word)
    return left, options


def _is_override(word: str) -> bool:
    return "=" in word or word.startswith("~")


def _last_of_each(overrides: Sequence[Override]) -> list[Override]:
    """Of a key that is given twice the last value counts, at its first place, as in Hydra."""
    found: dict[str, Override] = {}
    for override in overrides:
        found[override.key] = override
    return list(found.values())


def _refuse(override: Override) -> None:
    if override.sign == "~":
        raise BadSetting(f"~{override.key} deletes what a configuration here always has")
    if override.package is not None:
        raise BadSetting(
            f"{override.key}@{override.package} puts a group of Hydra's configuration elsewhere, "
            f"which has no groups here; map a name to a path by --map"
        )
    if "${" in str(override.value):
        raise BadSetting(
            f"{override.key} must be a value, got an interpolation of Hydra's own configuration: "
            f"{override.value!r}"
        )


def _looked_up(override: Override, config_dir: Path | None) -> Override:
    """A glob as the choice that it stands for: the files of its group, sorted."""
    if not isinstance(override.value, Glob):
        return override
    if config_dir is None:
        raise BadSetting(
            f"{override.key} is a glob over Hydra's configuration files: say where they are by "
            f"--config-dir, or write the choices out"
        )
    folder = config_dir / override.key
    if not folder.is_dir():
        raise UnknownName(f"--config-dir must have the group {override.key}, a folder: {folder}")
    names = sorted(path.stem for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
    found = override.value.filter(names)
    if not found:
        raise BadSetting(
            f"the glob of {override.key} must match at least one of {', '.join(names) or 'no file'}"
        )
    return replace(override, value=ChoiceSweep(list=list(found)))


def _choices(value: Any) -> list[Any]:
    if isinstance(value, ChoiceSweep):
        return list(value.list)
    return [] if isinstance(value, SWEPT) else [value]


def _parameter(path: str, value: Any, fields: Fields) -> Parameter:
    example = fields.example(path)
    if isinstance(value, IntervalSweep):
        return _interval(path, value)
    if isinstance(value, (ChoiceSweep, RangeSweep)) and "log" in value.tags:
        raise BadSetting(f"{path}: the tag log must be on an interval, such as interval(1, 9)")
    if isinstance(value, RangeSweep):
        return _range(path, value)
    if not isinstance(value, ChoiceSweep):
        return Parameter(path, None, constant(path, value, example))
    for each in value.list:
        if isinstance(each, (list, dict)):
            raise BadSetting(
                f"{path} must have strings, numbers, truth values or null as choices, got {each!r}"
            )
    try:
        found = chosen(path, value.list, example)
    except BadSetting as error:
        said = str(error)
        raise BadSetting(said if said.startswith(path) else f"{path} {said}") from None
    return replace(found, count=len(value.list))  # Hydra runs equal ones too


def _range(path: str, value: RangeSweep) -> Parameter:
    values = list(range_values(value))
    if not values:
        raise BadSetting(f"{path} must have at least one value, got an empty range")
    count, (low, high) = len(values), sorted((values[0], values[-1]))
    if all(type(each) is int for each in values):
        return Parameter(path, Int(low, high, step=abs(int(value.step))), None, count)
    step = abs(float(value.step))
    exact = Float(low, low, step=step)
    top = exact.value(count - 1)
    return Parameter(path, Float(low, top, step=step), None, count)


def _interval(path: str, value: IntervalSweep) -> Parameter:
    log, (low, high) = "log" in value.tags, bounds(value)
    try:
        if type(low) is int and type(high) is int:
            return Parameter(path, Int(low, high, log), None, None)
        return Parameter(path, Float(low, high, log), None, None)
    except ValueError as error:
        raise BadSetting(f"{path} {error}") from None


@dataclass
class _Said:
    """What a line says of the sweeper."""

    sampler: str = "grid"
    trials: int | None = None
    notes: list[str] = field(default_factory=list[str])


def _sweeper(overrides: Sequence[Override], parameters: Sequence[Parameter]) -> _Said:
    """Hydra's own sweeper runs all combinations; its plugins sample."""
    said = _Said()
    continuous = [each.path for each in parameters if each.count is None]
    if continuous:
        said.sampler = "tpe"
    for override in overrides:
        key, value = override.key, override.value
        if key == "hydra/sweeper" and value != "basic":
            said.sampler = "tpe"
        elif key == "hydra/sweeper/sampler":
            if value not in _SAMPLERS:
                raise BadSetting(f"{key} must be {', '.join(_SAMPLERS)}, got {value!r}")
            said.sampler = _SAMPLERS[value]
        elif key in _TRIALS:
            if type(value) is not int or value < 1:
                raise BadSetting(f"{key} must be an integer from 1, got {value!r}")
            said.trials = value
        else:
            said.notes.append(f"{key}: left out, it is about Hydra itself")
    is_basic = not any(each.key == "hydra/sweeper" and each.value != "basic" for each in overrides)
    if continuous and is_basic:
        said.notes.append(
            f"{', '.join(continuous)}: Hydra's own sweeper cannot run an interval, its plugins can"
        )
    if any(type(each.range) is Float and each.count is None for each in parameters):
        said.notes.append("an interval of Hydra leaves its upper end out; here it is a value too")
    return said
