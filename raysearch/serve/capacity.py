"""What a cluster has: the nodes that live, and those that its autoscaler may add."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

BOOTSTRAP = Path.home() / "ray_bootstrap_config.yaml"
"""Where `ray up` leaves a cluster's configuration on its head."""

Node = dict[str, int]
"""`cpus`, `gpus` and bytes of `memory`."""


def living(dashboard: str) -> list[Node]:
    """The nodes that live now. Raises ConnectionError if Ray does not answer."""
    from ray.util.state import list_nodes
    from ray.util.state.exception import RayStateApiException

    try:
        found = list_nodes(dashboard, filters=[("state", "=", "ALIVE")], limit=10_000)
    except (RayStateApiException, ConnectionError, OSError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConnectionError(f"Ray at {dashboard} does not say what it has: {why}") from None
    nodes: list[Any] = list(found)  # the stub of what Ray lists knows no field
    return [_node(node.resources_total or {}) for node in nodes]


def to_come(living: Sequence[Node], file: Path = BOOTSTRAP) -> list[Node]:
    """The nodes that the autoscaler may add to those that live; none where there is no autoscaler.

    A kind of node whose resources the configuration does not state is not counted: nobody knows
    them before one lives. Memory that it does not state is as much for each CPU as elsewhere.
    """
    import yaml

    if not file.is_file():
        return []
    config: dict[str, Any] = yaml.safe_load(file.read_text()) or {}
    head = config.get("head_node_type")
    left = list(living)
    added: list[Node] = []
    for name, kind in (config.get("available_node_types") or {}).items():
        node = _node(kind.get("resources") or {})
        if not node["cpus"]:
            continue
        node["memory"] = node["memory"] or node["cpus"] * _memory_for_each(living)
        most = int(kind.get("max_workers") or 0) + (name == head)
        added += [node] * (most - sum(_takes(left, node) for _ in range(most)))
    workers = int(config.get("max_workers") or 0) + 1
    return added[: max(workers - len(living), 0)]


def _takes(left: list[Node], node: Node) -> bool:
    """Takes one that lives and is of this kind off the list."""
    for index, one in enumerate(left):
        if (one["cpus"], one["gpus"]) == (node["cpus"], node["gpus"]):
            del left[index]
            return True
    return False


def _memory_for_each(living: Sequence[Node]) -> int:
    return min((int(one["memory"] / one["cpus"]) for one in _with_cpus(living)), default=2 << 30)


def _with_cpus(nodes: Sequence[Node]) -> Iterator[Node]:
    yield from (one for one in nodes if one["cpus"])


def _node(resources: Mapping[str, Any]) -> Node:
    names = {"cpus": "CPU", "gpus": "GPU", "memory": "memory"}
    return {ours: int(resources.get(theirs) or 0) for ours, theirs in names.items()}
