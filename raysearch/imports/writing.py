"""A sweep of another tool as readable Python, laid out as ruff would."""

from __future__ import annotations

import importlib.util
import keyword
import re
import textwrap
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from raysearch.errors import BadSetting
from raysearch.files import appearing
from raysearch.imports.imported_sweep import ImportedSweep, Parameter
from raysearch.imports.layout import INDENT, WIDTH, Argument, broken, comment, quoted, written
from raysearch.imports.programs import ProgramCall, imports_of, written_call
from raysearch.sweeps.distributions import Choice, Int
from raysearch.sweeps.sweep import Config, Metric, Sweep


def write_sweep(imported: ImportedSweep, target: type[Config] | ProgramCall, metric: Metric) -> str:
    """The source of a module with this one sweep, over a configuration or a program."""
    parts = [_docstring(imported), "from __future__ import annotations"]
    ours = "from raysearch.sweeps.sweep import Metric, sweep"
    if isinstance(target, ProgramCall):
        parts += [*imports_of(target), f"from raysearch import Program\n{ours}"]
        parts.append(written_call(target))
        result = "program(values)"
    else:
        name = target.__qualname__
        parts.append(f"{ours}\nfrom {target.__module__} import {name}")
        result = f"{name}().with_values(values)"
    body = "\n".join(_decorator(imported, metric) + _function(imported, result))
    return "\n\n".join(parts) + "\n\n\n" + body + "\n"


def function_name(imported: ImportedSweep) -> str:
    """Its name as a Python function can have it: `LR sweep (v2)` → `lr_sweep_v2`."""
    plain = unicodedata.normalize("NFKD", imported.name).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")
    is_free = name.isidentifier() and not keyword.iskeyword(name) and name not in ("sweep", "trial")
    return name if is_free else f"sweep_{name or 1}"


def _docstring(imported: ImportedSweep) -> str:
    default = f"A sweep that was imported from {imported.source} ({imported.tool})."
    first = imported.headline or default
    if not imported.notes:
        return f'"""{_safe(first)}"""'
    lines = [f'"""{_safe(first)}', ""]
    for note in imported.notes:
        lines += textwrap.wrap(
            _safe(note), WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False
        )
    return "\n".join([*lines, '"""'])


def _safe(text: str) -> str:
    """A text that a docstring can hold."""
    return text.replace("\\", "\\\\").replace('"""', "'''").rstrip('"')


def _decorator(imported: ImportedSweep, metric: Metric) -> list[str]:
    how = f", reduce={quoted(metric.reduce)}" if metric.reduce != "last" else ""
    stated = [
        f"metrics=[Metric({quoted(metric.name)}, {quoted(metric.direction)}{how})],",
        f"sampler={quoted(imported.sampler)},",
    ]
    if imported.pruner != "none":
        stated.append(f"pruner={quoted(imported.pruner)},")
    if imported.trials is not None:
        stated.append(f"trials={imported.trials},")
    if imported.sampler == "grid" and imported.points is not None:
        stated.append(f"stated={imported.points // imported.repeats},")
    if imported.repeats > 1:
        stated.append(f"repeats={imported.repeats},")
    if imported.question:
        stated += _question(" ".join(imported.question.split()))
    stated.append(f'tags={{"imported": {quoted(imported.tool)}}},')
    return ["@sweep(", *(f"{INDENT}{each}" for each in stated), ")"]


def _question(text: str) -> list[str]:
    """One that does not fit in a line is put together from several."""
    whole = f"question={quoted(text)},"
    if len(INDENT) + len(whole) <= WIDTH:
        return [whole]
    lines = textwrap.wrap(text, WIDTH - 2 * len(INDENT) - 12, break_on_hyphens=False)
    lines = [f"{line} " for line in lines[:-1]] + lines[-1:]
    return ["question=(", *(f"{INDENT}{quoted(line)}" for line in lines), "),"]


def _function(imported: ImportedSweep, result: str) -> list[str]:
    conditional = [each for each in imported.parameters if each.path in imported.conditions]
    always = [each for each in imported.parameters if each.path not in imported.conditions]
    lines = [
        f"def {function_name(imported)}(trial):",
        f'{INDENT}"""{_counted(imported)}"""',
        f"{INDENT}values: dict[str, object] = {{" + ("" if always or imported.left else "}"),
    ]
    for parameter in always:
        lines += _entry(parameter, f"{quoted(parameter.path)}: ", ",", 2)
    lines += [f"{INDENT * 2}# Left as they are:"] if imported.left else []
    lines += [line for each in imported.left for line in comment(each, INDENT * 2)]
    lines += [f"{INDENT}}}"] if always or imported.left else []
    for parameter in conditional:
        chooser, having = imported.conditions[parameter.path]
        lines.append(f"{INDENT}if values[{quoted(chooser)}] {_is_one_of(having)}:")
        lines += _entry(parameter, f"values[{quoted(parameter.path)}] = ", "", 2)
    return [*lines, f"{INDENT}return {result}"]


def _counted(imported: ImportedSweep) -> str:
    if imported.headline:
        return f"Settings of {imported.source}."
    if imported.points is None:
        return f"{imported.tool} samples it from infinitely many points."
    are = "point" if imported.points == 1 else "points"
    return f"{imported.points} {are} as {imported.tool} counts."


def _is_one_of(values: Sequence[object]) -> str:
    if len(values) == 1:
        return f"== {written(values[0])}"
    return f"in ({', '.join(map(written, values))})"


def _entry(parameter: Parameter, begin: str, end: str, depth: int) -> list[str]:
    """One line, or a call that is broken where ruff would break it; its remark above."""
    indent = INDENT * depth
    remark = [
        f"{indent}# {line}" for line in textwrap.wrap(parameter.remark, WIDTH - len(indent) - 2)
    ]
    if parameter.range is None:
        return [*remark, f"{indent}{begin}{written(parameter.value)}{end}"]
    call, arguments = _suggestion(parameter)
    return [*remark, *broken(f"{indent}{begin}trial.{call}(", arguments, f"){end}", depth)]


def _suggestion(parameter: Parameter) -> tuple[str, list[Argument]]:
    name, found = quoted(parameter.path), parameter.range
    if isinstance(found, Choice):
        return "suggest_categorical", [name, list(map(written, found.choices))]
    assert found is not None
    more = ["log=True"] if found.log else []
    if isinstance(found, Int):
        more += [f"step={found.step}"] if found.step != 1 else []
        return "suggest_int", [name, str(found.low), str(found.high), *more]
    more += [f"step={written(found.step)}"] if found.step is not None else []
    return "suggest_float", [name, written(found.low), written(found.high), *more]


def free(out: Path) -> Path:
    """The file to be written; its name is that of a module, which must not exist.

    Raises:
        ValueError: it cannot be that.
    """
    if out.suffix != ".py" or not out.stem.isidentifier():
        raise BadSetting(f"--out must be a Python file such as mine.py, got {str(out)!r}")
    if out.exists():
        raise BadSetting(f"--out {str(out)!r} exists; choose another name")
    if importlib.util.find_spec(out.stem) is not None:
        raise BadSetting(f"--out {str(out)!r} must not have the name of another module")
    return out


def sweep_of(source: str, out: Path, name: str) -> Sweep:
    """The sweep that a source declares, as if it were imported from a file."""
    made = ModuleType(out.stem)
    made.__file__ = str(out.absolute())
    exec(compile(source, out.name, "exec"), made.__dict__)
    return getattr(made, name)


def write_whole(out: Path, source: str) -> None:
    """Writes a file that appears whole."""
    with appearing(out) as partial:
        partial.write_text(source)
