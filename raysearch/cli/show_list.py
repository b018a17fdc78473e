"""The searches of a store as a table, in which no name is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.cells import cell_len

from raysearch.passwords import hidden
from raysearch.results.layout import Column, drawn, fitted, on
from raysearch.results.search_table import COLUMNS, SearchRow, seeds_of
from raysearch.settings import Settings
from raysearch.sqlite_files import sqlite_file
from raysearch.terminal import make_console, print_json, say, show
from raysearch.verbs import Filter, listed, search_rows, searches

_INDENT = "  "


def show_list(settings: Settings, chosen: Filter, as_json: bool) -> None:
    """The searches in the store that are meant."""
    if as_json:
        print_json(listed(settings, chosen))
        return
    found = search_rows(settings, chosen)
    if not found:
        is_any = next(searches(settings), None) is not None
        begin = f"no search yet in {_where(settings)}; begin with: raysearch search ssl.digits_vit"
        say("no search fits" if is_any else begin)
        return
    columns, width = _needed(found), make_console().width
    table = fitted(columns, found, width)
    left = [column.header for column in table.left_out]
    if table.is_whole:
        show(drawn(replace(table, left_out=())))
    else:
        left = _below_names(found, columns[1:], width)
    if left:
        say(f"no room for {', '.join(left)}: a wider terminal has it, and --json", err=True)


def _where(settings: Settings) -> str:
    """The file or the database in which searches were looked for."""
    path = sqlite_file(settings.store)
    if path is None:
        return hidden(settings.store)
    return str(settings.runs if path.parent == settings.runs else path)


def _needed(found: Sequence[SearchRow]) -> list[Column[SearchRow]]:
    """The columns that say something; how seeds ended, if not all completed, may not be dropped."""
    kept = [column for column in on(COLUMNS, "terminal") if any(map(column.cell, found))]
    kept = [one for one in kept if one.key != "infeasible" or any(one.value(row) for row in found)]
    is_doubtful = any(":" in seeds_of(row) for row in found)
    return [
        replace(one, may_drop=False) if one.key == "seeds" and is_doubtful else one for one in kept
    ]


def _below_names(
    found: Sequence[SearchRow], columns: Sequence[Column[SearchRow]], width: int
) -> list[str]:
    """Each name on a line of its own, what there is room for below it; what there is none for."""
    left: dict[str, None] = {}
    for row in found:
        say(row.view.search)
        line = ""
        for column in columns:
            fact = f"{column.header} {column.cell(row)}" if column.cell(row) else ""
            longer = f"{line}, {fact}" if line else f"{_INDENT}{fact}"
            if not fact:
                continue
            if cell_len(longer) <= width or not line:
                line = longer
            elif column.may_drop:
                left[column.header] = None
            else:
                say(line)
                line = f"{_INDENT}{fact}"
        say(line)
    return list(left)
