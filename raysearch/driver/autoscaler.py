"""The nodes that the autoscaler of a cluster may add to those that live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from raysearch.driver.resources import Machine

BOOTSTRAP = Path.home() / "ray_bootstrap_config.yaml"
"""Where `ray up` leaves a cluster's configuration on its head."""


def to_come(living: Sequence[Machine], file: Path = BOOTSTRAP) -> list[Machine]:
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
    added: list[Machine] = []
    for name, kind in (config.get("available_node_types") or {}).items():
        node = node_of(kind.get("resources") or {})
        if not node.cpus:
            continue
        node = replace(node, memory=node.memory or node.cpus * _memory_for_each(living))
        most = int(kind.get("max_workers") or 0) + (name == head)
        added += [node] * (most - sum(_takes(left, node) for _ in range(most)))
    workers = int(config.get("max_workers") or 0) + 1
    return added[: max(workers - len(living), 0)]


def _takes(left: list[Machine], node: Machine) -> bool:
    """Takes one that lives and is of this kind off the list."""
    for index, one in enumerate(left):
        if (one.cpus, one.gpus) == (node.cpus, node.gpus):
            del left[index]
            return True
    return False


def _memory_for_each(living: Sequence[Machine]) -> int:
    return min((int(one.memory / one.cpus) for one in _with_cpus(living)), default=2 << 30)


def _with_cpus(nodes: Sequence[Machine]) -> Iterator[Machine]:
    yield from (one for one in nodes if one.cpus)


def node_of(resources: Mapping[str, Any]) -> Machine:
    """A node by the resources that Ray says it has."""
    cpus, gpus, memory = (int(resources.get(name) or 0) for name in ("CPU", "GPU", "memory"))
    return Machine(cpus, gpus, memory)
