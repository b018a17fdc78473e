"""A Hydra multirun command line in our terms."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from raysearch.errors import BadSetting, UnknownName
from raysearch.imports.fields import Fields
from raysearch.imports.hydra_functions import Choices, Glob, Interval, Range, Swept
from raysearch.imports.hydra_grammar import Override, read_override
from raysearch.imports.imported_sweep import ImportedSweep, Parameter
from raysearch.imports.wandb_ranges import chosen, constant
from raysearch.imports.wandb_sweep import conditions, points
from raysearch.sweeps.distributions import Float, Int
from raysearch.sweeps.unreadable import legible

_WITH_VALUE = ("--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd", "--package")
"""Options of Hydra that take the next word."""
_ENVIRONMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
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


def _read(line: str, fields: Fields, config_dir: Path | None) -> ImportedSweep:
    words = _words(line)
    overrides = _last_of_each([read_override(word) for word in words])
    own = [each for each in overrides if not re.match(r"hydra[./]", each.key)]
    if not own:
        raise BadSetting(f"--hydra must have at least one override, such as lr=0.1,0.01: {line!r}")
    for override in own:
        _refuse(override)
    own = [_looked_up(override, config_dir) for override in own]
    paths = fields.resolve([override.key for override in own])
    for override in own:
        if override.key not in paths and isinstance(override.value, Swept):
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


def _words(line: str) -> list[str]:
    """The overrides of a line: without environment, program and options."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise BadSetting(f"--hydra must be quoted as in a shell: {error}: {line!r}") from None
    words = _without_options(words)
    program = [place for place, word in enumerate(words) if not _is_override(word)]
    if not program:
        return words
    first, last = program[0], program[-1]
    before = [word for word in words[:first] if not _ENVIRONMENT.match(word)]
    wrong = next((words[place] for place in range(first, last) if _is_override(words[place])), None)
    if before or wrong:
        raise BadSetting(
            f"--hydra must have overrides behind its program, and {words[last]!r} is none: {line!r}"
        )
    return words[last + 1 :]


def _without_options(words: Sequence[str]) -> list[str]:
    left: list[str] = []
    skip = False
    for place, word in enumerate(words):
        if skip:
            skip = False
        elif word in _WITH_VALUE:
            skip = True
        elif word == "-m" and place and re.search(r"python[\d.]*$", words[place - 1]):
            continue  # python -m module: the module is the program
        elif not word.startswith("-"):
            left.append(word)
    return left


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
    found = override.value.among(names)
    if not found:
        raise BadSetting(
            f"the glob of {override.key} must match at least one of {', '.join(names) or 'no file'}"
        )
    return replace(override, value=Choices(tuple(found)))


def _choices(value: Any) -> list[Any]:
    if isinstance(value, Choices):
        return list(value.values)
    return [] if isinstance(value, Swept) else [value]


def _parameter(path: str, value: Any, fields: Fields) -> Parameter:
    example = fields.example(path)
    if isinstance(value, Interval):
        return _interval(path, value)
    if isinstance(value, Swept) and value.tags & {"log"}:
        raise BadSetting(f"{path}: the tag log must be on an interval, such as interval(1, 9)")
    if isinstance(value, Range):
        return _range(path, value)
    if not isinstance(value, Choices):
        return Parameter(path, None, constant(path, value, example))
    for each in value.values:
        if isinstance(each, (list, dict)):
            raise BadSetting(
                f"{path} must have strings, numbers, truth values or null as choices, got {each!r}"
            )
    try:
        found = chosen(path, value.values, example)
    except BadSetting as error:
        said = str(error)
        raise BadSetting(said if said.startswith(path) else f"{path} {said}") from None
    return replace(found, count=len(value.values))  # Hydra runs equal ones too


def _range(path: str, value: Range) -> Parameter:
    values = list(value.values())
    if not values:
        raise BadSetting(f"{path} must have at least one value, got an empty range")
    count, (low, high) = len(values), sorted((values[0], values[-1]))
    if all(type(each) is int for each in values):
        return Parameter(path, Int(low, high, step=abs(int(value.step))), None, count)
    step = abs(float(value.step))
    exact = Float(low, low, step=step)
    top = exact.value(count - 1)
    return Parameter(path, Float(low, top, step=step), None, count)


def _interval(path: str, value: Interval) -> Parameter:
    log, (low, high) = "log" in value.tags, (value.low, value.high)
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
