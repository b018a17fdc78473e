"""Which raysearch this is, as it says of itself to another one over the network."""

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
