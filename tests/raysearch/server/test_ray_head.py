"""The Ray that a service stands beside: it must want a token, and ours."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from raysearch.server import ray_head
from tests.raysearch.events.servers import free_port
from tests.raysearch.server.served import Served

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
_PORTS = ("dashboard", "dashboard-agent-listen", "dashboard-agent-grpc", "metrics-export")
_MORE = ("ray-client-server", "runtime-env-agent")


@contextmanager
def ray(mode: str, secret: str, *, dashboard: bool) -> Generator[tuple[str, str]]:
    """A head of Ray's own: its address and its dashboard's."""
    folder, ports = Path(tempfile.mkdtemp(prefix="rs-")), {one: free_port() for one in _PORTS}
    port = free_port()
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"]
    command += [f"--port={port}", "--node-ip-address=127.0.0.1", "--num-cpus=1"]
    command += [f"--temp-dir={folder / 'r'}", "--object-store-memory=80000000"]
    command += [f"--include-dashboard={str(dashboard).lower()}", "--min-worker-port=0"]
    command += ["--max-worker-port=0", *(f"--{one}-port={free_port()}" for one in _MORE)]
    command += [f"--{one}-port={number}" for one, number in ports.items()]
    known = {"RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN": secret, "RAY_USAGE_STATS_ENABLED": "0"}
    with (folder / "said.txt").open("wb") as said:
        head = subprocess.Popen(
            command,
            env={**os.environ, **known},
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 900
        while "Ray runtime started" not in (folder / "said.txt").read_text():
            assert time.monotonic() < deadline, (folder / "said.txt").read_text()
            time.sleep(0.1)
        yield f"127.0.0.1:{port}", f"http://127.0.0.1:{ports['dashboard']}"
    finally:
        family = psutil.Process(head.pid).children(recursive=True)
        head.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            head.wait(900)
        for process in family:
            with suppress(psutil.Error):
                process.kill()
        head.kill()
        head.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def guarded() -> Iterator[tuple[str, str]]:
    with ray("token", "a" * 64, dashboard=True) as addresses:
        yield addresses


def test_a_ray_with_our_token_is_found_with_its_dashboard(guarded: tuple[str, str]) -> None:
    code = "import sys; from raysearch.server.ray_head import find; print(*find(sys.argv[1]))"
    known = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}
    command = [sys.executable, "-c", code, guarded[0]]
    done = subprocess.run(
        command, env={**os.environ, **known}, capture_output=True, text=True, check=True
    )
    assert tuple(done.stdout.split()) == guarded


def test_a_ray_with_another_token_is_refused(
    guarded: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "b" * 64)
    with pytest.raises(ConnectionError, match="refuses our token"):
        ray_head.find(guarded[0])
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a" * 64)
    assert ray_head.answers(guarded[0]) == ""


def test_a_ray_that_wants_no_token_is_refused_unless_that_is_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    with ray("disabled", "", dashboard=False) as (address, _):
        with pytest.raises(ConnectionError, match=r"asks nobody for a token.*RAY_AUTH_MODE=token"):
            ray_head.find(address)


def test_where_no_ray_is_it_is_said_how_to_start_one() -> None:
    with pytest.raises(ConnectionError, match="no Ray answers at .*ray start --head"):
        ray_head.find(f"127.0.0.1:{free_port()}")


@pytest.mark.long
def test_a_service_beside_ray_keeps_the_broker_there(
    guarded: tuple[str, str], tmp_path: Path
) -> None:
    served = Served(tmp_path, "--ray-address", guarded[0], RAY_AUTH_TOKEN="a" * 64)
    try:
        served.begin()
        assert set(served.now().parts) == {"database", "mlflow", "ray", "gateway", "broker"}
        assert served.now().dashboard == guarded[1]
        served.kill("broker")
        served.wait_for(served.is_up)
        assert served.end() == 0
    finally:
        served.close()
