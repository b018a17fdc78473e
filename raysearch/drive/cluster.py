"""Ray, of our own on this machine or a cluster at an address: joined, and asked what it has."""

from __future__ import annotations

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from raysearch.drive.capacity import node_of, to_come
from raysearch.errors import Unreachable
from raysearch.room import Machine

NAMESPACE = "raysearch"
"""Ray's namespace of all our drivers, and of the broker."""

_ANSWER = 5.0
"""Seconds in which a cluster must answer."""

RAY_SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",  # its own table, even with verbose=0
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_DEDUP_LOGS": "0",
    "RAY_memory_monitor_refresh_ms": "0",  # hosts watch their trials; Ray would kill a host
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""The environment in which Ray is started, as far as it is not set already."""


def connect(address: str | None) -> None:
    """Joins the cluster at an address, or starts a Ray of our own; once a process.

    Raises:
        ConnectionError: there is no cluster at the address, or it refuses us; in one sentence.
    """
    for name, value in RAY_SETTINGS.items():
        os.environ.setdefault(name, value)
    import logging

    import ray

    if ray.is_initialized():
        return
    if address is not None:
        _refuse_silence(address)
    local: dict[str, Any] = {"num_cpus": len(os.sched_getaffinity(0)), "include_dashboard": False}
    try:
        ray.init(
            address=address or "local",  # None would join whatever runs on this machine
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **(_abroad() if address else local),
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        if address is None:
            raise
        raise _no_cluster(address, str(error)) from None


def _refuse_silence(address: str) -> None:
    """Raises ConnectionError if nobody listens there: Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host.removeprefix("ray://"), int(port)), _ANSWER).close()
    except (OSError, ValueError) as error:
        raise _no_cluster(address, str(error)) from None


def _no_cluster(address: str, said: str) -> Unreachable:
    first = (said.strip().splitlines() or ["no answer"])[0]
    return Unreachable(
        f"--address must be a Ray cluster, as auto or head:6379, got {address!r}: {first}"
    )


def _abroad() -> dict[str, Any]:
    """Other nodes look for packages where this process does, unless its job has said where."""
    path = os.environ.get("PYTHONPATH")
    if not path or "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        return {}
    return {"runtime_env": {"env_vars": {"PYTHONPATH": path}}}


@contextmanager
def joined(address: str | None) -> Generator[Machine]:
    """What there is to run on. A cluster stays joined, unless what follows fails."""
    if address is None:
        yield Machine.here()
        return
    import ray

    connect(address)
    try:
        here = living()
        yield Machine.cluster([*here, *to_come(here)])
    except BaseException:
        ray.shutdown()
        raise


def living() -> list[Machine]:
    """The nodes of the cluster that live now: what each has for trials."""
    import ray

    return [node_of(node["Resources"]) for node in ray.nodes() if node["Alive"]]
