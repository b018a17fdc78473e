"""A sweep of another tool as readable Python, laid out as ruff would."""

from __future__ import annotations

import keyword
import re
import textwrap
import unicodedata
from collections.abc import Sequence

from raysearch.imports.imported_sweep import ImportedSweep, Parameter
from raysearch.sweeps.distributions import Choice, Int
from raysearch.sweeps.sweep import Config, Metric

_WIDTH = 100
_INDENT = "    "
_Argument = str | list[str]
"""An argument as text, or the elements of a list."""


def write_sweep(imported: ImportedSweep, kind: type[Config], metric: Metric) -> str:
    """The source of a module with this one sweep."""
    parts = [
        _docstring(imported),
        "from __future__ import annotations",
        f"from raysearch.sweeps.sweep import Metric, sweep\n"
        f"from {kind.__module__} import {kind.__qualname__}",
    ]
    body = "\n".join(_decorator(imported, metric) + _function(imported, kind))
    return "\n\n".join(parts) + "\n\n\n" + body + "\n"


def function_name(imported: ImportedSweep) -> str:
    """Its name as a Python function can have it: `LR sweep (v2)` → `lr_sweep_v2`."""
    plain = unicodedata.normalize("NFKD", imported.name).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")
    is_free = name.isidentifier() and not keyword.iskeyword(name) and name not in ("sweep", "trial")
    return name if is_free else f"sweep_{name or 1}"


def _docstring(imported: ImportedSweep) -> str:
    first = f"A sweep that was imported from {imported.source} ({imported.tool})."
    if not imported.notes:
        return f'"""{_safe(first)}"""'
    lines = [f'"""{_safe(first)}', ""]
    for note in imported.notes:
        lines += textwrap.wrap(
            _safe(note), _WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False
        )
    return "\n".join([*lines, '"""'])


def _safe(text: str) -> str:
    """A text that a docstring can hold."""
    return text.replace("\\", "\\\\").replace('"""', "'''").rstrip('"')


def _decorator(imported: ImportedSweep, metric: Metric) -> list[str]:
    how = f", reduce={_text(metric.reduce)}" if metric.reduce != "last" else ""
    stated = [
        f"metrics=[Metric({_text(metric.name)}, {_text(metric.direction)}{how})],",
        f"sampler={_text(imported.sampler)},",
    ]
    if imported.pruner != "none":
        stated.append(f"pruner={_text(imported.pruner)},")
    if imported.trials is not None:
        stated.append(f"trials={imported.trials},")
    if imported.sampler == "grid" and imported.points is not None:
        stated.append(f"stated={imported.points // imported.repeats},")
    if imported.repeats > 1:
        stated.append(f"repeats={imported.repeats},")
    if imported.question:
        stated += _question(" ".join(imported.question.split()))
    stated.append(f'tags={{"imported": {_text(imported.tool)}}},')
    return ["@sweep(", *(f"{_INDENT}{each}" for each in stated), ")"]


def _question(text: str) -> list[str]:
    """One that does not fit in a line is put together from several."""
    whole = f"question={_text(text)},"
    if len(_INDENT) + len(whole) <= _WIDTH:
        return [whole]
    lines = textwrap.wrap(text, _WIDTH - 2 * len(_INDENT) - 12, break_on_hyphens=False)
    lines = [f"{line} " for line in lines[:-1]] + lines[-1:]
    return ["question=(", *(f"{_INDENT}{_text(line)}" for line in lines), "),"]


def _function(imported: ImportedSweep, kind: type[Config]) -> list[str]:
    name = kind.__qualname__
    conditional = [each for each in imported.parameters if each.path in imported.conditions]
    always = [each for each in imported.parameters if each.path not in imported.conditions]
    lines = [
        f"def {function_name(imported)}(trial):",
        f'{_INDENT}"""{_counted(imported)}"""',
        f"{_INDENT}values: dict[str, object] = {{" + ("" if always else "}"),
    ]
    for parameter in always:
        lines += _entry(parameter, f"{_text(parameter.path)}: ", ",", 2)
    lines += [f"{_INDENT}}}"] if always else []
    for parameter in conditional:
        chooser, having = imported.conditions[parameter.path]
        lines.append(f"{_INDENT}if values[{_text(chooser)}] {_is_one_of(having)}:")
        lines += _entry(parameter, f"values[{_text(parameter.path)}] = ", "", 2)
    return [*lines, f"{_INDENT}return {name}().with_values(values)"]


def _counted(imported: ImportedSweep) -> str:
    if imported.points is None:
        return f"{imported.tool} samples it from infinitely many points."
    are = "point" if imported.points == 1 else "points"
    return f"{imported.points} {are} as {imported.tool} counts."


def _is_one_of(values: Sequence[object]) -> str:
    if len(values) == 1:
        return f"== {_value(values[0])}"
    return f"in ({', '.join(map(_value, values))})"


def _entry(parameter: Parameter, begin: str, end: str, depth: int) -> list[str]:
    """One line, or a call that is broken where ruff would break it; its remark above."""
    indent = _INDENT * depth
    remark = [
        f"{indent}# {line}" for line in textwrap.wrap(parameter.remark, _WIDTH - len(indent) - 2)
    ]
    if parameter.range is None:
        return [*remark, f"{indent}{begin}{_value(parameter.value)}{end}"]
    call, arguments = _suggestion(parameter)
    return [*remark, *_broken(f"{indent}{begin}trial.{call}(", arguments, f"){end}", depth)]


def _broken(begin: str, arguments: Sequence[_Argument], end: str, depth: int) -> list[str]:
    """On one line if that fits, else all of them on one line inside, else each on its own."""
    flat = [each if isinstance(each, str) else f"[{', '.join(each)}]" for each in arguments]
    whole = ", ".join(flat)
    if len(begin) + len(whole) + len(end) <= _WIDTH:
        return [f"{begin}{whole}{end}"]
    inside = _INDENT * (depth + 1)
    if len(inside) + len(whole) <= _WIDTH:
        return [begin, f"{inside}{whole}", f"{_INDENT * depth}{end}"]
    lines: list[str] = []
    for each, text in zip(arguments, flat, strict=True):
        if isinstance(each, str):
            lines.append(f"{inside}{text},")
        else:
            lines += _broken(f"{inside}[", each, "],", depth + 1)
    return [begin, *lines, f"{_INDENT * depth}{end}"]


def _suggestion(parameter: Parameter) -> tuple[str, list[_Argument]]:
    name, found = _text(parameter.path), parameter.range
    if isinstance(found, Choice):
        return "suggest_categorical", [name, list(map(_value, found.choices))]
    assert found is not None
    more = ["log=True"] if found.log else []
    if isinstance(found, Int):
        more += [f"step={found.step}"] if found.step != 1 else []
        return "suggest_int", [name, str(found.low), str(found.high), *more]
    more += [f"step={_value(found.step)}"] if found.step is not None else []
    return "suggest_float", [name, _value(found.low), _value(found.high), *more]


def _value(value: object) -> str:
    return _text(value) if isinstance(value, str) else repr(value)


def _text(text: str) -> str:
    """A text in double quotes, unless it has some and no single ones."""
    shown = repr(text)
    if shown.startswith("'") and '"' not in text:
        return f'"{shown[1:-1]}"'
    return shown
