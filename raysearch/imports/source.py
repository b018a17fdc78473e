"""Python sources, read by their syntax alone: nothing of them is imported or run."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from raysearch.errors import BadSetting, UnknownName

UNKNOWN: Any = object()
"""The value of an expression that only a run could tell."""
_OPERATIONS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
_LARGEST = 2**53
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def in_small_letters(name: str) -> str:
    """A name with its words set apart: `learningRate` → learning_rate, `maxLR` → max_lr."""
    return _HUMP.sub("_", name).lower()


def parsed(script: Path) -> ast.Module:
    """The syntax of a file.

    Raises:
        LookupError: there is no such file. ValueError: it is no Python of this version.
    """
    if not script.is_file():
        raise UnknownName(f"there is no file {str(script)!r}")
    try:
        return ast.parse(script.read_bytes(), script.name)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        where = f" at line {line}" if line else ""
        what = " ".join(str(getattr(error, "msg", error)).split())
        raise BadSetting(f"{script.name} must be Python that can be read{where}: {what}") from None


def constants(tree: ast.Module) -> dict[str, Any]:
    """The values of names that a module sets once at its top, as far as they can be told."""
    found: dict[str, Any] = {}
    for name, given, _ in assigned(tree):
        found[name] = value_of(given, found)
    return {name: value for name, value in found.items() if value is not UNKNOWN}


def assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr, int]]:
    """What a module sets at its top: names, also those of `A, B = 1, 2`, expressions, lines."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            pairs = [(target, node.value) for target in node.targets]
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            pairs = [(node.target, node.value)]
        else:
            continue
        for target, given in pairs:
            if isinstance(target, ast.Name):
                yield target.id, given, node.lineno
            elif isinstance(target, (ast.Tuple, ast.List)):
                if not isinstance(given, (ast.Tuple, ast.List)):
                    continue
                if len(given.elts) == len(target.elts):
                    for each, value in zip(target.elts, given.elts, strict=True):
                        if isinstance(each, ast.Name):
                            yield each.id, value, node.lineno


def value_of(node: ast.expr | None, known: Mapping[str, Any] | None = None) -> Any:
    """What an expression is, if it is plain: literals, sums of numbers, names that are known."""
    if node is None:
        return None
    if isinstance(node, ast.Name):
        return (known or {}).get(node.id, UNKNOWN)
    if isinstance(node, ast.BinOp):
        return _computed(node, known)
    if isinstance(node, (ast.List, ast.Tuple)):
        values = [value_of(each, known) for each in node.elts]
        return UNKNOWN if UNKNOWN in values else values
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return UNKNOWN


def _computed(node: ast.BinOp, known: Mapping[str, Any] | None) -> Any:
    left, right = value_of(node.left, known), value_of(node.right, known)
    if not all(type(each) in (int, float) for each in (left, right)):
        return UNKNOWN
    if isinstance(node.op, ast.Pow) and abs(left) <= 1024 and abs(right) <= 64:
        value = float(left) ** right if right < 0 else left**right
    elif type(node.op) in _OPERATIONS and not (
        isinstance(node.op, (ast.Div, ast.FloorDiv)) and right == 0
    ):
        value = _OPERATIONS[type(node.op)](left, right)
    else:
        return UNKNOWN
    return value if isinstance(value, (int, float)) and abs(value) < _LARGEST else UNKNOWN


def text_of(node: ast.expr) -> str:
    """An expression of names and dots as it is written, with `…` for what is none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{text_of(node.value)}.{node.attr}"
    return "…"


def last_of(node: ast.expr) -> str:
    """The last name of an expression: `option` of `click.option(…)`."""
    return text_of(node.func if isinstance(node, ast.Call) else node).rpartition(".")[2]


def dict_keys(node: ast.expr, tree: ast.Module) -> list[str]:
    """The texts that are keys of a mapping, or of what a name is set to anywhere."""
    if isinstance(node, ast.Dict):
        keys = [each.value for each in node.keys if isinstance(each, ast.Constant)]
        return [key for key in keys if isinstance(key, str)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return [each.arg for each in node.keywords if each.arg is not None]
    if isinstance(node, ast.Name):
        return _keys_of_name(node.id, tree)
    return []


def _keys_of_name(name: str, tree: ast.Module) -> list[str]:
    found: list[str] = []
    for each in ast.walk(tree):
        if not isinstance(each, ast.Assign):
            continue
        for target in each.targets:
            if isinstance(target, ast.Name) and target.id == name:
                found += [] if isinstance(each.value, ast.Name) else dict_keys(each.value, tree)
            elif isinstance(target, ast.Subscript) and text_of(target.value) == name:
                key = value_of(target.slice)
                found += [key] if isinstance(key, str) else []
    return list(dict.fromkeys(found))
