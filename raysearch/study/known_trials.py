"""Past runs, from a CSV or JSON file, as trials that a search knows before it begins."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raysearch.costs import COSTS
from raysearch.errors import BadSetting, RaysearchError, UnknownName, sentence
from raysearch.sweeps.columns import OWN, Columns
from raysearch.sweeps.distributions import Choice, Distribution, Float
from raysearch.sweeps.nearest import on_offer
from raysearch.sweeps.space import Point, Space
from raysearch.sweeps.sweep import bare
from raysearch.sweeps.unreadable import legible

_KEPT_BOOKS = (
    *("trial", "step", "seconds", "reason", "evaluates"),
    *("seeds", "counted", "outcomes", "suspicious"),
)
"""Columns of `raysearch results --csv` that say nothing of a configuration, besides the state."""

Row = Mapping[str, Any]


def read_known(file: str | Path, space: Space) -> list[dict[str, Any]]:
    """The rows of a file as `params` (by full names) and `values` (one for each objective).

    A row names parameters, in full or by their config paths, and the objectives. An empty cell, or
    null, is a parameter that this row does not have, or the choice None. A column may also be a
    path that the sweep does not sample, if its value is the one that the configuration has there.
    What `raysearch results` writes with `--csv` or `--json` can be read, whatever parameters and
    metrics are called (`declare.columns`): rows of a state other than complete are left out, and
    those of a trial again with another seed.

    Args:
        file: CSV with a header, or JSON: a list of objects.
        space: the space that all rows must lie in.

    Raises:
        LookupError: there is no such file; a column that means nothing.
        ValueError: a row that is no point of the space, lacks an objective, or repeats another;
            names the line (in JSON: the place in the list, from 1).
    """
    path = Path(file)
    if not path.is_file():
        raise UnknownName(f"--known must be a file, got {str(file)!r}")
    with legible(f"--known {path.name}"):
        unit, rows = _rows(path)
    header = _Header.of(space)
    rows = [(line, header.without_costs(row)) for line, row in rows]
    _check_columns(path, rows, space, header)
    found: list[dict[str, Any]] = []
    first: dict[tuple[str, int], int] = {}
    for line, row in rows:
        if (row.get(header.state) or "complete") not in ("complete", "known"):
            continue
        if row.get(header.repeat_of) is not None:
            continue
        try:
            point = _point(row, space, header, as_text=unit == "line")
            values = [_objective(row, name, column) for name, column in header.metrics.items()]
            if point.key in first:
                raise BadSetting(
                    f"it has the configuration of {unit} {first[point.key]}; give one row for both,"
                    f" such as their mean"
                )
        except RaysearchError as error:
            raise BadSetting(f"--known {path.name}, {unit} {line}: {error}") from None
        first[point.key] = line
        found.append({"params": point.params, "values": values})
    if not found:
        raise BadSetting(f"--known {path.name} must have at least one complete row, got none")
    return found


@dataclass(frozen=True)
class _Header:
    """What columns mean: the objectives by their names, `names` of parameters, `books` of ours."""

    metrics: dict[str, str]
    state: str
    repeat_of: str
    names: frozenset[str]
    books: frozenset[str]

    @classmethod
    def of(cls, space: Space) -> _Header:
        """As a search of this space would call them."""
        kind = type(next(iter(space.preview(1))).config)
        sampled = space.parameters()
        names = frozenset({*sampled, *map(bare, sampled), *kind.paths(), *space.sweep.choices})
        columns = Columns(names.__contains__, [metric.name for metric in space.sweep.metrics])
        metrics = {each.name: columns.metric(each.name) for each in space.sweep.metrics}
        words = ("mean", "low", "high")
        books = {columns.of_metric(name, word) for name in metrics for word in words}
        state, repeat_of = map(columns.own, ("state", "repeat_of"))
        books |= {state, repeat_of, *map(columns.own, _KEPT_BOOKS)}
        return cls(metrics, state, repeat_of, names, frozenset(books))

    def without_costs(self, row: Row) -> Row:
        """A row without what trials have cost, unless a parameter is called so."""
        is_cost = {name: name.removeprefix(OWN).startswith(COSTS) for name in row}
        return {
            name: value for name, value in row.items() if name in self.names or not is_cost[name]
        }


def _rows(path: Path) -> tuple[str, list[tuple[int, Row]]]:
    """Rows with their lines, None where a cell is empty; a line of a CSV is where its row ends."""
    text = path.read_bytes().decode("utf-8-sig")  # line ends inside of a cell stay as they are
    if path.suffix.lower() == ".json":
        found = enumerate(_list(path, text), 1)
        return "entry", [(place, _named(row)) for place, row in found]
    reader = csv.DictReader(io.StringIO(text, newline=""))
    names = [name.strip() for name in reader.fieldnames or []]
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        raise BadSetting(
            f"--known {path.name} must have columns that differ, got {twice[0]!r} twice"
        )
    rows: list[tuple[int, Row]] = []
    for row in reader:
        if None in row or None in row.values():
            raise BadSetting(
                f"--known {path.name}, line {reader.line_num}: a row must have as many cells as "
                f"the header ({len(reader.fieldnames or [])})"
            )
        filled = {name: value or None for name, value in _named(row).items()}
        rows.append((reader.line_num, filled))
    return "line", rows


def _list(path: Path, text: str) -> list[Row]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadSetting(f"--known {path.name} must be JSON: {error}") from None
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise BadSetting(
            f"--known {path.name} must be a list of objects, such as "
            f'[{{"optimizer.lr": 0.001, "val/accuracy": 0.9}}]'
        )
    return data


def _named(row: Row) -> Row:
    return {str(name).strip(): value for name, value in row.items()}


def _check_columns(
    path: Path, rows: Sequence[tuple[int, Row]], space: Space, header: _Header
) -> None:
    known = {*header.names, *header.books, *header.metrics.values()}
    shown = {*map(bare, space.parameters()), *header.metrics.values()}
    for line, row in rows:
        for name, given in row.items():
            if given is not None and name not in known:
                raise UnknownName(
                    f"--known {path.name}, line {line}: column {name!r} is no parameter, no path "
                    f"and no objective of sweep {space.sweep.name}{on_offer(name, shown)}"
                )


def _point(row: Row, space: Space, header: _Header, *, as_text: bool) -> Point:
    """The point of a row, all of whose cells must hold there; `as_text`: they have no types."""

    def answer(name: str, distribution: Distribution) -> object:
        given = row.get(name) if row.get(name) is not None else row.get(bare(name))
        is_there = name in row or bare(name) in row
        value = _typed(name, given, distribution, as_text=as_text)
        if (given is None and not is_there) or not distribution.contains(value):
            rule = "must be given, it is" if given is None else "must be"
            got = "" if given is None else f", got {given!r}"
            raise BadSetting(f"{bare(name)} {rule} in {distribution}{got}")
        return value

    try:
        point = space.run(answer)
    except RaysearchError as error:
        raise BadSetting(sentence(error.__cause__ or error)) from None
    asked = {*point.params, *map(bare, point.params), *header.metrics.values(), *header.books}
    for name, given in row.items():
        if given is not None and name not in asked:
            _check_value(name, given, point)
    return point


def _check_value(name: str, given: Any, point: Point) -> None:
    """A value that is not sampled here must be the one that the configuration has."""
    try:
        has = point.config.value_at(name)
    except LookupError:
        raise BadSetting(
            f"{name} must be empty here, where it has no meaning, got {given!r}"
        ) from None
    if not _is_same(given, has):
        raise BadSetting(f"{name} must be {has!r}, as the sweep has it here, got {given!r}")


def _typed(name: str, given: Any, distribution: Distribution, *, as_text: bool) -> Any:
    """A cell as a value of a distribution's own type; as it is if it is none.

    Raises:
        ValueError: as text it may be two choices, such as True and 'True'.
    """
    if isinstance(distribution, Choice):
        found = [each for each in distribution.choices if _is_same(given, each, as_text=as_text)]
        exact = [each for each in found if type(each) is type(given) and each == given]
        # None is written as nothing, so that the letters None are those of a text.
        if exact and (not as_text or all(each in (given, None) for each in found)):
            found = exact
        if len(found) > 1:
            raise BadSetting(
                f"{bare(name)} must be told by JSON: as text {given or ''!r} may be "
                f"{' or '.join(map(repr, found))}"
            )
        return found[0] if found else given
    number = _number(given)
    if number is None:
        return given
    if isinstance(distribution, Float):
        return distribution.snap(number) if distribution.contains(number) else number
    return int(number) if number.is_integer() else number


def _is_same(given: Any, choice: Any, *, as_text: bool = True) -> bool:
    """Whether a cell says a choice: CSV knows texts only, and writes None as nothing."""
    if given is None:
        return choice is None or (as_text and choice == "")
    if not isinstance(given, str) or isinstance(choice, str):
        same_kind = isinstance(given, bool) == isinstance(choice, bool)
        return bool(same_kind and given == choice)
    if choice is None or isinstance(choice, bool):
        return given.strip().lower() == str(choice).lower()
    return _number(given) == choice


def _number(given: Any) -> float | None:
    if isinstance(given, bool):
        return None
    try:
        return float(given)
    except (TypeError, ValueError, OverflowError):
        return None


def _objective(row: Row, name: str, column: str) -> float:
    number = _number(row.get(column))
    if number is None or not math.isfinite(number):
        raise BadSetting(f"{name} must be a finite number, got {row.get(column)!r}")
    return number
