"""Where MLflow is: its address checked, its client made quiet and quick to give up."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Set before MLflow is imported: by itself it retries for minutes and reports home."""


def server_environment() -> dict[str, str]:
    """What `mlflow server` needs to stay small: no telemetry, no job executors."""
    return {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def check_tracking(uri: str) -> None:
    """Refuses an address that MLflow could never write to; a server that is down is none of those.

    Raises:
        ValueError: one sentence with the address and what is allowed.
    """
    if uri.startswith(("http://", "https://")):
        return
    if not re.match(r"(sqlite|postgresql|mysql|mssql)(\+\w+)?://", uri):
        raise ValueError(
            f"--tracking-uri must be the address of an MLflow server (http://…) or of a database "
            f"(sqlite:////absolute/path, postgresql://…), got {uri!r}"
        )
    if uri.startswith("sqlite:///"):
        folder = Path(uri.removeprefix("sqlite:///")).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"--tracking-uri {uri!r} cannot be written: {folder}: {error.strerror}"
            ) from None
        file = Path(uri.removeprefix("sqlite:///"))
        if not os.access(file if file.exists() else folder, os.W_OK) or file.is_dir():
            raise ValueError(f"--tracking-uri {uri!r} cannot be written: no permission for {file}")


def client_of(uri: str) -> MlflowClient:
    """MLflow's client for an address, with short timeouts."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def consumer(uri: str) -> str:
    """The name under which the cursor of an address is kept."""
    return "mlflow:" + hashlib.sha256(uri.encode()).hexdigest()[:16]
