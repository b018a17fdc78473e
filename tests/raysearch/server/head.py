"""A real head on this machine: Ray with its job server and a token, and the service's address."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import requests

from raysearch.server.state import ServiceState
from tests.raysearch.command import ENVIRONMENT, ROOT
from tests.raysearch.events.servers import free_port

TOKEN = "0123456789abcdef" * 4
OWN = """
import json
import time

from raysearch.sweeps.sweep import Metric, sweep
from trainables.core.training import ExperimentConfig


class Valley(ExperimentConfig):
    experiment = "own:run"
    name = "own.valley"
    x: float = 0.0
    pause: float = 0.0


def run(config, session):
    saved = session.restored()
    first = json.loads(saved.read_text())["step"] + 1 if saved else 1
    for step in range(first, 11):
        time.sleep(config["pause"])
        go = session.folder.parents[2] / "go"
        while config["pause"] >= 1 and step == 5 and not go.exists():
            time.sleep(0.1)
        print("step", step, flush=True)
        path = session.folder / "checkpoints" / f"{step}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"step": step}))
        metrics = {"val/loss": (config["x"] - 1) ** 2 + BIAS, "progress/epochs": float(step)}
        session.report(step, metrics, path)
        if session.should_stop():
            return


BIAS = 0.0


@sweep(metrics=[Metric("val/loss", "minimize")], sampler="random", trials=2)
def valley(trial):
    return Valley(x=trial.suggest_float("x", -2.0, 2.0))
"""


class Head:
    """Ray and the service, in a temporary folder; `work` is the folder of somebody who submits."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rs-"))
        self.state, self.runs = self.folder / "state", self.folder / "shared" / "runs"
        self.work = self.folder / "work"
        for path in (self.state, self.runs, self.work):
            path.mkdir(parents=True)
        (self.work / "own.py").write_text(OWN)
        secret = self.folder / "token"
        secret.write_text(TOKEN)
        self.environment = {
            **ENVIRONMENT,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(secret),
            "RAY_USAGE_STATS_ENABLED": "0",
            "OMP_NUM_THREADS": "1",
        }
        self.ports = {name: free_port() for name in ("gcs", "dashboard", "service")}
        self.address = f"http://127.0.0.1:{self.ports['service']}"
        self.dashboard = f"http://127.0.0.1:{self.ports['dashboard']}"
        self.store = f"sqlite:///{self.runs / 'raysearch.db'}"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.start_ray()
        ServiceState(
            pid=os.getpid(),
            address=self.address,
            runs=str(self.runs),
            store=self.store,
            tracking_uri="none",
            tracking_user="raysearch",
            tracking_password="hush",
            ray_address=f"127.0.0.1:{self.ports['gcs']}",
            dashboard=self.dashboard,
            parts={"ray": {"state": "up"}},
        ).write(self.state)
        self.start_service()
        self._wait(f"{self.address}/cluster", {"Authorization": f"Bearer {TOKEN}"})

    def start_ray(self) -> None:
        ports = {
            "port": self.ports["gcs"],
            "dashboard-port": self.ports["dashboard"],
            "min-worker-port": 0,
            "max-worker-port": 0,
        }
        for name in ("dashboard-agent-listen", "dashboard-agent-grpc", "metrics-export"):
            ports[f"{name}-port"] = free_port()
        ports["ray-client-server-port"], ports["runtime-env-agent-port"] = free_port(), free_port()
        command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"]
        command += ["--node-ip-address=127.0.0.1", "--include-dashboard=true", "--num-cpus=2"]
        command += [f"--temp-dir={self.folder / 'r'}", "--object-store-memory=100000000"]
        command += [f"--{name}={port}" for name, port in ports.items()]
        self._start(command, "ray.log")
        headers = {"Authorization": f"Bearer {TOKEN}"}
        self._wait(f"{self.dashboard}/api/jobs/", headers)

    def start_service(self) -> None:
        command = [sys.executable, "-m", "raysearch.server.gateway", "--state", str(self.state)]
        self._start([*command, f"--port={self.ports['service']}"], "service.log")
        self._wait(f"{self.address}/health", {})

    def kill_ray(self) -> None:
        """As when the machine loses its power: nothing of Ray says goodbye."""
        for process in self.left():
            with suppress(psutil.Error):
                process.kill()
        self.processes.pop(0).wait()

    def left(self) -> list[psutil.Process]:
        """The processes of Ray, and all that it started."""
        found: list[psutil.Process] = []
        for process in psutil.process_iter(["cmdline", "environ"]):
            line, known = process.info["cmdline"] or [], process.info["environ"] or {}
            own = known.get("RAY_AUTH_TOKEN_PATH") == str(self.folder / "token")
            if own and process.pid != os.getpid() and "raysearch.server.gateway" not in line:
                found.append(process)
        return found

    def raysearch(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The command, as somebody types it who has the token and the address."""
        done = subprocess.run(
            [sys.executable, "-m", "raysearch.cli", *arguments],
            cwd=self.work,
            env={**self.environment, "RAYSEARCH_ADDRESS": self.address},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def asked(self, what: str) -> dict[str, Any]:
        """What the service answers; no process is started for that."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return requests.get(f"{self.address}/{what}", headers=headers, timeout=900).json()

    def close(self) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
        for process in self.left():
            with suppress(psutil.Error):
                process.kill()
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, command: list[str], log: str) -> None:
        with (self.folder / log).open("ab") as output:
            self.processes.append(
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=self.environment,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            )

    def _wait(self, url: str, headers: dict[str, str], limit: float = 900) -> None:
        deadline = time.monotonic() + limit
        while True:
            with suppress(requests.RequestException):
                if requests.get(url, headers=headers, timeout=900).ok:
                    return
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.2)
