"""The Ray cluster that the service stands beside: found, and asked whether it wants a token."""

from __future__ import annotations

import os

import grpc

from raysearch.driver.cluster import asked
from raysearch.errors import Unreachable
from raysearch.server.state import token

NONE = "none"
"""The address that stands for a head without Ray."""


def find(address: str) -> tuple[str, str]:
    """The address of a cluster and of its dashboard, as http://HOST:PORT.

    Raises:
        ConnectionError: there is no Ray, or it refuses our token, or it wants none although the
            user has not said that this is meant, or it has no dashboard, which takes the jobs.
    """
    found = _located(address)
    answer = asked(found, "")
    if answer == grpc.StatusCode.OK:
        if os.environ.get("RAY_AUTH_MODE") != "disabled":
            raise Unreachable(
                f"the Ray at {found} asks nobody for a token: whoever reaches it may run anything; "
                f"end it and start it by `RAY_AUTH_MODE=token ray start --head`, or set "
                f"RAY_AUTH_MODE=disabled here too if it is meant so"
            )
    elif answer == grpc.StatusCode.UNAUTHENTICATED:
        if answer := answers(found):
            raise Unreachable(answer)
    else:
        raise Unreachable(f"no Ray answers at {found}: start it by `ray start --head`")
    return found, _dashboard(found)


def answers(address: str) -> str:
    """Nothing if Ray answers at an address and takes our token; otherwise what is wrong."""
    answer = asked(address, token())
    if answer == grpc.StatusCode.OK:
        return ""
    if answer == grpc.StatusCode.UNAUTHENTICATED:
        return (
            f"the Ray at {address} refuses our token: it was started with another one than "
            f"RAY_AUTH_TOKEN or ~/.ray/auth_token says now"
        )
    return f"no Ray answers at {address}"


def _located(address: str) -> str:
    if address != "auto":
        return address
    from ray._private.services import canonicalize_bootstrap_address_or_die, find_gcs_addresses

    if len(several := sorted(find_gcs_addresses())) > 1:
        raise Unreachable(
            f"--ray-address must say which Ray is meant, got 'auto', and several run on this host: "
            f"{', '.join(several)}"
        )
    try:
        return canonicalize_bootstrap_address_or_die("auto")
    except ConnectionError:
        raise Unreachable(
            "no Ray runs on this host: start it by `RAY_AUTH_MODE=token ray start --head`, or give "
            "--ray-address HOST:6379, or --ray-address none for a service without Ray"
        ) from None


def _dashboard(address: str) -> str:
    from ray._raylet import GcsClient  # pyright: ignore[reportAttributeAccessIssue]

    found = GcsClient(address=address).internal_kv_get(b"dashboard", b"dashboard")
    if not found:
        raise Unreachable(
            f"the Ray at {address} has no dashboard, which takes the jobs of searches: start it "
            f"with --include-dashboard=true, from an environment with ray[default]"
        )
    return f"http://{found.decode()}"
