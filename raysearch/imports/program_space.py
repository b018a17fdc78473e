"""A space for a program, as YAML or Python states it, written as a sweep of ours."""

from __future__ import annotations

import ast
import importlib.util
import keyword
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from raysearch.errors import BadSetting, UnknownName
from raysearch.files import appearing
from raysearch.imports.imported_sweep import Parameter
from raysearch.imports.wandb_ranges import read_range
from raysearch.sweeps.distributions import Choice, Distribution, Float, Int
from raysearch.sweeps.nearest import on_offer
from raysearch.sweeps.sweep import Metric
from raysearch.sweeps.unreadable import legible

_RANGE = ("low", "high", "log", "step")
_TAKEN = ("Metric", "Program", "program", "space", "sweep")
"""Names that a module that is written has besides that of its sweep."""
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True)
class ProgramSweep:
    """What a sweep over a program is written from.

    `stated` are the arguments of `Program` besides the command; `function` is the name of a
    function in `module` that gives the values of a trial, where there are no `parameters`.
    """

    command: str
    stated: Mapping[str, Any]
    metric: Metric
    parameters: Sequence[Parameter] = ()
    module: str = ""
    function: str = ""


def read_space(path: Path) -> tuple[list[Parameter], str]:
    """The parameters of a YAML file, or none and the name of the function of a Python file.

    `lr: {low: 1e-5, high: 1e-1, log: true}`, whole numbers as ends for whole numbers,
    `activation: [relu, gelu]`, `epochs: 5`; or the `parameters` of W&B.

    Raises:
        UnknownName: there is no such file. BadSetting: what cannot be read, by its name.
    """
    if not path.is_file():
        raise UnknownName(f"--space must be a file that is there, got {str(path)!r}")
    if path.suffix == ".py":
        return [], _function(path)
    if path.suffix not in (".yaml", ".yml", ".json"):
        raise BadSetting(f"--space must be a YAML or Python file, got {str(path)!r}")
    with legible(path.name):
        try:
            stated = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
        except yaml.YAMLError as error:
            raise BadSetting(f"{path.name} must be YAML: {' '.join(str(error).split())}") from None
    if not isinstance(stated, dict) or not stated:
        raise BadSetting(
            f"{path.name} must have a range, a list or a value by name, got {stated!r}"
        )
    known = cast("dict[Any, Any]", stated)
    if isinstance(known.get("parameters"), dict):
        specs = cast("dict[str, Any]", known["parameters"])
        return [
            read_range(name, spec, grid=False, example=None) for name, spec in specs.items()
        ], ""
    return [_parameter(name, value) for name, value in known.items()], ""


def _parameter(name: Any, value: Any) -> Parameter:
    if not isinstance(name, str):
        raise BadSetting(f"the name of a value must be a text, got {name!r}; put it into quotes")
    if isinstance(value, list):
        choices = tuple(_scalar(name, _number(each)) for each in cast("list[Any]", value))
        return Parameter(name, _ranged(name, lambda: Choice(choices)))
    if not isinstance(value, dict):
        return Parameter(name, None, _scalar(name, _number(value)))
    stated = cast("dict[str, Any]", value)
    for key in stated:
        if key not in _RANGE:
            raise BadSetting(
                f"{name} must have low, high and perhaps log or step, got {key!r}"
                f"{on_offer(key, _RANGE)}"
            )
    if not {"low", "high"} <= set(stated):
        raise BadSetting(f"{name} must have low and high, got {stated}")
    low, high, step = (_number(stated.get(key)) for key in ("low", "high", "step"))
    log = stated.get("log", False)
    if type(log) is not bool:
        raise BadSetting(f"{name}: log must be true or false, got {log!r}")
    if all(type(each) is int for each in (low, high)) and not isinstance(step, float):
        return Parameter(name, _ranged(name, lambda: Int(low, high, log=log, step=step or 1)))
    return Parameter(name, _ranged(name, lambda: Float(low, high, log, step)))


def _scalar(name: str, value: Any) -> Any:
    """A value that Python and a program can have, or the sentence on what YAML alone has."""
    if isinstance(value, float) and not math.isfinite(value):
        raise BadSetting(f"{name} must have finite numbers, got {value!r}")
    if value is None or isinstance(value, (str, int, float)):
        return value
    kind = "text, number, true, false or null"
    if isinstance(value, (list, dict)):
        raise BadSetting(
            f"{name} must have in its list a {kind} each, got {value}; write each as a text, such "
            f"as '64,128', which the program takes apart"
        )
    raise BadSetting(
        f"{name} must be a {kind}, or a list of them, got {value}, which YAML reads as of type "
        f"{type(value).__name__}; put it into quotes if it is a text"
    )


def _ranged(name: str, make: Any) -> Distribution:
    try:
        return make()
    except BadSetting as error:
        raise BadSetting(f"{name} {error}") from None


def _number(value: Any) -> Any:
    """`1e-5` is a text for YAML, and a number for everybody else."""
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value


def _function(path: Path) -> str:
    """The one function of a Python file, or `space` of several; nothing is executed."""
    if not path.stem.isidentifier() or keyword.iskeyword(path.stem):
        raise BadSetting(
            f"--space must be named as a module that Python imports, such as space.py, got "
            f"{path.name!r}"
        )
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        raise BadSetting(f"{path.name} must be Python: {error}") from None
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    public = [name for name in names if not name.startswith("_")]
    if "space" in public or len(public) == 1:
        return "space" if "space" in public else public[0]
    raise BadSetting(
        f"{path.name} must have a function space(trial) that returns the values by name, got "
        f"{', '.join(public) or 'no function'}"
    )


def write(sweep: ProgramSweep, stem: str) -> str:
    """Writes a module with this sweep into the current folder; the reference of the sweep.

    A file that says the same already is taken; one that says anything else is left alone.
    """
    number = 1
    plain = re.sub(r"\W+", "_", stem).strip("_") or "program"
    plain = plain if plain.isidentifier() else f"sweep_{plain}"
    is_free = plain not in _TAKEN and not keyword.iskeyword(plain)
    function = plain if is_free else f"{plain}_sweep"
    while True:
        name = f"{plain}_sweep{'' if number == 1 else f'_{number}'}"
        text, path = source(sweep, function), Path(f"{name}.py")
        known = path.read_text() if path.is_file() else None
        if known == text:
            return f"{name}:{function}"
        if known is None and importlib.util.find_spec(name) is None:
            break
        number += 1
    with appearing(path) as partial:
        partial.write_text(text)
    return f"{name}:{function}"


def source(sweep: ProgramSweep, function: str) -> str:
    """The source of a module with this one sweep."""
    stated = [f"    {_literal(sweep.command)},"]
    stated += [f"    {name}={_literal(value)}," for name, value in sweep.stated.items()]
    imports = [
        "from raysearch import Program",
        "from raysearch.sweeps.sweep import Metric, sweep",
        *([f"from {sweep.module} import {sweep.function} as space"] if sweep.function else []),
    ]
    metric = f"Metric({_literal(sweep.metric.name)}, {_literal(sweep.metric.direction)})"
    command = " ".join(sweep.command.split()).replace("\\", "\\\\").replace('"""', "'''")
    return "\n".join(
        [
            f'"""A search over a program: {command} ."""',
            "",
            *imports,
            "",
            "program = Program(",
            *stated,
            ")",
            "",
            "",
            f"@sweep(metrics=[{metric}])",
            f"def {function}(trial):",
            '    """Values of a trial by name; to be edited."""',
            *_returned(sweep),
            "",
        ]
    ).replace(' ."""', '."""', 1)


def _returned(sweep: ProgramSweep) -> list[str]:
    if sweep.function:
        return ["    return program(space(trial))"]
    entries = [f"            {_literal(one.path)}: {_value(one)}," for one in sweep.parameters]
    return ["    return program(", "        {", *entries, "        }", "    )"]


def _value(parameter: Parameter) -> str:
    name, found = _literal(parameter.path), parameter.range
    if found is None:
        return repr(parameter.value)
    if isinstance(found, Choice):
        return f"trial.suggest_categorical({name}, {list(found.choices)!r})"
    more = ", log=True" if found.log else ""
    if isinstance(found, Int):
        more += f", step={found.step}" if found.step != 1 else ""
        return f"trial.suggest_int({name}, {found.low}, {found.high}{more})"
    more += f", step={found.step!r}" if found.step is not None else ""
    return f"trial.suggest_float({name}, {found.low!r}, {found.high!r}{more})"


def _literal(value: Any) -> str:
    """As Python writes it, with double quotes where that costs nothing."""
    shown = repr(value)
    if isinstance(value, str) and shown.startswith("'") and '"' not in value:
        return f'"{shown[1:-1]}"'
    return shown
