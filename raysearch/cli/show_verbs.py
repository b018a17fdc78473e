"""What the commands print that compare, note, tag and delete searches."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raysearch import verbs
from raysearch.cli.forms import Form
from raysearch.errors import BadSetting
from raysearch.results.compare import HEADERS
from raysearch.results.headings import headings
from raysearch.results.layout import Column, side_by_side
from raysearch.results.markup import marked_up
from raysearch.settings import Settings
from raysearch.terminal import make_console, print_csv, print_json, say, say_block, show
from raysearch.texts import CELL, decimals, shown

if TYPE_CHECKING:
    from rich.table import Table


def show_comparison(names: Sequence[str], settings: Settings, form: Form | None) -> None:
    """Searches side by side: a row for each in CSV and JSON, a column for each in the table."""
    rows = verbs.compared(names, settings)
    if form == "json":
        print_json(rows)
    elif form == "csv":
        print_csv(rows)
    elif form is not None:
        say_block(marked_up(comparison_columns(rows), rows, form))
    else:
        for table in record_tables(rows, make_console().width):
            show(table)


def record_tables(rows: Sequence[Mapping[str, Any]], width: int | None = None) -> list[Table]:
    """Records side by side: a column for each, a line for each field that any of them has.

    As many beside each other as there is room for; the others below, under the same labels.
    """
    keys = list(dict.fromkeys(key for row in rows for key in row))[1:]
    keys = [key for key in keys if any(row.get(key) is not None for row in rows)]
    heads = [shown(next(iter(row.values())), 2 * CELL) for row in rows]
    cells = [[_cell(row.get(key)) for key in keys] for row in rows]
    labels = headings([HEADERS.get(key, key) for key in keys], 2 * CELL)
    return side_by_side(labels, list(zip(heads, cells, strict=True)), width)


def comparison_columns(rows: Sequence[Mapping[str, Any]]) -> list[Column[Mapping[str, Any]]]:
    """What a paper says of each search: how many trials and seeds, each mean with its interval."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    scores = [key for key in keys if f"{key} low" in keys and key != "difference"]
    columns: list[Column[Mapping[str, Any]]] = []
    for key in ("search", "trials", "seeds", *scores, "steps", "hours", "difference", "verdict"):
        if key not in keys:
            continue
        is_mean = f"{key} low" in keys
        said = (lambda row, key=key: _spread(row, key)) if is_mean else None
        align = "left" if key in ("search", "verdict") else "right"
        columns.append(Column(key, key, lambda row, key=key: row.get(key), said, align))
    return columns


def _spread(row: Mapping[str, Any], key: str) -> str:
    """`0.9823 ± 0.0072`, the half of the 95 % interval; without one the mean alone."""
    mean, low, high = (row.get(name) for name in (key, f"{key} low", f"{key} high"))
    if mean is None:
        return ""
    half = None if low is None or high is None else (high - low) / 2
    return decimals(mean) + ("" if half is None else f" ± {decimals(half)}")


def _cell(value: object) -> str:
    return "" if value is None else shown(value, 2 * CELL)


def check_page(form: Form | None) -> None:
    """Raises BadSetting if something else than a page is asked for too."""
    if form is not None:
        raise BadSetting(f"--html must stand alone, got --{form} too")


def show_said(missing: Mapping[str, str]) -> None:
    """Which searches were changed, and where MLflow does not have it yet."""
    for name, problem in missing.items():
        say(f"{name}: written" + (f"; MLflow does not have it yet: {problem}" if problem else ""))


def delete(names: Sequence[str], settings: Settings, *, ask: bool) -> None:
    """Deletes searches, after a question on the terminal.

    Raises:
        ValueError: there is no terminal to ask on. LookupError: no such search, nothing is deleted.
    """
    views = [verbs.salvaged_of(name, settings)[1] for name in names]
    if ask:
        trials = sum(len(view.trials) for view in views)
        question = f"delete {', '.join(names)} ({trials} trials, their checkpoints and MLflow runs)"
        if not sys.stdin.isatty():
            raise BadSetting(f"--yes must be given where nobody can be asked: {question}")
        if input(f"{question}? [y/N] ").strip().lower() not in ("y", "yes"):
            say("nothing was deleted")
            return
    for name in names:
        left = verbs.delete(name, settings)
        if left:
            some = ", ".join(path.name for path in left[:5]) + (" …" if len(left) > 5 else "")
            say(f"{name}: left in {left[0].parent}, since it is none of the search's: {some}")
        say(f"{name}: deleted")
