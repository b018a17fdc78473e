"""Requests that MLflow will never take, told from an MLflow that cannot be reached."""

from __future__ import annotations

from typing import Any

from raysearch.passwords import hidden
from raysearch.tracking.tracker import StartOver

_CODES = (
    "BAD_REQUEST",
    "INTERNAL_ERROR",
    "INVALID_PARAMETER_VALUE",
    "MALFORMED_REQUEST",
    "RESOURCE_ALREADY_EXISTS",
)
"""What MLflow says of a thing that it, or the database below, cannot hold; 500 is one of these."""
_NOT_ALLOWED = (401, 403, 429)
_SHOWN = 200


class RunIsGone(StartOver):
    """A run of ours was deleted while the search was written."""


def is_of_content(client: Any, run: str, error: Exception) -> bool:
    """Whether an error is about what was written: MLflow answers, and the run is there.

    Raises:
        RunIsGone: the run was deleted. Whatever MLflow raises when it cannot be reached.
    """
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        is_said = error.error_code in _CODES and error.get_http_status_code() not in _NOT_ALLOWED
    else:
        is_said = isinstance(error, (OverflowError, TypeError, ValueError))
        is_said = is_said and not isinstance(error, OSError)
    if not is_said:
        return False
    if client.get_run(run).info.lifecycle_stage != "active":
        raise RunIsGone(f"run {run} was deleted") from error
    return True


def said_of(error: Exception) -> str:
    """The first line of what is refused and why, shortened."""
    lines = str(error).splitlines()
    return hidden(lines[0] if lines else type(error).__name__)[:_SHOWN]
