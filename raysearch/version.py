"""The version of raysearch, as it is said over the network and beside a newer one."""

from __future__ import annotations

HEADER = "X-Raysearch-Version"
"""In every request to a service and in every answer of one."""


def version() -> str:
    """The version that is installed; `unknown` where it runs without being installed."""
    from importlib import metadata

    try:
        return metadata.version("raysearch")
    except metadata.PackageNotFoundError:
        return "unknown"


def newer(theirs: object, number: int, known: int) -> str:
    """In words, a newer raysearch that wrote events in a format, beside this one."""
    which = f"raysearch {theirs}" if theirs else "a newer raysearch"
    return (
        f"{which}, which writes format {number}, and this one, raysearch {version()}, reads "
        f"formats up to {known}"
    )
