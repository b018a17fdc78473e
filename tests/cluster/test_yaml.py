"""The cluster files pass the launcher's own checks, and do what their comments promise."""

from __future__ import annotations

import re
import shlex
from functools import cache
from typing import Any

import pytest
import typer
import yaml

from raysearch.cli.application import app
from tests.raysearch.command import ROOT

FILES = ["cluster.yaml", "cluster.local.yaml"]
both = pytest.mark.parametrize("name", FILES)


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / name).read_text())


@cache
def prepared(name: str) -> dict[str, Any]:
    """The file as the launcher completes it."""
    from ray.autoscaler._private.util import prepare_config

    return prepare_config(read(name))


def commands(name: str) -> list[str]:
    """All commands of a file, in one line each."""
    return [
        " ".join(command.split())
        for key, listed in read(name).items()
        if key.endswith("_commands")
        for command in listed
    ]


def calls(name: str, program: str) -> list[list[str]]:
    """What a file gives a program, wherever it is called; what the shell would fill in stays."""
    plain = [re.sub(r"\$\(.*?\)", "X", command) for command in commands(name)]
    parts = [part for command in plain for part in re.split(r"&&|\|\||[;&<>|()]", command)]
    words = [shlex.split(part) for part in parts if part.count("'") % 2 == 0]
    return [
        line[line.index(program) + 1 :]
        for line in words
        if program in line and "export" not in line
    ]


def made(kind: str) -> dict[str, Any]:
    """A kind of machine of `cluster.yaml`."""
    return prepared("cluster.yaml")["available_node_types"][kind]


@both
def test_the_launcher_accepts_the_file(name: str) -> None:
    from ray.autoscaler._private.util import validate_config

    validate_config(prepared(name))


@both
def test_no_field_of_the_launcher_is_misspelt(name: str) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    with pytest.raises(Exception, match="idle_timeout_minute"):
        validate_config(prepare_config({**read(name), "idle_timeout_minute": 1}))


@both
def test_what_is_sent_to_the_machines_is_there(name: str) -> None:
    sent = {far: near for far, near in read(name)["file_mounts"].items() if "auth_token" not in far}
    assert all((ROOT / near).exists() for near in sent.values())
    packages = {near for near in sent.values() if (ROOT / near / "__init__.py").exists()}
    assert packages == {"raysearch", "search_spaces", "trainables"}


@both
def test_the_token_reaches_every_machine_and_is_asked_for(name: str) -> None:
    assert read(name)["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert any("RAY_AUTH_MODE=token" in command for command in read(name)["setup_commands"])


@both
def test_the_versions_are_those_of_the_project(name: str) -> None:
    [install] = [command for command in commands(name) if "pip install -c" in command]
    assert "pip install -c constraints.txt -e '.[all]'" in install
    kept = {"pyproject.toml": "installed.toml", "constraints.txt": "installed.txt"}
    same = " && ".join(f"cmp -s {read} .venv/{copy}" for read, copy in kept.items())
    assert f"{same} || (" in install
    assert "\nray==" in (ROOT / "constraints.txt").read_text()


@both
def test_every_raysearch_command_is_understood(name: str) -> None:
    found = calls(name, "raysearch")
    assert len(found) == 2
    for verb, *arguments in found:
        command = typer.main.get_command(app).commands[verb]  # pyright: ignore[reportAttributeAccessIssue]
        with command.make_context(verb, arguments) as context:
            assert context.command is command


@both
def test_every_ray_command_is_understood(name: str) -> None:
    from ray.scripts.scripts import cli

    found = calls(name, "ray")
    assert [line[0] for line in found] == ["stop", "start", "stop", "start"]
    for verb, *arguments in found:
        with cli.commands[verb].make_context(verb, arguments) as context:
            assert context.info_name == verb


@both
def test_the_head_runs_no_trial(name: str) -> None:
    [head] = [line for line in calls(name, "ray") if "--head" in line]
    assert "--num-cpus=0" in head and "--num-gpus=0" in head


@both
def test_only_the_service_listens_to_other_machines(name: str) -> None:
    """Ray's own page is for the head alone; the service and MLflow ask for a secret."""
    [head] = [line for line in calls(name, "ray") if "--head" in line]
    assert "--dashboard-host=127.0.0.1" in head
    [serve] = [line for line in calls(name, "raysearch") if "--check" not in line]
    assert serve[serve.index("--host") + 1] == "0.0.0.0"


@both
def test_the_shared_folder_is_named_in_one_place(name: str) -> None:
    named = [
        command
        for command in commands(name)
        if re.search(r"RAYSEARCH_SHARED=|[^\w]/shared", command)
    ]
    assert len(named) == 1 and named == commands(name)[:1]


def test_the_cloud_scales_to_zero() -> None:
    config = prepared("cluster.yaml")
    kinds = config["available_node_types"]
    assert {kind["min_workers"] for kind in kinds.values()} == {0}
    assert kinds[config["head_node_type"]]["max_workers"] == 0
    assert 0 < config["idle_timeout_minutes"] <= 15


def test_the_spot_kind_is_spot_and_the_other_is_not() -> None:
    spot = made("gpu_spot")["node_config"]
    assert spot["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert "InstanceMarketOptions" not in made("gpu_on_demand")["node_config"]


def test_the_autoscaler_takes_spot_first_and_the_other_where_spot_is_full() -> None:
    assert wanted(3) == {"gpu_spot": 3}
    assert wanted(9) == {"gpu_spot": 8, "gpu_on_demand": 1}
    assert wanted(1, lacking="gpu_spot") == {"gpu_on_demand": 1}


def wanted(trials: int, lacking: str = "") -> dict[str, int]:
    """The machines that the autoscaler asks for, of each kind, beside the head."""
    from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
    from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
    from ray.autoscaler.v2.utils import ResourceRequestUtil

    config = AutoscalingConfig(read("cluster.yaml"))
    trial = {"CPU": 4.0, "GPU": 1.0}
    request = SchedulingRequest(
        disable_launch_config_check=True,
        node_type_configs=config.get_node_type_configs() or {},
        max_num_nodes=config.get_max_num_nodes(),
        resource_requests=ResourceRequestUtil.group_by_count(
            [ResourceRequestUtil.make(trial)] * trials
        ),
        recoverable_resource_availabilities={lacking: 0.0} if lacking else {},
    )
    reply = ResourceDemandScheduler(None).schedule(request)
    return {one.instance_type: one.count for one in reply.to_launch}


def test_the_head_of_the_cloud_has_no_resources_for_trials() -> None:
    assert made("head")["resources"] == {"CPU": 0}


def test_nothing_but_ssh_is_open_to_the_world() -> None:
    assert "security_group" not in read("cluster.yaml")["provider"]
    text = (ROOT / "cluster.yaml").read_text()
    assert "0.0.0.0/0" not in text


def test_a_stopped_head_keeps_its_database() -> None:
    assert read("cluster.yaml")["provider"]["cache_stopped_nodes"] is True


def test_machines_at_hand_all_join() -> None:
    config = prepared("cluster.local.yaml")
    count = len(config["provider"]["worker_ips"])
    [kind] = config["available_node_types"].values()
    assert kind["min_workers"] == kind["max_workers"] == config["max_workers"] == count
