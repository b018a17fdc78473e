"""The one place that writes to the terminal: lines, tables, logs, JSON, CSV."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from raysearch.errors import WrongState
from raysearch.streams import lost_output
from raysearch.texts import block, encodable, visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

_WIDE = 200
"""Letters in a line of a table where there is no terminal."""


def make_console(*, stderr: bool = False, file: IO[str] | None = None) -> Console:
    """A console that reads no markup: what people, trials and libraries wrote is text.

    It is as wide as the terminal, or as `COLUMNS` says, or wide where there is neither.
    """
    from rich.console import Console

    stream = file or (sys.stderr if stderr else sys.stdout)
    known = "COLUMNS" in os.environ or (stream is not None and stream.isatty())
    return Console(
        stderr=stderr,
        file=file,
        width=None if known else _WIDE,
        markup=False,
        emoji=False,
        highlight=False,
    )


def say(text: object = "", *, err: bool = False) -> None:
    """Writes a line at once; what is no letter in it is spelt out."""
    _write(f"{visible(text)}\n", err=err)


def say_wrapped(text: object, indent: int) -> None:
    """Writes a line that goes on below itself, indented, where the terminal ends.

    Where there is none, and nothing says how wide it is, it stays a line.
    """
    plain, width = visible(text), shutil.get_terminal_size((0, 0)).columns
    if not 2 * indent < width < len(plain):
        say(plain)
        return
    lines = textwrap.wrap(
        plain,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in lines:
        say(line)


def say_block(text: str, *, err: bool = False, log: bool = False) -> None:
    """Writes several lines, such as a traceback, and ends the last one.

    A `log` keeps its colours on a terminal, and all of its bytes elsewhere.
    """
    end = "" if text.endswith("\n") or not text else "\n"
    say_piece(f"{text}{end}", err=err, log=log)


def say_piece(text: str, *, err: bool = False, log: bool = True) -> None:
    """Writes a piece of a log that grows, or of what another command wrote, as it is."""
    stream = sys.stderr if err else sys.stdout
    if not log or (stream is not None and stream.isatty()):
        text = block(text, colours=log)
    _write(text, err=err)


def show(what: RenderableType) -> None:
    """Writes a table, or a styled line, as wide as the terminal; elsewhere a line stays one."""
    console = make_console()
    console.print(what, soft_wrap=_is_line(what) and not console.is_terminal)


def letters(text: object, style: str = "") -> Text:
    """A text as rich takes it, without markup and with nothing in it that moves the cursor."""
    from rich.text import Text

    return Text(visible(text), style=style)


def table_of(header: Sequence[object], rows: Iterable[Sequence[object]] = (), **how: Any) -> Table:
    """A plain table of texts, in which what is too long goes on in the next line of its cell.

    `how` goes to each column.
    """
    from rich.table import Table

    options: dict[str, Any] = {"overflow": "fold", **how}
    table = Table(box=None, pad_edge=False)
    for name in header:
        table.add_column(letters(name), **options)
    for row in rows:
        table.add_row(*map(letters, row))
    return table


def print_json(value: Any) -> None:
    """Strict JSON on standard output, in ASCII: the same on a terminal and in a pipe."""
    _emit(json.dumps(value, indent=2, allow_nan=False) + "\n")


def print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """Records as CSV in UTF-8, whatever the terminal: a column for each field that any has."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    _emit(text.getvalue())


def _emit(text: str) -> None:
    """Writes what a program reads, whole or with an error.

    A reader that has gone, such as `head`, has what it wanted.

    Raises:
        WrongState: standard output does not take it, as on a full disk.
    """
    stream = sys.stdout
    binary = getattr(stream, "buffer", None)
    if stream is not None and binary is not None:
        stream.flush()
        binary.write(encodable(text).encode())
        binary.flush()
    elif stream is not None:
        stream.write(text)
    lost = lost_output()
    if lost is not None and lost.errno != errno.EPIPE:
        why = os.strerror(lost.errno or errno.EIO).lower()
        raise WrongState(f"standard output must take what is written, but: {why}")


def _write(text: str, *, err: bool) -> None:
    stream = sys.stderr if err else sys.stdout
    if stream is not None:
        stream.write(encodable(text))
        stream.flush()


def _is_line(what: RenderableType) -> bool:
    from rich.text import Text

    return isinstance(what, Text)
