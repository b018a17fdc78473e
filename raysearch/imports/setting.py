"""A script and its settings; what annotations and dataclasses say of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from raysearch.imports.source import (
    UNKNOWN,
    constants,
    in_small_letters,
    last_of,
    text_of,
    value_of,
)

Style = Literal["argparse", "click", "typer", "hydra", "environment", "constants"]
_KINDS = {"int": int, "float": float, "str": str, "bool": bool, "INT": int, "FLOAT": float}
_TRUTHS = ("bool", "str2bool", "strtobool", "boolean", "str_to_bool", "bool_flag", "BOOL")


@dataclass(frozen=True)
class Setting:
    """One setting of a script.

    `name` is what its program is given it by; `default` None is none that is known. `given` says
    how a truth value is: as a flag, with `--no-`, or as a word. `condition` has the setting that
    chooses a part, and its values that have this one. `problem` says why it cannot be varied.
    """

    name: str
    default: Any = None
    kind: type | None = None
    choices: tuple[Any, ...] = ()
    given: Literal["flag", "no-flag", "word"] | None = None
    required: bool = False
    several: bool = False
    condition: tuple[str, tuple[object, ...]] | None = None
    line: int = 0
    problem: str | None = None

    @property
    def last(self) -> str:
        """The last part of its name, in small letters: `optimizer.weight-decay` → weight_decay.

        So is `weightDecay`.
        """
        return in_small_letters(self.name.rpartition(".")[2].lstrip("-+").replace("-", "_"))


@dataclass(frozen=True)
class Script:
    """How a script takes its settings, and which; `words` stand behind it in its command."""

    style: Style
    settings: tuple[Setting, ...]
    words: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def kind_of(node: ast.expr | None, default: Any) -> tuple[type | None, Any]:
    """The type of a value, and how a truth value is given."""
    named = last_of(node) if node is not None else ""
    if named in _TRUTHS:
        return bool, "word"
    if named in _KINDS:
        return _KINDS[named], None
    if node is None and isinstance(default, (bool, int, float, str)):
        return type(default), "word" if isinstance(default, bool) else None
    return None, None


def problem_of(node: ast.expr | None, default: Any) -> str | None:
    """Why `type=` makes no truth value of the words True and False."""
    named = last_of(node) if node is not None else ""
    if named == "bool":
        return "type=bool: any word, even False, is true"
    called = (
        {last_of(each) for each in ast.walk(node) if isinstance(each, ast.Call)} if node else ()
    )
    is_known = named in (*_TRUTHS, *_KINDS, "eval", "literal_eval", "loads")
    if node is None or not isinstance(default, bool) or is_known or {*called} & {*_TRUTHS[1:]}:
        return None
    return f"type={ast.unparse(node)}: which words it takes for true is not known"


def choices_of(node: ast.expr | None, known: Mapping[str, Any]) -> tuple[Any, ...]:
    """Plain choices; none where only a run could tell them."""
    if node is None:
        return ()
    if isinstance(node, ast.Call) and last_of(node) == "range":
        numbers = [value_of(each, known) for each in node.args]
        return tuple(range(*numbers)) if UNKNOWN not in numbers and numbers else ()
    if isinstance(node, ast.Set):
        node = ast.List(node.elts)
    found = value_of(node, known)
    if isinstance(found, dict):
        found = list(found)
    is_plain = isinstance(found, list) and all(
        isinstance(each, (str, int, float, bool)) for each in found
    )
    return tuple(found) if is_plain else ()


def typed(
    name: str,
    annotation: ast.expr | None,
    default: ast.expr | None,
    known: Mapping[str, Any],
    tree: ast.Module,
) -> Setting:
    """A setting with a type: choices of Literal and of Enum classes of the file."""
    kind, choices, several = _annotated(annotation, tree)
    value = value_of(default, known)
    members = _members(tree, text_of(annotation)) if annotation is not None else {}
    if members and isinstance(default, ast.Attribute):
        owner = default.value if default.attr == "value" else default
        value = members.get(owner.attr if isinstance(owner, ast.Attribute) else "", UNKNOWN)
    if kind is None and isinstance(value, (bool, int, float, str)):
        kind = type(value)
    line = getattr(annotation or default, "lineno", 0)
    return Setting(
        name,
        None if value is UNKNOWN else value,
        kind,
        choices,
        required=default is None,
        several=several,
        line=line,
    )


def _annotated(
    node: ast.expr | None, tree: ast.Module
) -> tuple[type | None, tuple[Any, ...], bool]:
    """The type, the choices, and whether it holds several values."""
    if node is None:
        return None, (), False
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            node = ast.parse(node.value, mode="eval").body
        except SyntaxError:
            return None, (), False
    if isinstance(node, ast.BinOp):
        sides = [_annotated(each, tree) for each in (node.left, node.right)]
        return next((each for each in sides if each[0] or each[1] or each[2]), sides[0])
    if isinstance(node, ast.Subscript):
        outer = last_of(node.value)
        if outer == "Literal":
            return None, choices_of(_as_list(node.slice), {}), False
        if outer in ("Optional", "Annotated", "Final", "ClassVar"):
            inner = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
            return _annotated(inner, tree)
        return None, (), True
    members = _members(tree, text_of(node))
    if members:
        return None, tuple(members.values()), False
    return _KINDS.get(text_of(node)), (), False


def _as_list(node: ast.expr) -> ast.expr:
    return node if isinstance(node, ast.Tuple) else ast.List([node])


def _members(tree: ast.Module, name: str) -> dict[str, Any]:
    """The values of an Enum class of the file."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            if any("Enum" in text_of(base) for base in node.bases):
                found = constants(ast.Module(node.body, []))
                return {key: each for key, each in found.items() if isinstance(each, (str, int))}
    return {}


def _is_class(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.ClassDef) and node.name == name


def dataclass_settings(tree: ast.Module, name: str) -> list[Setting]:
    """The fields of a class of the file, those of nested ones with dots."""
    node = next((each for each in tree.body if _is_class(each, name)), None)
    if not isinstance(node, ast.ClassDef):
        return []
    return list(fields_of(node, constants(tree), tree, ""))


def fields_of(
    node: ast.ClassDef,
    known: Mapping[str, Any],
    tree: ast.Module,
    prefix: str,
) -> Iterator[Setting]:
    """The fields of a class as settings, those of nested classes with dots."""
    for each in node.body:
        if not isinstance(each, ast.AnnAssign) or not isinstance(each.target, ast.Name):
            continue
        inner = next((one for one in tree.body if _is_class(one, text_of(each.annotation))), None)
        if isinstance(inner, ast.ClassDef) and not _members(tree, inner.name):
            yield from fields_of(inner, known, tree, f"{prefix}{each.target.id}.")
            continue
        default = each.value
        if isinstance(default, ast.Call) and last_of(default) == "field":
            named = {one.arg: one.value for one in default.keywords}
            default = named.get("default", named.get("default_factory"))
        made = typed(f"{prefix}{each.target.id}", each.annotation, default, known, tree)
        how = "word" if made.kind is bool else None
        yield replace(made, given=how)


def calls(tree: ast.Module) -> Iterator[ast.Call]:
    """All calls, in the order of the source."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return iter(sorted(calls, key=lambda node: (node.lineno, node.col_offset)))
