"""The `raysearch` command: all its commands, in the order in which its help lists them."""

from __future__ import annotations

import errno
import sys
import traceback
from typing import Any

from raysearch.cli import (
    beginning,
    data,
    differing,
    importing,
    keeping,
    looking,
    reproducing,
    running,
    scaling,
    serving,
    submitting,
)
from raysearch.cli.options import OUR_FAULT, app
from raysearch.cli.panels import arrange
from raysearch.streams import lost_output, open_streams
from raysearch.terminal import say, say_block
from raysearch.version import version

__all__ = [
    "app",
    "beginning",
    "data",
    "differing",
    "importing",
    "keeping",
    "looking",
    "main",
    "reproducing",
    "running",
    "scaling",
    "serving",
    "submitting",
]

arrange(app)


def main(arguments: list[str] | None = None) -> Any:
    """The `raysearch` command; what nobody foresaw ends with a traceback and status 70."""
    open_streams()
    try:
        return app(arguments)
    except Exception as error:
        say_block("".join(traceback.format_exception(error)), err=True)
        say(err=True)
        say(
            f"This is a fault of raysearch {version()}, not of your input. What was reported is "
            f"kept: `raysearch resume` goes on with a search. Please send the lines above and the "
            f"command to whoever looks after raysearch.",
            err=True,
        )
        sys.exit(OUR_FAULT)
    finally:
        lost = lost_output()
        if lost is not None and lost.errno != errno.EPIPE:  # the status is that of the command
            say(f"standard output did not take all that was written: {lost.strerror}", err=True)
