"""The capacity of a cluster, as its head's dashboard says it, and what may come."""

from __future__ import annotations

from typing import Any

from raysearch.driver.autoscaler import node_of, to_come
from raysearch.driver.resources import Machine
from raysearch.errors import Unreachable


def living(dashboard: str) -> list[Machine]:
    """The nodes that live now. Raises ConnectionError if Ray does not answer."""
    from ray.util.state import list_nodes
    from ray.util.state.exception import RayStateApiException

    try:
        found = list_nodes(dashboard, filters=[("state", "=", "ALIVE")], limit=10_000)
    except (RayStateApiException, ConnectionError, OSError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise Unreachable(f"Ray at {dashboard} does not say what it has: {why}") from None
    nodes: list[Any] = list(found)  # the stub of what Ray lists knows no field
    return [node_of(node.resources_total or {}) for node in nodes]


def existing(dashboard: str) -> tuple[list[Machine], list[Machine]]:
    """The nodes that live now, and those that may be added.

    Raises:
        ConnectionError: Ray does not answer, or there is nothing to run on and nothing to come.
    """
    here = living(dashboard)
    more = to_come(here)
    if not any(node.cpus for node in [*here, *more]):
        raise Unreachable(f"Ray at {dashboard} has no node with CPUs yet: try again shortly")
    return here, more
