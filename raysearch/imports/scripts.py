"""A script as `init` reads it: from its source alone, whatever takes its settings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from raysearch.imports.command_lines import read_command_line
from raysearch.imports.hydra_script import read_hydra_script
from raysearch.imports.ranges import first_range
from raysearch.imports.setting import Script, Setting, calls
from raysearch.imports.source import UNKNOWN, assigned, constants, parsed, text_of, value_of

_NO_TRUTH = 'a variable is a text, and any, even "False", is true'


def read_script(path: Path) -> Script | None:
    """What a script takes; None if it is none of the kinds that are known here.

    Nothing of it is imported or run. Where it takes its settings from a file beside it, that is
    read too.

    Raises:
        LookupError: there is no such file. ValueError: it is no Python.
    """
    tree = parsed(path)
    found = read_hydra_script(path, tree) or read_command_line(tree)
    for beside in () if found else _beside(path, tree):
        try:
            found = found or read_command_line(parsed(beside))
        except ValueError:
            continue
    in_environment, at_top = _of_environment(tree), _of_constants(tree)
    if in_environment is not None and any(map(first_range, in_environment.settings)):
        return in_environment
    return found or at_top or in_environment


def _beside(path: Path, tree: ast.Module) -> Iterator[Path]:
    """Files of one's own that a script imports from."""
    for node in ast.walk(tree):
        names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            file = path.parent.joinpath(*name.split(".")).with_suffix(".py")
            if file.is_file() and file != path:
                yield file


def _of_environment(tree: ast.Module) -> Script | None:
    """`float(os.environ.get("LR", 0.1))` and the like."""
    known = constants(tree)
    found: dict[str, Setting] = {}
    for call in calls(tree):
        if text_of(call.func) not in ("os.environ.get", "os.getenv", "environ.get", "getenv"):
            continue
        name, default = [value_of(each, known) for each in [*call.args, ast.Constant(None)]][:2]
        if isinstance(name, str) and name.isidentifier() and default is not UNKNOWN:
            value = _number(default)
            problem = _NO_TRUTH if isinstance(value, bool) else None
            found.setdefault(
                name, Setting(name, value, type(value), line=call.lineno, problem=problem)
            )
    return Script("environment", tuple(_variables([*found.values()]))) if found else None


def _number(value: Any) -> Any:
    """The number that a text is, as an environment variable has it."""
    for kind in (int, float) if isinstance(value, str) else ():
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _of_constants(tree: ast.Module) -> Script | None:
    """Plain values at the top of a module, also in a mapping there."""
    found: list[Setting] = []
    lines = {name: line for name, _, line in assigned(tree)}
    for name, value in constants(tree).items():
        if isinstance(value, dict):
            found += [
                Setting(str(key), each, type(each), line=lines.get(name, 0))
                for key, each in value.items()
                if isinstance(each, (bool, int, float, str)) and str(key).isidentifier()
            ]
        elif isinstance(value, (bool, int, float, str)) and not name.startswith("_"):
            found.append(Setting(name, value, type(value), line=lines.get(name, 0)))
    if found and _is_configured(tree):
        return Script("argparse", tuple(replace(each, given="word") for each in found))
    return Script("constants", tuple(_variables(found))) if found else None


def _variables(settings: list[Setting]) -> Iterator[Setting]:
    """Settings as environment variables, whose names are in capitals: one of each name."""
    used: dict[str, str] = {}
    for each in settings:
        other = used.setdefault(each.name.upper(), each.name)
        both = f"{other} and {each.name} would both be {each.name.upper()}"
        yield each if other == each.name else replace(each, problem=both)


def _is_configured(tree: ast.Module) -> bool:
    """Whether `exec(open("configurator.py").read())` sets what is at its top, by `--name=value`."""
    called = [call for call in calls(tree) if text_of(call.func) == "exec" and call.args]
    inside = [each for call in called for each in ast.walk(call.args[0])]
    texts = [each.value for each in inside if isinstance(each, ast.Constant)]
    return any(isinstance(text, str) and text.endswith("configurator.py") for text in texts)
