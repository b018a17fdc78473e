"""Ray, of our own on this machine or a cluster at an address: joined, and asked what it has."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from raysearch.driver.autoscaler import node_of, to_come
from raysearch.driver.own_ray import OwnRay, own_ray
from raysearch.driver.resources import Machine
from raysearch.driver.signals import unchanged
from raysearch.errors import Unreachable

if TYPE_CHECKING:
    import grpc

NAMESPACE = "raysearch"
"""Ray's namespace of all our drivers, and of the broker."""

_ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"
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


def connect(address: str) -> None:
    """Joins the cluster at an address; once a process.

    Whether it is asked with a token is said by RAY_AUTH_MODE, or else by the cluster itself.

    Raises:
        ConnectionError: there is no cluster at the address, or it refuses us; in one sentence.
    """
    prepare()
    import ray

    if ray.is_initialized():
        return
    _refuse_silence(address)
    _choose_tokens(address)
    try:
        with unchanged():
            ray.init(
                address=address,
                namespace=NAMESPACE,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **_abroad(),
            )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _no_cluster(address, str(error)) from None


def prepare() -> None:
    """Sets the environment in which Ray and its Tune are imported and started."""
    for name, value in RAY_SETTINGS.items():
        os.environ.setdefault(name, value)


def _choose_tokens(address: str) -> None:
    """Brings a token where the cluster asks for one: Ray goes by how the address is written."""
    import grpc
    from ray._private.services import canonicalize_bootstrap_address
    from ray._raylet import Config  # pyright: ignore[reportAttributeAccessIssue]

    if "RAY_AUTH_MODE" in os.environ or address.startswith("ray://"):
        return
    try:
        found = canonicalize_bootstrap_address(address)
    except (ConnectionError, RuntimeError):
        return  # there is none, which is said when it is joined
    code = asked(found, "") if found else grpc.StatusCode.OK
    if code in (grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED):
        os.environ["RAY_AUTH_MODE"] = "disabled" if code == grpc.StatusCode.OK else "token"
        Config.initialize("")  # which was read when Ray was imported


def asked(address: str, secret: str) -> grpc.StatusCode:
    """How Ray's head answers the smallest question; it needs no Ray in this process."""
    import grpc

    metadata = (("authorization", f"Bearer {secret}"),) if secret else ()
    with grpc.insecure_channel(address) as channel:
        ask = channel.unary_unary(_ALIVE)
        try:
            ask(b"", timeout=_ANSWER, metadata=metadata)
        except grpc.RpcError as error:
            return error.code()  # type: ignore[attr-defined]
    return grpc.StatusCode.OK


@contextmanager
def ray_of(address: str | None) -> Generator[OwnRay | None]:
    """The cluster at an address, or a Ray of our own: only that is given, to be watched.

    At the end it is left, or ended with all that it started.

    Raises:
        ConnectionError: as `connect`; or no Ray starts here.
    """
    prepare()
    import ray

    if address is None and not ray.is_initialized():
        with own_ray(len(os.sched_getaffinity(0)), NAMESPACE) as own:
            yield own
        return
    if address is not None:
        connect(address)
    try:
        yield None
    finally:
        ray.shutdown()


def _refuse_silence(address: str) -> None:
    """Raises ConnectionError if nobody listens there: Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host.removeprefix("ray://"), int(port)), _ANSWER).close()
    except (OSError, ValueError) as error:
        raise _no_cluster(address, str(error)) from None


def _no_cluster(address: str, reason: str) -> Unreachable:
    first = (reason.strip().splitlines() or ["no answer"])[0]
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
    """The resources of Ray. A cluster stays joined, unless what follows fails."""
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
