"""Settings of a command line, read from the source of a script: argparse, click, typer."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from raysearch.imports.ranges import first_range
from raysearch.imports.setting import (
    Script,
    Setting,
    calls,
    choices_of,
    fields_of,
    kind_of,
    problem_of,
    typed,
)
from raysearch.imports.source import UNKNOWN, constants, last_of, text_of, value_of
from raysearch.sweeps.distributions import Float

_Parsers = list[tuple[int, str, str | None]]


def read_command_line(tree: ast.Module) -> Script | None:
    """What a script takes as options; None if it takes none."""
    return _argparse(tree) or _click(tree) or _typer(tree)


def _argparse(tree: ast.Module) -> Script | None:
    known = constants(tree)
    if _made(tree, "add_parser"):
        return _of_sub_commands(tree, known, _parsers(tree))
    found: dict[str, Setting] = {}
    defaults: dict[str, Any] = {}
    for call in calls(tree):
        if last_of(call) == "add_argument" and isinstance(call.func, ast.Attribute):
            setting = _argument(call, known)
            if setting is not None:
                found.setdefault(setting.name, setting)
        elif last_of(call) == "set_defaults":
            defaults |= {str(each.arg): value_of(each.value, known) for each in call.keywords}
    for node in _dataclasses_parsed(tree):
        for each in fields_of(node, known, tree, ""):
            found.setdefault(each.name, each)
    if not found:
        return None
    settings = tuple(_with_default(each, defaults) for each in found.values())
    return Script("argparse", settings)


def _parsers(tree: ast.Module) -> _Parsers:
    """Each name of a parser with its sub-command from a line on; None: none, or not known."""
    found: _Parsers = []
    for node in sorted(ast.walk(tree), key=lambda each: getattr(each, "lineno", 0)):
        call = node.value if isinstance(node, ast.Assign) else None
        if not isinstance(node, ast.Assign) or not isinstance(call, ast.Call):
            continue
        name = None
        if last_of(call) == "add_parser":
            name = _given_name(call)
        elif last_of(call) in ("add_argument_group", "add_mutually_exclusive_group"):
            name = _sub_command(call, found)
        elif last_of(call) != "ArgumentParser":
            continue
        found += [(node.lineno, text_of(target), name) for target in node.targets]
    return found


def _given_name(call: ast.Call) -> str | None:
    given = value_of(call.args[0]) if call.args else None
    return given if isinstance(given, str) else None


def _sub_command(call: ast.Call, parsers: _Parsers) -> str | None:
    """The sub-command of the parser whose method is called."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else call.func
    if isinstance(owner, ast.Call):  # made at once
        return _given_name(owner) if last_of(owner) == "add_parser" else None
    known = [
        name for line, target, name in parsers if target == text_of(owner) and line < call.lineno
    ]
    return known[-1] if known else None


def _made(tree: ast.Module, called: str) -> list[ast.Call]:
    return [call for call in calls(tree) if last_of(call) == called]


def _of_sub_commands(tree: ast.Module, known: Mapping[str, Any], parsers: _Parsers) -> Script:
    """The options of the sub-command with the most that are known; others stay as they are."""
    added = filter(None, map(_given_name, _made(tree, "add_parser")))
    options: dict[str, list[Setting]] = {name: [] for name in added}
    shared: list[Setting] = []
    for call in _made(tree, "add_argument"):
        setting = _argument(call, known)
        if setting is None:
            continue
        owner = _sub_command(call, parsers)
        if owner is not None:
            options[owner].append(setting)
        else:
            shared.append(replace(setting, problem="it may be of another sub-command"))
    chosen = max(options, key=lambda name: _known(options[name]), default=None)
    if chosen is None or not _known(options[chosen]):
        note = "its sub-commands were not understood; add the one that trains to the command"
        return Script("argparse", (*(options[chosen] if chosen else ()), *shared), (), (note,))
    own = {each.name: each for each in reversed(options[chosen])}
    defaults = {
        str(each.arg): value_of(each.value, known)
        for call in _made(tree, "set_defaults")
        if _sub_command(call, parsers) == chosen
        for each in call.keywords
    }
    settings = [_with_default(own[name], defaults) for name in reversed(own)]
    others = ", ".join(name for name in options if name != chosen)
    more = f"; there are also {others}" if others else ""
    notes = (f"its sub-command {chosen} is meant{more}",)
    kept = [each for each in shared if each.name not in own]
    return Script("argparse", (*settings, *kept), (chosen,), notes)


def _known(settings: Iterable[Setting]) -> int:
    """How many settings can be varied."""
    return sum(first_range(each) is not None for each in settings)


def _argument(call: ast.Call, known: Mapping[str, Any]) -> Setting | None:
    flags = [value_of(each) for each in call.args]
    flags = [each for each in flags if isinstance(each, str)]
    given = {each.arg: each.value for each in call.keywords if each.arg}
    action = value_of(given.get("action")) if "action" in given else None
    if action is UNKNOWN:
        action = last_of(given["action"])
    if not flags or action in ("help", "version", "count", "append"):
        return None
    name = _option(flags)
    default = value_of(given.get("default"), known)
    required = not name.startswith("-") or value_of(given.get("required")) is True
    if action == "store_true" and default is True:
        return Setting(_plain(name), True, bool, given="flag", problem="it is always true")
    if action in ("store_true", "store_false", "BooleanOptionalAction"):
        how = "no-flag" if action == "BooleanOptionalAction" else "flag"
        value = bool(default) if how == "no-flag" and default is not UNKNOWN else False
        return Setting(_plain(name), value, bool, given=how, line=call.lineno)
    kind, how = kind_of(given.get("type"), default)
    problem = problem_of(given.get("type"), default)
    setting = Setting(
        _plain(name),
        None if default is UNKNOWN else default,
        kind,
        choices_of(given.get("choices"), known),
        how,
        required and default is None and value_of(given.get("nargs")) not in ("?", "*"),
        "nargs" in given and value_of(given["nargs"]) != "?",
        line=call.lineno,
        problem=problem,
    )
    if "type" in given and kind is int and isinstance(first_range(setting), Float):
        return replace(setting, problem="type=int: its usual range is of fractions")
    return setting


def _with_default(setting: Setting, defaults: Mapping[str, Any]) -> Setting:
    value = defaults.get(setting.name.replace("-", "_"), UNKNOWN)
    if value is UNKNOWN or setting.given == "flag":
        return setting
    return replace(setting, default=value, required=False)


def _option(flags: list[str]) -> str:
    """The longest form: `--lr` of `-l`, `--lr`; a positional one as it is."""
    long = [flag for flag in flags if flag.startswith("--")]
    return (long or flags)[0]


def _plain(flag: str) -> str:
    """As a program is given it: without the dashes that are put before it again."""
    plain = flag.removeprefix("--")
    is_short = flag.startswith("-") and len(flag) == 2
    return flag[1:] if is_short else plain


def _click(tree: ast.Module) -> Script | None:
    known = constants(tree)
    commands = [node for node in ast.walk(tree) if _has_decorator(node, "command")]
    options = [
        [
            setting
            for each in getattr(node, "decorator_list", [])
            if isinstance(each, ast.Call) and last_of(each) in ("option", "argument")
            if (setting := _click_option(each, known)) is not None
        ]
        for node in commands
    ]
    best = max(range(len(commands)), key=lambda place: _known(options[place]), default=None)
    if best is None or not options[best]:
        return None
    words, notes = _command_name(commands, commands[best])
    return Script("click", tuple(options[best]), words, notes)


def _click_option(call: ast.Call, known: Mapping[str, Any]) -> Setting | None:
    flags = [value_of(each) for each in call.args]
    flags = [each for each in flags if isinstance(each, str)]
    given = {each.arg: each.value for each in call.keywords if each.arg}
    if not flags:
        return None
    default = value_of(given.get("default"), known)
    is_argument = last_of(call) == "argument"
    names = [flag for flag in flags if flag.startswith("-")] or flags
    first = _option(names)
    if "/" in first or value_of(given.get("is_flag")) is True:
        how = "no-flag" if "/" in first else "flag"
        value = default is True
        return Setting(_plain(first.split("/")[0].strip()), value, bool, given=how)
    node = given.get("type")
    choices: tuple[Any, ...] = ()
    if isinstance(node, ast.Call) and last_of(node) == "Choice" and node.args:
        choices = choices_of(node.args[0], known)
    name = last_of(node) if node is not None else ""
    kind: type | None = {"IntRange": int, "FloatRange": float}.get(name)
    how = None
    if kind is None:
        kind, how = kind_of(node, default)
    return Setting(
        _plain(first),
        None if default is UNKNOWN else default,
        kind,
        choices,
        "word" if how else None,
        (is_argument or value_of(given.get("required")) is True) and default is None,
        "multiple" in given or "nargs" in given,
        line=call.lineno,
    )


def _typer(tree: ast.Module) -> Script | None:
    run = {
        text_of(call.args[0])
        for call in calls(tree)
        if text_of(call.func) == "typer.run" and call.args
    }
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    commands = [node for node in functions if _has_decorator(node, "command") or node.name in run]
    if not commands or not _imports(tree, "typer"):
        return None
    options = [_typer_options(node, tree) for node in commands]
    best = max(range(len(commands)), key=lambda place: _known(options[place]))
    named = [each for each in commands if each.name not in run]
    words, notes = _command_name(named, commands[best])
    return Script("typer", tuple(options[best]), words, notes)


def _typer_options(node: ast.FunctionDef, tree: ast.Module) -> list[Setting]:
    known = constants(tree)
    names = node.args.args + node.args.kwonlyargs
    values: list[ast.expr | None] = [None] * (len(node.args.args) - len(node.args.defaults))
    values += [*node.args.defaults, *node.args.kw_defaults]
    return [
        _typer_option(each, value, known, tree)
        for each, value in zip(names, values, strict=True)
        if each.annotation is None or last_of(each.annotation) != "Context"
    ]


def _typer_option(
    argument: ast.arg, default: ast.expr | None, known: Mapping[str, Any], tree: ast.Module
) -> Setting:
    annotation, more = _unannotated(argument.annotation)
    call = next((each for each in more if isinstance(each, ast.Call)), None)
    if isinstance(default, ast.Call) and last_of(default) in ("Option", "Argument"):
        call = default
        default = default.args[0] if default.args else None
        if isinstance(default, ast.Constant) and default.value is ...:
            default = None
    flags = [value_of(each) for each in (call.args if call else [])]
    flags = [each for each in flags if isinstance(each, str) and each.startswith("-")]
    name = _option(flags) if flags else f"--{argument.arg.replace('_', '-')}"
    made = typed(_plain(name.split("/")[0]), annotation, default, known, tree)
    is_flag = made.kind is bool
    how = ("no-flag" if not flags or "/" in name else "flag") if is_flag else None
    return replace(made, given=how)


def _unannotated(node: ast.expr | None) -> tuple[ast.expr | None, list[ast.expr]]:
    """`Annotated[float, Option(…)]` in its parts."""
    is_annotated = isinstance(node, ast.Subscript) and last_of(node.value) == "Annotated"
    if not isinstance(node, ast.Subscript) or not is_annotated:
        return node, []
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    return parts[0], list(parts[1:])


def _dataclasses_parsed(tree: ast.Module) -> list[ast.ClassDef]:
    """The classes that HfArgumentParser and tyro make their options of."""
    names = {
        text_of(each)
        for call in calls(tree)
        if last_of(call) in ("HfArgumentParser", "cli", "parse") and call.args
        for each in (
            call.args[0].elts if isinstance(call.args[0], (ast.Tuple, ast.List)) else call.args[:1]
        )
    }
    return [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name in names]


def _has_decorator(node: ast.AST, name: str) -> bool:
    return any(last_of(each) == name for each in getattr(node, "decorator_list", []))


def _command_name(commands: list[Any], chosen: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The name of one of several commands, which must be given."""
    if len(commands) < 2 or chosen not in commands:
        return (), ()
    names = {each: _stated_name(each) for each in commands}
    others = ", ".join(name for each, name in names.items() if each is not chosen)
    note = f"its command {names[chosen]} is meant; there are also {others}"
    return (names[chosen],), (note,)


def _stated_name(command: Any) -> str:
    """The name that its decorator states, or that of the function."""
    for each in command.decorator_list:
        if isinstance(each, ast.Call) and last_of(each) == "command":
            stated = [*each.args[:1], *(one.value for one in each.keywords if one.arg == "name")]
            found = value_of(stated[0]) if stated else None
            if isinstance(found, str):
                return found
    return str(command.name).replace("_", "-")


def _imports(tree: ast.Module, name: str) -> bool:
    return any(
        (isinstance(node, ast.Import) and any(each.name == name for each in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == name)
        for node in ast.walk(tree)
    )
