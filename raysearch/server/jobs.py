"""Drivers as jobs of Ray on the head: begun, looked at, ended."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from raysearch.errors import Unreachable
from raysearch.passwords import hidden

STOP_WAIT = 30
"""Seconds that a driver has to end in order once its job is stopped."""

_LINES, _WIDE = 15, 400
_NO_AGENT, _AGENT = "No available agent", 15.0
"""What Ray says while no agent has come up that could take a job, and seconds to wait for one."""
_SIGNALLED = 128
"""A shell's exit statuses above this say which signal ended its command."""


@dataclass(frozen=True)
class JobState:
    """What became of a job: `alive`, `ended`, `failed`, `killed`, `stopped` or `unknown`."""

    kind: str
    exit: int | None = None


def _refused(name: str, reason: str) -> str:
    text = f"Ray took no job for {name!r}: {reason}"
    if _NO_AGENT in reason:
        text += (
            "; each node has an agent on port 52365 (--dashboard-agent-listen-port of "
            "`ray start`): another Ray of this host may have it"
        )
    return text


def _driver_in(code: Path) -> str:
    """The module that drives a search, in what was sent: with it may come an earlier raysearch."""
    former = code / "raysearch" / "serve" / "driving.py"
    return "raysearch.serve.driving" if former.is_file() else "raysearch.server.driver_process"


class Jobs:
    """The job server of a cluster, at the address of its dashboard.

    Each method raises ConnectionError, in one sentence, if it does not answer.
    """

    def __init__(self, dashboard: str, state: Path) -> None:
        self._dashboard, self._state = dashboard, state.absolute()

    def begin(self, name: str, before: list[str], code: Path) -> str:
        """Begins a job that drives a search from its code; returns the job's name.

        It finds all secrets in the folder of state: none is in its command or its environment.
        """
        command = [sys.executable, "-m", _driver_in(code), name, str(self._state)]
        environment = {"PYTHONPATH": str(code), "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT)}
        number, deadline = len(before) + 1, time.monotonic() + _AGENT
        with self._client() as client:
            while True:
                job = f"raysearch-{name}" + (f"-{number}" if number > 1 else "")
                try:
                    return client.submit_job(
                        entrypoint=shlex.join(command),
                        submission_id=job,
                        runtime_env={"env_vars": environment},
                        metadata={"search": name},
                    )
                except RuntimeError as error:
                    if "already exists" in str(error):
                        number += 1  # of a state that is gone
                    elif _NO_AGENT in str(error) and time.monotonic() < deadline:
                        time.sleep(1.0)
                    else:
                        raise Unreachable(_refused(name, str(error))) from None

    def state(self, job: str) -> JobState:
        """What became of a job."""
        with self._client() as client:
            try:
                found = client.get_job_info(job)
            except RuntimeError as error:
                if "404" not in str(error):
                    raise Unreachable(f"Ray does not say how job {job!r} is: {error}") from None
                return JobState("unknown")
        status, left = str(found.status), found.driver_exit_code
        if status in ("PENDING", "RUNNING"):
            return JobState("alive")
        if status == "STOPPED":
            return JobState("stopped", left)
        if status == "SUCCEEDED":
            return JobState("ended", left)
        is_own = left is not None and 0 < left < _SIGNALLED
        return JobState("failed" if is_own else "killed", left)

    def lines(self, job: str) -> list[str]:
        """The last lines that a driver printed; none if Ray knows no such job any more."""
        with self._client() as client:
            try:
                output = client.get_job_logs(job)
            except RuntimeError:
                return []
        return [hidden(line)[:_WIDE] for line in output.splitlines() if line.strip()][-_LINES:]

    def stop(self, job: str) -> None:
        """Asks a driver to end in order; it is killed when it does not."""
        with self._client() as client:
            try:
                client.stop_job(job)
            except RuntimeError as error:
                raise Unreachable(f"Ray does not stop job {job!r}: {error}") from None

    @contextmanager
    def _client(self) -> Generator[Any]:
        for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
            os.environ.pop(name, None)  # Ray would go there, whatever address it is told
        from ray.job_submission import JobSubmissionClient

        try:
            yield JobSubmissionClient(self._dashboard)
        except Unreachable:
            raise
        except (requests.RequestException, ConnectionError) as error:
            why = type(error).__name__
            raise Unreachable(f"Ray's job server at {self._dashboard}: {why}") from None
