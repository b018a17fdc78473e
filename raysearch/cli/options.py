"""The application and the options that commands share, and how bad input is said."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raysearch.errors import KIND_TO, NoRay, RaysearchError, kind_of
from raysearch.settings import Settings
from raysearch.terminal import say
from raysearch.texts import one_line

if TYPE_CHECKING:
    from raysearch.events.log import Store
    from raysearch.results.view import SearchView

app = typer.Typer(
    name="raysearch",
    help="Hyperparameter search for vision-representation research: declare, search, compare.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FINISHED, NOTHING_COMPLETED, BAD_INPUT, OUR_FAULT, OUT_OF_BOX, INTERRUPTED = 0, 1, 2, 70, 124, 130
RAY_DID_NOT_START, STOPPED_ITSELF = 69, 1

Runs = Annotated[
    Path | None,
    typer.Option(
        "--runs", help="Folder in which everything lies; default runs, or raysearch.toml."
    ),
]
StoreUrl = Annotated[
    str | None, typer.Option("--store", help="Database of the events; default runs/raysearch.db.")
]
Tracking = Annotated[
    str | None,
    typer.Option("--tracking-uri", help="MLflow, or none; default sqlite in runs/mlflow.db."),
]
Address = Annotated[
    str | None,
    typer.Option("--address", help="A Ray cluster to run on: auto, or head:6379; default here."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _complete(incomplete: str) -> list[str]:
    """The searches that begin so, for the completion of a shell: it says no error."""
    with suppress(Exception):
        from raysearch.results.opening import store_of

        names = store_of(Settings.locate()).searches()
        return [name for name in names if name.startswith(incomplete)]
    return []


Name = Annotated[str, typer.Argument(help="Name of a search.", autocompletion=_complete)]
Names = Annotated[list[str], typer.Argument(help="Names of searches.", autocompletion=_complete)]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PATH=VALUE]...", help="Values; one given to a sampled name fixes it."),
]
RUNS: Path | None = None
"""Not given: environment, file or default say it (`Settings.locate`)."""
_ERROR = 4000
"""Letters of an error, which may list what is on offer."""


@contextmanager
def plainly() -> Generator[None]:
    """Bad input is one sentence on standard error and exit status 2, never a traceback.

    What is no `RaysearchError` is none: the command's frame shows it as our fault.
    """
    try:
        yield
    except RaysearchError as error:
        say(f"error: {one_line(error, _ERROR)}", err=True)
        if listener := os.environ.get(KIND_TO):
            with suppress(OSError, ValueError):
                os.write(int(listener), kind_of(error).encode())
        no_ray = isinstance(error, NoRay)
        raise typer.Exit(RAY_DID_NOT_START if no_ray else BAD_INPUT) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        from raysearch.files import full_disk

        say(f"error: {full_disk(error.filename)}", err=True)
        raise typer.Exit(BAD_INPUT) from None


def view_of(name: str, runs: Path | None, store: str | None) -> tuple[Store, SearchView]:
    """The store and the view of an existing search; creates nothing."""
    from raysearch.results import opening

    return opening.view_of(name, Settings.locate(runs, store))
