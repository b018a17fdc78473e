"""Columns of a table as values, and how many of them a line of so many letters has room for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Generic, Literal, TypeVar

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from raysearch.results.headings import headings
from raysearch.terminal import letters
from raysearch.texts import CELL, shown, visible

R = TypeVar("R")
Surface = Literal["records", "terminal", "page"]
Look = Literal["plain", "state", "sentences"]
"""How a cell looks on a page: as it is, in the colour of a state, or as text in several lines."""
"""Where a column stands: `records` are CSV, JSON, pandas and HTTP."""
EVERYWHERE: frozenset[Surface] = frozenset(("records", "terminal", "page"))
_LONGEST = 200
"""Letters of a header; no metric or setting has a longer name."""
_GAP = 2
_NARROW = (16, 8)
"""Letters to which headers are broken into lines where there is no room, one after the other."""
_BREAKS = "/._- "


@dataclass(frozen=True)
class Column(Generic[R]):
    """A column: what it says of a row of a table, for programs (`value`) and for people (`text`).

    `key` names it in records, `header` above a table; `text` is None where the value is shown as
    any other. Where there is no room those that `may_drop` are left out, the lowest `priority`
    first and of equal ones the last; for people the higher stands further left. `on` says where it
    stands at all, `look` how on a page.
    """

    key: str
    header: str
    value: Callable[[R], Any]
    text: Callable[[R], str] | None = None
    align: Literal["left", "right"] = "left"
    may_drop: bool = True
    priority: int = 0
    on: frozenset[Surface] = EVERYWHERE
    look: Look = "plain"

    def cell(self, row: R) -> str:
        """What a table for people shows of a row: a line, in which nothing moves the cursor."""
        if self.text is not None:
            return visible(self.text(row))
        value = self.value(row)
        return "" if value is None else shown(value)


@dataclass(frozen=True)
class Fitted(Generic[R]):
    """A table as it is drawn: columns, their headers in lines, a line of cells for each row.

    `left_out` are the columns without room; `is_whole` says whether the others have enough.
    """

    columns: Sequence[Column[R]]
    headers: Sequence[Sequence[str]]
    cells: Sequence[Sequence[str]]
    widths: Sequence[int]
    left_out: Sequence[Column[R]]
    is_whole: bool


def on(columns: Iterable[Column[R]], surface: Surface) -> list[Column[R]]:
    """The columns of a surface; for people those with the higher priority first."""
    found = [column for column in columns if surface in column.on]
    return found if surface == "records" else sorted(found, key=lambda one: -one.priority)


def records(columns: Iterable[Column[R]], rows: Iterable[R]) -> list[dict[str, Any]]:
    """What the rows are for a program: a value for each key."""
    kept = on(columns, "records")
    return [{column.key: column.value(row) for column in kept} for row in rows]


def fitted(columns: Sequence[Column[R]], rows: Sequence[R], width: int | None) -> Fitted[R]:
    """As many of the columns as fit into `width` letters; None: all of them.

    First headers are broken into lines; then columns that may be dropped are. Where none of these
    would be left headers are broken into shorter lines. What may not be dropped is never cut, but
    may be too wide: then it is not `is_whole`. Other headers are cut, so that they still differ.
    """
    cells = [[column.cell(row) for column in columns] for row in rows]
    content = [max((cell_len(row[at]) for row in cells), default=0) for at in range(len(columns))]
    order = sorted(range(len(columns)), key=lambda at: (columns[at].priority, -at))
    droppable = [at for at in order if columns[at].may_drop]
    cuttable = iter(headings([columns[at].header for at in sorted(droppable)]))
    names = [next(cuttable) if one.may_drop else _whole(one.header) for one in columns]
    headers = [[name] for name in names]
    widths = _widths(content, headers)
    kept, fits = _kept(widths, [], width)
    for most in _NARROW:
        if not fits or (droppable and not set(kept) & set(droppable)):
            headers = [broken(name, max(most, content[at])) for at, name in enumerate(names)]
            widths = _widths(content, headers)
            kept, fits = _kept(widths, droppable, width)
    return Fitted(
        [columns[at] for at in kept],
        [headers[at] for at in kept],
        [[row[at] for at in kept] for row in cells],
        [widths[at] for at in kept],
        [column for at, column in enumerate(columns) if at not in kept],
        fits,
    )


def _whole(header: str) -> str:
    """A header that is not cut, unless it is a text rather than a name."""
    return shown(header) if len(header) > _LONGEST else visible(header)


def _widths(content: Sequence[int], headers: Sequence[Sequence[str]]) -> list[int]:
    return [max(most, *map(cell_len, name)) for most, name in zip(content, headers, strict=True)]


def _kept(
    widths: Sequence[int], droppable: Sequence[int], width: int | None
) -> tuple[list[int], bool]:
    """The places that are kept, and whether they fit, with a count of what was dropped."""
    kept = list(range(len(widths)))
    if width is None:
        return kept, True
    for at in (None, *droppable):
        if at is not None:
            kept.remove(at)
        more = [len(more_of(len(widths) - len(kept)))] if len(kept) < len(widths) else []
        if sum(each + _GAP for each in (*(widths[one] for one in kept), *more)) - _GAP <= width:
            return kept, True
    return kept, False


def more_of(count: int) -> str:
    """The header that stands for columns that were left out: `+4 more`."""
    return f"+{count} more"


def broken(name: str, most: int) -> list[str]:
    """A name in lines of at most so many letters, broken behind `/`, `.`, `_`, `-` if it can be.

    Joined, the lines are the name.
    """
    lines: list[str] = []
    while cell_len(name) > most:
        whole = next(
            end
            for end in range(min(len(name), max(most, 1)), 0, -1)
            if end == 1 or cell_len(name[:end]) <= most
        )
        ends = [end for end in range(1, whole + 1) if name[end - 1] in _BREAKS]
        end = ends[-1] if ends and ends[-1] > whole // 3 else whole
        lines.append(name[:end])
        name = name[end:]
    return [*lines, name]


def drawn(found: Fitted[R], styles: Sequence[str] = ()) -> Table:
    """The table for a terminal, the count of what was left out as its last column."""
    table = Table(box=None, pad_edge=False)
    for column, header in zip(found.columns, found.headers, strict=True):
        name = Text("\n".join(map(visible, header)))
        is_number = column.align == "right"
        table.add_column(
            name, justify=column.align, overflow="fold", no_wrap=found.is_whole and not is_number
        )
    if found.left_out:
        table.add_column(more_of(len(found.left_out)), no_wrap=True)
    for at, row in enumerate(found.cells):
        table.add_row(*map(letters, row), style=styles[at] if styles else "")
    return table


def side_by_side(
    labels: Sequence[str],
    columns: Sequence[tuple[str, Sequence[str]]],
    width: int | None,
    *,
    is_one: bool = False,
) -> list[Table]:
    """Records as columns: a header and a cell for each label; several tables if one is too wide.

    Nothing is cut: what is too long goes on in the next line of its cell. With `is_one` columns are
    made narrow rather than put into another table.
    """
    label = max(map(cell_len, labels), default=0)
    natural = [
        max((cell_len(text) for text in (head, *cells)), default=0) for head, cells in columns
    ]
    if width is not None and label + sum(each + _GAP for each in natural) > width:
        label = min(label, max(width * 2 // 5, 16))
        content = [max((cell_len(text) for text in cells), default=0) for _, cells in columns]
        room = max(width - label - _GAP, 8)
        natural = [
            min(room, each, max(inside, _NARROW[0], min(CELL, room // 2)))
            for each, inside in zip(natural, content, strict=True)
        ]
        natural = _narrowed(natural, room) if is_one else natural
        ends = _blocks(natural, room)
    else:
        ends = [0, len(columns)]
    tables: list[Table] = []
    for begin, end in pairwise(ends):
        table = Table(box=None, pad_edge=False)
        table.add_column("", width=label or None, overflow="fold")
        for (head, _), most in zip(columns[begin:end], natural[begin:end], strict=True):
            name = Text("\n".join(broken(visible(head), max(most, 1))))
            table.add_column(name, width=most, overflow="fold")
        for at, name in enumerate(labels):
            said = Text("\n".join(broken(visible(name), max(label, 1))))
            table.add_row(said, *(letters(cells[at]) for _, cells in columns[begin:end]))
        tables.append(table)
    return tables


def _narrowed(widths: Sequence[int], room: int) -> list[int]:
    """Widths of which the widest are made less until all fit, or none may be less."""
    found = list(widths)
    while sum(found) + _GAP * (len(found) - 1) > room and max(found) > _NARROW[1]:
        found[found.index(max(found))] -= 1
    return found


def _blocks(widths: Sequence[int], room: int) -> list[int]:
    """Where tables begin, so that none is wider than there is room; and where the last one ends."""
    ends, used = [0], 0
    for at, width in enumerate(widths):
        if used and used + _GAP + width > room:
            ends.append(at)
            used = 0
        used += width + (_GAP if used else 0)
    return [*ends, len(widths)]
