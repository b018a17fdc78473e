"""The forms in which a table is printed: for a terminal, a program, a paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar

import typer

from raysearch.errors import BadSetting
from raysearch.results.layout import Column, drawn, fitted, on, records
from raysearch.results.markup import marked_up
from raysearch.terminal import make_console, print_csv, print_json, say_block, show

R = TypeVar("R")
Form = Literal["json", "csv", "latex", "markdown"]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
Latex = Annotated[bool, typer.Option("--latex", help="Print a LaTeX table.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")]


def form_of(*, as_json: bool, csv: bool, latex: bool, markdown: bool) -> Form | None:
    """The form that is asked for; None: a table for the terminal. Raises BadSetting for several."""
    given: dict[Form, bool] = {"json": as_json, "csv": csv, "latex": latex, "markdown": markdown}
    asked: list[Form] = [form for form, is_asked in given.items() if is_asked]
    if len(asked) > 1:
        named = ", ".join(f"--{form}" for form in asked)
        both = "both" if len(asked) == 2 else "all of them"
        raise BadSetting(
            f"either --json or --csv, --latex or --markdown must be given, got {both}: {named}"
        )
    return asked[0] if asked else None


def print_columns(columns: Sequence[Column[R]], rows: Sequence[R], form: Form | None) -> None:
    """A table of columns in a form; on a terminal as many of them as it is wide."""
    if form == "json":
        print_json(records(columns, rows))
    elif form == "csv":
        print_csv(records(columns, rows))
    elif form is not None:
        say_block(marked_up(on(columns, "terminal"), rows, form))
    else:
        show(drawn(fitted(on(columns, "terminal"), rows, make_console().width)))
