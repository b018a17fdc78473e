"""Tables for papers and pages of text: LaTeX and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

from raysearch.results.layout import Column
from raysearch.texts import visible

R = TypeVar("R")
Markup = Literal["latex", "markdown"]
_LATEX = {
    "\\": r"\textbackslash{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "…": r"\ldots{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


def marked_up(columns: Sequence[Column[R]], rows: Sequence[R], markup: Markup) -> str:
    """The whole table as text; columns that may be dropped and are empty in every row are left out.

    LaTeX is a `tabular` with `\\hline`, which needs no package; `±` stands before half of a 95 %
    interval. Markdown is that of GitHub, with the alignment of columns.
    """
    cells = [[column.cell(row) for column in columns] for row in rows]
    kept = [
        at
        for at, column in enumerate(columns)
        if not cells or not column.may_drop or any(row[at] for row in cells)
    ]
    header = [visible(columns[at].header) for at in kept]
    right = [columns[at].align == "right" for at in kept]
    body = [[row[at] for at in kept] for row in cells]
    return (_latex if markup == "latex" else _markdown)(header, body, right)


def _latex(header: Sequence[str], body: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    kinds = "".join("r" if is_right else "l" for is_right in right)

    def line(cells: Sequence[str]) -> str:
        return " & ".join(map(latex, cells)) + r" \\"

    begin, end = rf"\begin{{tabular}}{{{kinds}}}", r"\end{tabular}"
    return "\n".join(
        [begin, r"\hline", line(header), r"\hline", *map(line, body), r"\hline", end, ""]
    )


def _markdown(header: Sequence[str], body: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(map(markdown, cells))} |"

    rule = " | ".join("---:" if is_right else "---" for is_right in right)
    return "\n".join([line(header), f"| {rule} |", *map(line, body), ""])


def latex(text: str) -> str:
    """A text in which no letter is a command of LaTeX."""
    return "".join(_LATEX.get(letter, letter) for letter in text)


def markdown(text: str) -> str:
    """A text as a cell of a Markdown table."""
    for letter in "\\`*_[]<>|":
        text = text.replace(letter, f"\\{letter}")
    return text
