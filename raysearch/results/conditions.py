"""Conditions on the rows of a table, typed as a small expression of Python: `lr > 1e-3 and …`."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raysearch.errors import BadSetting, UnknownName
from raysearch.sweeps.nearest import on_offer
from raysearch.texts import cut

_LONGEST = 2000
"""Letters of a condition."""
_ALLOWED = "names, numbers, texts, == != < <= > >=, in, not in, and, or, not, brackets"
_QUOTED = re.compile(r"`([^`]*)`")
_Row = Mapping[str, Any]
_Value = Callable[[_Row], Any]


class _Unlike(Exception):  # noqa: N818 - it is no error: the row does not fit
    """Values of kinds that have no order, such as a number and a text."""

    def __init__(self, one: Any, other: Any) -> None:
        super().__init__(f"{_kind(one)} and {_kind(other)}")


@dataclass(frozen=True)
class Condition:
    """A condition: `fits` says whether it holds in a row, in which None is what is not there.

    The text is parsed by Python and read against a list of what is allowed; nothing of it is run,
    no function is called, no attribute of an object is looked at. (`pandas.DataFrame.query` is not
    used: it calls methods of what it finds.) A name is dotted, as `optimizer.kind`, or a metric, as
    `val/accuracy`; any other is quoted by backticks: `` `val/accuracy mean` ``.
    `names` are the columns that it asks for.
    """

    text: str
    names: Sequence[str]
    _holds: _Value

    @classmethod
    def read(cls, text: str, names: Iterable[str]) -> Condition:
        """The condition that a text states over columns of these names.

        Raises:
            BadSetting: it is no such expression; says which part. UnknownName: a name that no row
                has, with the nearest one.
        """
        if len(text) > _LONGEST:
            raise BadSetting(f"--where must have at most {_LONGEST} letters, got {len(text)}")
        quoted: list[str] = []

        def stand_in(match: re.Match[str]) -> str:
            quoted.append(match[1])
            return f"__quoted_{len(quoted) - 1}__"

        try:
            tree = ast.parse(_QUOTED.sub(stand_in, text).strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise BadSetting(
                f"--where must be a condition such as \"optimizer.kind == 'adamw' and lr < 0.01\", "
                f"got {cut(text, 80)!r}"
            ) from None
        reader = _Reader(text, frozenset(names), quoted)
        holds = reader.condition(tree.body)
        return cls(text, list(reader.used), holds)

    def choose(self, rows: Iterable[_Row]) -> list[bool]:
        """Of each row whether it fits.

        Raises:
            BadSetting: in every row a number would have to be less or more than a text.
        """
        fits: list[bool] = []
        unlike: list[_Unlike] = []
        for row in rows:
            try:
                fits.append(bool(self._holds(row)))
            except _Unlike as error:
                fits.append(False)
                unlike.append(error)
        if unlike and len(unlike) == len(fits):
            raise BadSetting(f"--where {self.text!r} compares {unlike[0]}, which have no order")
        return fits


@dataclass(frozen=True)
class _Reader:
    """Reads a tree of Python as functions of a row."""

    text: str
    names: frozenset[str]
    quoted: list[str]
    used: dict[str, None] = field(default_factory=dict[str, None])

    def condition(self, node: ast.expr) -> _Value:
        """What is true or false."""
        if isinstance(node, ast.BoolOp):
            parts = [self.condition(each) for each in node.values]
            every = all if isinstance(node.op, ast.And) else any
            return lambda row: every(part(row) for part in parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.condition(node.operand)
            return lambda row: not inner(row)
        if isinstance(node, ast.Compare):
            values = [self.value(each) for each in (node.left, *node.comparators)]
            tests = [self._test(each) for each in node.ops]
            pairs = list(zip(tests, values, values[1:], strict=False))
            return lambda row: all(test(one(row), other(row)) for test, one, other in pairs)
        return self.value(node)

    def value(self, node: ast.expr) -> _Value:
        """A column, a number, a text, or a list of them."""
        name = self._name(node)
        if name is not None:
            return lambda row: row.get(name)
        if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | None):
            constant = node.value
            return lambda row: constant
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = node.operand
            if isinstance(inner, ast.Constant) and isinstance(inner.value, int | float):
                negative = -inner.value
                return lambda row: negative
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            parts = [self.value(each) for each in node.elts]
            return lambda row: [part(row) for part in parts]
        raise self._refused(node)

    def _name(self, node: ast.expr) -> str | None:
        """The column that a node names; None if it is no name."""
        found = self._dotted(node)
        if found is None:
            return None
        if found not in self.names:
            raise UnknownName(f"--where: no column is named {found!r}{on_offer(found, self.names)}")
        self.used[found] = None
        return found

    def _dotted(self, node: ast.expr) -> str | None:
        """`a.b` of attributes; `val/accuracy`, which Python reads as a quotient, of a metric."""
        if isinstance(node, ast.Name):
            if node.id.startswith("__quoted_"):
                return self.quoted[int(node.id[9:-2])]
            return node.id
        if isinstance(node, ast.Attribute):
            before = self._dotted(node.value)
            return None if before is None else f"{before}.{node.attr}"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            parts = self._dotted(node.left), self._dotted(node.right)
            return None if None in parts else "/".join(map(str, parts))
        return None

    def _test(self, operator: ast.cmpop) -> Callable[[Any, Any], bool]:
        found = _TESTS.get(type(operator))
        if found is None:
            raise BadSetting(f"--where {self.text!r} may only have {_ALLOWED}")
        return found

    def _refused(self, node: ast.expr) -> BadSetting:
        return BadSetting(
            f"--where may only have {_ALLOWED}, got {cut(ast.unparse(node), 60)!r}; other names in "
            f"backticks"
        )


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(one: Any, other: Any) -> bool:
        if one is None or other is None:
            return False  # what is not there is neither less nor more
        try:
            return test(one, other)
        except TypeError:
            raise _Unlike(one, other) from None

    return compare


def _is_in(one: Any, other: Any) -> bool:
    if isinstance(other, str):
        return isinstance(one, str) and one in other
    return isinstance(other, list) and one in other


_TESTS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: lambda one, other: one == other,
    ast.NotEq: lambda one, other: one != other,
    ast.Is: lambda one, other: one is other or one == other,
    ast.IsNot: lambda one, other: one is not other and one != other,
    ast.Lt: _ordered(lambda one, other: one < other),
    ast.LtE: _ordered(lambda one, other: one <= other),
    ast.Gt: _ordered(lambda one, other: one > other),
    ast.GtE: _ordered(lambda one, other: one >= other),
    ast.In: _is_in,
    ast.NotIn: lambda one, other: not _is_in(one, other),
}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "a text"
    return "a number" if isinstance(value, int | float) else "a list"
