"""`cluster.local.yaml` brought up by `ray up` over a real sshd, used as a user would, and ended."""

from __future__ import annotations

import getpass
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.cluster.loopback import HEAD, WORKER, Loopback, address_of, is_ray, processes_of
from tests.raysearch.command import COMMAND, ROOT
from tests.raysearch.events.postgres import programs
from tests.raysearch.events.servers import free_port

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1800)]
PORTS = ("6379", "8265", "8267", "5000")


class Cluster:
    """The committed file with other addresses, keys, ports and places, and what it starts."""

    def __init__(self, machines: Loopback) -> None:
        self.machines, self.environment = machines, machines.environment()
        self.ports = {port: str(free_port()) for port in PORTS}
        self.shared = machines.folder / "shared"
        self.file = machines.folder / "cluster.yaml"
        self.file.write_text(yaml.safe_dump(self._changed()))
        self.address = f"http://{HEAD}:{self.ports['8267']}"

    def _changed(self) -> dict[str, Any]:
        text = (ROOT / "cluster.local.yaml").read_text()
        text = re.sub(rf"\b({'|'.join(PORTS)})\b", lambda found: self.ports[found[1]], text)
        config = yaml.safe_load(text.replace("/shared/raysearch", str(self.shared)))
        config["cluster_name"] = self.machines.folder.name
        config["provider"] |= {"head_ip": HEAD, "worker_ips": [WORKER]}
        own = {"ssh_user": getpass.getuser(), "ssh_private_key": str(self.machines.key)}
        config["auth"] |= own
        return config

    def _run(self, command: list[str], folder: Path = ROOT) -> str:
        """What a command says; it says it into a file, since ssh stays behind with its pipes."""
        said = self.machines.folder / "said.txt"
        with said.open("wb") as output:
            status = subprocess.call(
                command,
                cwd=folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        assert status == 0, said.read_text()
        return said.read_text()

    def ray(self, *arguments: str) -> str:
        """What a command of Ray's launcher says."""
        return self._run(["ray", *arguments])

    def raysearch(self, *arguments: str, folder: Path = ROOT) -> str:
        """What the command says, asked from outside of the cluster."""
        return self._run([*COMMAND, *arguments, "--address", self.address], folder)

    def service(self) -> dict[str, Any]:
        """What the service says of itself to those on the head."""
        return json.loads((self.machines.home / ".raysearch/service.json").read_text())

    def asked(self, what: str) -> dict[str, Any]:
        """What the service answers; no process is started for that, here or there."""
        token = (self.machines.home / ".ray/auth_token").read_text()
        headers = {"Authorization": f"Bearer {token}"}
        return requests.get(f"{self.address}/{what}", headers=headers, timeout=900).json()

    def nodes(self) -> list[dict[str, int]]:
        """The nodes that live."""
        return self.asked("cluster").get("nodes", [])


def waited(condition: Any, limit: float, what: str) -> None:
    """Waits for a condition."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"waited {limit} s in vain for {what}"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    programs()  # the service has a database of its own
    machines = Loopback()
    try:
        cluster = Cluster(machines)
        cluster.ray("get-auth-token", "--generate")
        cluster.ray("up", "-y", "--no-config-cache", str(cluster.file))
        yield cluster
    finally:
        machines.close()


def test_the_other_machine_joins_and_the_head_has_no_place_for_trials(cluster: Cluster) -> None:
    waited(lambda: len(cluster.nodes()) == 2, 60, "the second node")
    assert sorted(node["cpus"] > 0 for node in cluster.nodes()) == [False, True]


def test_a_search_is_submitted_runs_there_and_is_answered(cluster: Cluster, tmp_path: Path) -> None:
    name = submitted(cluster, "tests.cluster.walk:walks", "steps=4", "--name", "walks", at=tmp_path)
    waited(lambda: cluster.asked(f"holder/{name}").get("state") == "finished", 300, "the search")
    assert json.loads(cluster.raysearch("status", name, "--json"))["state"] == "finished"
    assert json.loads(cluster.raysearch("best", name, "--json"))["config"]["x"] == 0.2
    assert (cluster.shared / f"runs/{name}/0001/attempt-1/checkpoints").is_dir()


def submitted(cluster: Cluster, *arguments: str, at: Path) -> str:
    """The name of a submission; Ray takes no job in its first seconds, and says so."""
    deadline = time.monotonic() + 900
    while True:
        try:
            return cluster.raysearch("submit", *arguments, folder=at).strip()
        except AssertionError as error:
            if "try again" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(1)


def test_the_page_of_mlflow_opens_with_its_password_alone(cluster: Cluster) -> None:
    service = cluster.service()
    page = f"http://{HEAD}:{cluster.ports['5000']}/"
    assert requests.get(page, timeout=900).status_code == 401
    known = (service["tracking_user"], service["tracking_password"])
    assert requests.get(page, auth=known, timeout=900).status_code == 200


def test_down_ends_the_ray_of_the_head(cluster: Cluster) -> None:
    """The others end by themselves when they have not heard of it for a while."""
    assert HEAD in addresses_of_ray(cluster)
    cluster.ray("down", "-y", str(cluster.file))
    waited(lambda: HEAD not in addresses_of_ray(cluster), 20, "the end of Ray")


def addresses_of_ray(cluster: Cluster) -> set[str]:
    """On which of the two machines there is Ray."""
    rays = [one for one in processes_of(cluster.machines.home) if is_ray(one)]
    return {address_of(one) for one in rays}
