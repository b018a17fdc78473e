"""Past runs, from a CSV or JSON file, as trials that a search knows before it begins."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raysearch.declare.distributions import Choice, Distribution, Float
from raysearch.declare.nearest import on_offer
from raysearch.declare.space import Point, Space
from raysearch.declare.sweep import bare
from raysearch.errors import BadSetting, RaysearchError, UnknownName, sentence

_KEPT_BOOKS = ("trial", "state", "step", "seconds", "reason", "seeds", "counted", "repeat_of")
"""Columns of `raysearch results --csv` that say nothing of a configuration."""

Row = Mapping[str, Any]


def read_known(file: str | Path, space: Space) -> list[dict[str, Any]]:
    """The rows of a file as `params` (by full names) and `values` (one for each objective).

    A row names parameters, in full or by their config paths, and the objectives. An empty cell is a
    parameter that this row does not have. A column may also be a path that the sweep does not
    sample, if its value is the one that the configuration has there. What `raysearch results --csv`
    writes can be read: rows of a state other than complete are left out.

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
    unit, rows = _rows(path)
    metrics = [metric.name for metric in space.sweep.metrics]
    _check_columns(path, rows, space, metrics)
    found: list[dict[str, Any]] = []
    first: dict[tuple[str, int], int] = {}
    for line, row in rows:
        if row.get("state", "complete") not in ("complete", "known"):
            continue
        try:
            point = _point(row, space, metrics)
            values = [_objective(row, name) for name in metrics]
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


def _rows(path: Path) -> tuple[str, list[tuple[int, Row]]]:
    """Rows with their lines, what is empty left out; a line of a CSV is where its row ends."""
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix.lower() == ".json":
        return "entry", [(place, _filled(row)) for place, row in enumerate(_list(path, text), 1)]
    reader = csv.DictReader(io.StringIO(text, newline=""))
    rows: list[tuple[int, Row]] = []
    for row in reader:
        if None in row or None in row.values():
            raise BadSetting(
                f"--known {path.name}, line {reader.line_num}: a row must have as many cells as "
                f"the header ({len(reader.fieldnames or [])})"
            )
        rows.append((reader.line_num, _filled(row)))
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


def _filled(row: Row) -> Row:
    return {str(name).strip(): value for name, value in row.items() if value not in ("", None)}


def _check_columns(
    path: Path, rows: Sequence[tuple[int, Row]], space: Space, metrics: Sequence[str]
) -> None:
    kind = type(next(iter(space.preview(1))).config)
    names = set(space.parameters()) | kind.paths() | set(metrics) | set(space.sweep.choices)
    shown = {*map(bare, space.parameters()), *metrics}
    books = {f"{metric} {word}" for metric in metrics for word in ("mean", "low", "high")}
    for line, row in rows:
        for name in row:
            if name not in names and name not in books and name not in _KEPT_BOOKS:
                raise UnknownName(
                    f"--known {path.name}, line {line}: column {name!r} is no parameter, no path "
                    f"and no objective of sweep {space.sweep.name}{on_offer(name, shown)}"
                )


def _point(row: Row, space: Space, metrics: Sequence[str]) -> Point:
    """The point of a row, all of whose cells must hold there."""

    def answer(name: str, distribution: Distribution) -> object:
        given = row.get(name, row.get(bare(name)))
        if given is None:
            raise BadSetting(f"{bare(name)} must be given, it is in {distribution}")
        value = _typed(given, distribution)
        if not distribution.contains(value):
            raise BadSetting(f"{bare(name)} must be in {distribution}, got {given!r}")
        return value

    try:
        point = space.run(answer)
    except RaysearchError as error:
        raise BadSetting(sentence(error.__cause__ or error)) from None
    asked = {*point.params, *map(bare, point.params)}
    for name, given in row.items():
        if name in metrics or name in asked or name.partition(" ")[0] in metrics:
            continue
        if name not in _KEPT_BOOKS:
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


def _typed(given: Any, distribution: Distribution) -> Any:
    """A cell as a value of a distribution's own type; as it is if it is none."""
    if isinstance(distribution, Choice):
        return next((each for each in distribution.choices if _is_same(given, each)), given)
    number = _number(given)
    if number is None:
        return given
    if isinstance(distribution, Float):
        return distribution.snap(number) if distribution.contains(number) else number
    return int(number) if number.is_integer() else number


def _is_same(given: Any, choice: Any) -> bool:
    """Whether a cell says a choice: CSV knows texts only."""
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
    except (TypeError, ValueError):
        return None


def _objective(row: Row, name: str) -> float:
    number = _number(row.get(name))
    if number is None or not math.isfinite(number):
        raise BadSetting(f"{name} must be a finite number, got {row.get(name)!r}")
    return number
