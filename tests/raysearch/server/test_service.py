"""The service of a head: nobody comes in without a password, and nothing that dies stays dead."""

from __future__ import annotations

import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from raysearch.events.log import Store
from raysearch.server import postgres as own
from raysearch.server.state import ServiceState, kept_secret
from raysearch.tracking.consumer import Follower, sync
from raysearch.tracking.findings import audit
from raysearch.tracking.mlflow.address import check_tracking, client_of
from raysearch.tracking.tracker import Place
from tests.raysearch.events import streams
from tests.raysearch.events.postgres import Postgres, programs
from tests.raysearch.server.served import Served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    programs()
    service = Served(tmp_path_factory.mktemp("head"))
    try:
        service.begin()
        yield service
    finally:
        service.close()


@pytest.fixture
def known(served: Served, monkeypatch: pytest.MonkeyPatch) -> ServiceState:
    """The service, whose user and password are in the environment."""
    service = served.now()
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", service.tracking_user)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", service.tracking_password)
    return service


@pytest.fixture(params=["", "wrong"])
def stranger(
    request: pytest.FixtureRequest, served: Served, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The address of MLflow, with no password or a wrong one in the environment."""
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME", raising=False)
    if request.param:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "raysearch")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", request.param)
    return served.now().tracking_uri


def secrets_of(served: Served) -> list[str]:
    names = ("database_password", "tracking_password", "tracking_cookies")
    return [
        *(kept_secret(served.state, name) for name in names),
        (served.folder / "token").read_text(),
    ]


# MLflow


def test_mlflow_refuses_whoever_has_no_password(stranger: str) -> None:
    said = requests.get(f"{stranger}/api/2.0/mlflow/experiments/get?experiment_id=0", timeout=900)
    assert said.status_code == 401
    with pytest.raises(Exception, match="401"):
        client_of(stranger).create_experiment("strange")


def test_whoever_has_the_password_logs_a_run_and_a_file_and_reads_them_back(
    known: ServiceState, tmp_path: Path
) -> None:
    client = client_of(known.tracking_uri)
    run = client.create_run(client.create_experiment("welcome")).info.run_id
    client.log_metric(run, "accuracy", 0.5)
    (tmp_path / "file.txt").write_text("hello")
    client.log_artifact(run, str(tmp_path / "file.txt"))
    assert client.get_run(run).data.metrics == {"accuracy": 0.5}
    local = client.download_artifacts(run, "file.txt", str(tmp_path))
    assert Path(local).read_text() == "hello"
    assert list(Path(known.runs, "mlartifacts").rglob("file.txt"))


def test_a_search_whose_events_are_in_its_database_is_written_to_its_mlflow(
    known: ServiceState, tmp_path: Path
) -> None:
    store = Store(known.store)
    streams.search(store, "one", tmp_path)
    assert sync(store, "one", known.tracking_uri, tmp_path) > 30
    findings = [str(one) for one in audit(store, "one", tmp_path, known.tracking_uri, [])]
    assert [one for one in findings if "mlflow" in one] == []


def test_a_search_is_not_begun_where_mlflow_would_refuse_it(stranger: str) -> None:
    with pytest.raises(ValueError, match=r"MLflow at http.* refuses .* MLFLOW_TRACKING_USERNAME"):
        check_tracking(stranger)


def test_what_mlflow_refuses_is_said_in_one_sentence_and_can_be_written_later(
    stranger: str, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(f"sqlite:///{tmp_path / 'events.db'}")
    streams.search(store, "one", tmp_path)
    tracker = Follower(store, "mlflow", Place("one", tmp_path, store.url, stranger))
    tracker.start()
    tracker.close(30)
    assert (tracker.problem or "").startswith(f"MLflow at {stranger} refuses")
    with pytest.raises(ConnectionError, match="MLFLOW_TRACKING_PASSWORD"):
        sync(store, "one", stranger, tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "raysearch")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", served.now().tracking_password)
    assert sync(store, "one", stranger, tmp_path) > 30


# The service


def test_only_the_owner_may_read_its_state(served: Served) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in served.state.iterdir()}
    assert {modes[name] for name in ("service.json", "secrets.json", "mlflow-auth.ini")} == {0o600}
    assert modes["postgres"] == modes["logs"] == 0o700
    assert stat.S_IMODE(served.state.stat().st_mode) == 0o700
    assert stat.S_IMODE((served.folder / "token").stat().st_mode) == 0o600
    assert {path.stat().st_mode & 0o077 for path in (served.state / "logs").iterdir()} == {0}


def test_a_token_is_made_and_wanted(served: Served) -> None:
    cluster = f"{served.now().address}/cluster"
    secret = (served.folder / "token").read_text()
    assert requests.get(cluster, timeout=900).status_code == 401
    wrong = requests.get(cluster, headers={"Authorization": "Bearer no"}, timeout=900)
    right = requests.get(cluster, headers={"Authorization": f"Bearer {secret}"}, timeout=900)
    assert wrong.status_code == 401 != right.status_code


def test_no_secret_is_in_a_command_line_or_a_log(served: Served) -> None:
    said = [served.said(), *(log.read_text() for log in (served.state / "logs").iterdir())]
    lines = [" ".join(process.cmdline()) for process in served.processes()]
    assert len(lines) > 5 and len(said) > 3
    assert [one for one in secrets_of(served) if any(one in text for text in said + lines)] == []


def test_a_second_service_is_refused_and_told_which_process_the_first_is(served: Served) -> None:
    done = served.do()
    assert done.returncode == 2
    assert f"already runs on {served.state}, as process {served.now().pid}" in done.stderr


def test_how_its_parts_are_is_printed(served: Served) -> None:
    done = served.do("--check")
    words = [line.split()[:2] for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert words[:3] == [["database", "up"], ["mlflow", "up"], ["gateway", "up"]]


# What dies


def test_mlflow_that_is_killed_is_up_again_and_health_says_so_meanwhile(
    served: Served, known: ServiceState
) -> None:
    served.kill("mlflow")
    assert served.part("mlflow")["state"] == "down"
    assert requests.get(f"{known.address}/health", timeout=900).json()["ok"] is False
    assert served.do("--check").returncode == 1
    served.wait_for(served.is_up)
    assert client_of(known.tracking_uri).get_experiment_by_name("Default") is not None


def test_a_database_that_is_killed_is_up_again_with_its_data(
    served: Served, known: ServiceState, tmp_path: Path
) -> None:
    store = Store(known.store)
    streams.search(store, "killed", tmp_path)
    client_of(known.tracking_uri).create_experiment("killed")
    served.kill("database")
    served.wait_for(served.is_up)
    assert len(list(store.events("killed"))) == len(list(Store(known.store).events("killed"))) > 30
    assert client_of(known.tracking_uri).get_experiment_by_name("killed") is not None


def test_what_a_killed_service_has_left_is_ended_by_the_next_before_it_begins(
    served: Served, tmp_path: Path
) -> None:
    before, store = served.now(), served.now().store
    streams.search(Store(store), "left", tmp_path)
    left = served.processes()
    served.end(signal.SIGKILL)
    with pytest.raises(LookupError, match=f"process {before.pid}"):
        served.now()
    served.begin()
    assert not [one for one in left if one.is_running() and one.status() != "zombie"]
    assert served.now().store == store and Store(store).exists("left")
    opened = [one for one in served.processes() if one.name() == "postgres"]
    assert len([one for one in opened if one.parent() == psutil.Process(served.now().pid)]) == 1


def test_a_service_that_is_told_to_end_ends_all_its_processes(served: Served) -> None:
    assert served.processes()
    assert served.end() == 0
    assert served.processes() == []
    assert not (served.state / "service.json").exists()
    assert "database system is shut down" in (served.state / "logs" / "database.log").read_text()


# Without a database of its own


@pytest.mark.long
def test_a_database_that_is_named_is_used_and_none_is_made(tmp_path: Path) -> None:
    server = Postgres()
    service = Served(tmp_path, RAYSEARCH_DATABASE=server.create())
    try:
        service.begin()
        assert not (service.state / "postgres").exists()
        assert Store(service.now().store).searches() == []
        assert [one.name() for one in service.processes() if one.name() == "postgres"] == []
        server.stop()
        service.wait_for(lambda: service.part("database")["state"] == "down")
        server.start()
        service.wait_for(service.is_up)
        assert service.end() == 0
    finally:
        service.close()
        server.close()


def test_a_name_that_is_no_postgresql_is_refused(tmp_path: Path) -> None:
    done = Served(tmp_path).do("--database", f"sqlite:///{tmp_path / 'one.db'}")
    assert done.returncode == 2 and "--database must be the address of a PostgreSQL" in done.stderr


def test_without_postgresql_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "INSTALLED", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LookupError, match="apt-get install postgresql.*--database"):
        own.programs()


def test_data_of_another_version_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "17" / "bin").mkdir(parents=True)
    (tmp_path / "17" / "bin" / "initdb").touch()
    monkeypatch.setattr(own, "INSTALLED", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert own.programs("17") == tmp_path / "17" / "bin"
    with pytest.raises(LookupError, match=r"PostgreSQL 15, which is not installed \(there is 17\)"):
        own.programs("15")


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    import socket

    programs()
    service = Served(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", service.mlflow_port))
        taken.listen()
        done = service.do()
    assert done.returncode == 2
    assert f"--mlflow-port {service.mlflow_port} on 127.0.0.1" in done.stderr
    assert service.processes() == []
