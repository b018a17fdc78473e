"""Admission to MLflow's server: whether it lets us in, and the sentence if it does not."""

from __future__ import annotations

import os
from pathlib import Path

from raysearch.errors import BadSetting, Unreachable
from raysearch.passwords import hidden
from raysearch.tracking.tracker import first_line

_ASK = "/api/2.0/mlflow/experiments/search"
_REFUSED, _FORBIDDEN = 401, 403
_OTHER_WAYS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4")
_TIMEOUT = 2.0


def refusal(uri: str, error: Exception) -> str:
    """What to say if MLflow refuses who we are, or what we may; empty for any other error."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is None and hasattr(error, "get_http_status_code"):
        status = error.get_http_status_code()  # type: ignore[attr-defined]
    if status == _REFUSED:
        return _sentence(uri)
    if status == _FORBIDDEN:
        return (
            f"MLflow at {hidden(uri)} lets user {_user()!r} in, but may not be written by it: "
            f"give it permission there, or set MLFLOW_TRACKING_USERNAME and "
            f"MLFLOW_TRACKING_PASSWORD of another user"
        )
    return ""


def unreachable(uri: str, error: Exception) -> ConnectionError:
    """The one sentence for an MLflow that cannot be asked."""
    reason = f"--tracking-uri {hidden(uri)!r} cannot be reached: {first_line(error)}"
    return Unreachable(refusal(uri, error) or reason)


def check_admission(uri: str) -> None:
    """Refuses a server that would refuse all that is written; one that is down is none of those.

    Only user and password are looked at, not the other ways by which MLflow's client may come in.

    Raises:
        ValueError: one sentence that says what to set.
    """
    import requests

    if any(os.environ.get(one) for one in _OTHER_WAYS) or _credentials().exists():
        return
    user, password = _user(), os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
    try:
        reason = requests.get(
            uri.rstrip("/") + _ASK,
            {"max_results": "1"},
            auth=(user, password) if user else None,
            timeout=_TIMEOUT,
        )
    except requests.RequestException:
        return
    if reason.status_code == _REFUSED:
        raise BadSetting(_sentence(uri))


def _sentence(uri: str) -> str:
    user = _user()
    who = f"user {user!r} with its password" if user else "whoever has no user and password"
    return (
        f"MLflow at {hidden(uri)} refuses {who}: set MLFLOW_TRACKING_USERNAME and "
        f"MLFLOW_TRACKING_PASSWORD as service.json on the head has them"
    )


def _user() -> str:
    return os.environ.get("MLFLOW_TRACKING_USERNAME", "")


def _credentials() -> Path:
    return Path.home() / ".mlflow" / "credentials"
