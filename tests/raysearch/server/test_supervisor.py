"""What becomes of submissions whose drivers end, by each way in which they can end."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from raysearch.driver.autoscaler import to_come
from raysearch.driver.resources import Machine
from raysearch.events.log import EventLog, Store
from raysearch.server.state import ServiceState
from raysearch.server.submissions import Submission, code_folder
from raysearch.server.submitted_verbs import supervisor_text
from raysearch.server.supervisor import Supervisor
from raysearch.trial.job import label_of
from raysearch.verbs import rename
from tests.raysearch.events import streams
from tests.raysearch.events.facts import fact


@dataclass
class JobServer:
    """Stands for Ray's job server: it knows jobs and begins none."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    address: str = ""

    def end(self, job: str, status: str, left: int | None = None) -> None:
        self.jobs[job] |= {"status": status, "driver_exit_code": left}

    def get(self, path: str) -> tuple[int, Any]:
        if path == "/api/version":
            return 200, {"version": "4", "ray_version": "2.60.0", "ray_commit": ""}
        job = path.removeprefix("/api/jobs/").removesuffix("/logs")
        if job not in self.jobs:
            return 404, "no such job"
        return 200, {"logs": "a\nlast words\n"} if path.endswith("/logs") else self.jobs[job]

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path.endswith("/stop"):
            self.end(path.removeprefix("/api/jobs/").removesuffix("/stop"), "STOPPED")
            return 200, {"stopped": True}
        job = body["submission_id"]
        if job in self.jobs:
            return 500, f"Job with submission_id {job} already exists"
        known = {"type": "SUBMISSION", "submission_id": job, "status": "RUNNING"}
        self.jobs[job] = {**known, "entrypoint": body["entrypoint"], "asked": body}
        return 200, {"job_id": job, "submission_id": job}


@pytest.fixture
def ray() -> Iterator[JobServer]:
    server = JobServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802
            self.answer(*server.get(self.path))

        def do_POST(self) -> None:  # noqa: N802
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.answer(*server.post(self.path, json.loads(content or b"{}")))

        def answer(self, status: int, said: Any) -> None:
            if isinstance(said, dict):
                said = json.dumps({key: value for key, value in said.items() if key != "asked"})
            self.send_response(status)
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        server.address = f"http://127.0.0.1:{listener.server_port}"
        thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
        thread.start()
        yield server
        listener.shutdown()
        thread.join()


@pytest.fixture
def supervisor(tmp_path: Path, ray: JobServer) -> Supervisor:
    runs, state = tmp_path / "runs", tmp_path / "state"
    code_folder(runs, "c0de").mkdir(parents=True)
    state.mkdir()
    store = f"sqlite:///{runs / 'raysearch.db'}"
    ServiceState(
        os.getpid(), "", str(runs), store, "none", "", "hush", dashboard=ray.address
    ).write(state)
    return Supervisor(state, pause=0.0, most=3)


def submit(supervisor: Supervisor, **options: Any) -> str:
    asked = {"space": "own:x", "overrides": {}, "options": options, "code": "c0de", "stem": "own"}
    return supervisor.submit({**asked, "command": "raysearch submit own:x"})


def begin(supervisor: Supervisor, name: str) -> EventLog:
    """The search of a submission, as its driver begins it: one trial."""
    settings = supervisor.settings()
    log = Store(settings.store).create(name, streams.spec(search=name))
    streams.ask(log, 0)
    return log


def record(supervisor: Supervisor, name: str) -> Submission:
    found = supervisor.known.read(name)
    assert found is not None
    return found


def test_a_job_has_the_code_in_its_path_and_no_secret_in_it(
    supervisor: Supervisor, ray: JobServer
) -> None:
    name = submit(supervisor, user="ann", priority=2)
    asked = ray.jobs["raysearch-own-1"]["asked"]
    surroundings = asked["runtime_env"]["env_vars"]
    assert name == "own-1"
    assert surroundings["PYTHONPATH"].endswith("/runs/.code/c0de")
    assert surroundings["RAY_JOB_STOP_WAIT_TIME_S"] == "30"
    assert "hush" not in json.dumps(asked)
    assert (record(supervisor, name).asked().user, record(supervisor, name).asked().name) == (
        "ann",
        name,
    )


def test_what_was_sent_with_an_earlier_raysearch_is_driven_by_the_module_that_it_has(
    supervisor: Supervisor, ray: JobServer
) -> None:
    submit(supervisor)
    former = supervisor.settings().runs / ".code/c0de/raysearch/serve/driving.py"
    former.parent.mkdir(parents=True)
    former.touch()
    submit(supervisor)
    first, second = (ray.jobs[f"raysearch-own-{number}"]["asked"] for number in (1, 2))
    assert " -m raysearch.server.driver_process own-1 " in first["entrypoint"]
    assert " -m raysearch.serve.driving own-2 " in second["entrypoint"]


def test_a_driver_that_runs_is_let_run(supervisor: Supervisor, ray: JobServer) -> None:
    begin(supervisor, submit(supervisor))
    supervisor.tend()
    assert list(ray.jobs) == ["raysearch-own-1"]


@pytest.mark.parametrize("left", [-9, 137, None])
def test_a_driver_that_is_killed_is_begun_again(
    supervisor: Supervisor, ray: JobServer, left: int | None
) -> None:
    begin(supervisor, submit(supervisor))
    ray.end("raysearch-own-1", "FAILED", left)
    supervisor.tend()
    assert list(ray.jobs) == ["raysearch-own-1", "raysearch-own-1-2"]


def test_drivers_are_begun_again_after_ray_has_forgotten_them(
    supervisor: Supervisor, ray: JobServer
) -> None:
    before = submit(supervisor)
    begin(supervisor, submit(supervisor))
    ray.jobs.clear()
    supervisor.tend()
    assert sorted(ray.jobs) == ["raysearch-own-1-2", "raysearch-own-2-2"]
    driven = supervisor.driven(before)
    assert driven is not None and driven.state == "submitted"


def test_a_driver_that_never_gets_on_is_given_up_and_its_last_words_are_told(
    supervisor: Supervisor, ray: JobServer
) -> None:
    name = submit(supervisor)
    begin(supervisor, name)
    for _ in range(6):
        ray.end(list(ray.jobs)[-1], "FAILED", 1)
        supervisor.tend()
    assert len(ray.jobs) == 4  # the first, and three more
    driven = supervisor.driven(name)
    assert driven is not None and driven.lines[-1] == "last words"
    assert driven.reason == (
        "its driver is not started again: it died 3 times without a new report"
    )


def test_a_driver_that_gets_on_is_never_given_up(supervisor: Supervisor, ray: JobServer) -> None:
    log = begin(supervisor, submit(supervisor))
    for step in range(6):
        body = {"fidelity": step, "values": [0.5], "metrics": {}, "checkpoint": None}
        log.append(fact("report", step=step, **body), 0, commit=True)
        ray.end(list(ray.jobs)[-1], "FAILED", -9)
        supervisor.tend()
    assert len(ray.jobs) == 7


def test_the_pause_before_another_try_grows(supervisor: Supervisor, ray: JobServer) -> None:
    patient = Supervisor(supervisor.state, pause=1000.0)
    begin(patient, submit(patient))
    for _ in range(3):
        ray.end(list(ray.jobs)[-1], "FAILED", -9)
        patient.tend()
    assert len(ray.jobs) == 2  # at once, and then not for a long time


def test_a_driver_that_ends_before_the_search_begins_is_not_begun_again(
    supervisor: Supervisor, ray: JobServer
) -> None:
    name = submit(supervisor)
    ray.end("raysearch-own-1", "FAILED", 1)
    supervisor.tend()
    driven = supervisor.driven(name)
    assert driven is not None and driven.state == "failed"
    assert driven.reason.endswith("before the search began, with exit status 1")
    assert driven.lines == ("a", "last words")


def test_the_name_of_a_submission_that_failed_is_free_again(
    supervisor: Supervisor, ray: JobServer
) -> None:
    submit(supervisor, name="mine")
    with pytest.raises(ValueError, match="--name 'mine' is in use"):
        submit(supervisor, name="mine")
    ray.end("raysearch-mine", "FAILED", 2)
    supervisor.tend()
    assert submit(supervisor, name="mine") == "mine"
    assert list(ray.jobs) == ["raysearch-mine", "raysearch-mine-2"]


@pytest.mark.parametrize(("status", "goes_on"), [("SUCCEEDED", True), ("STOPPED", False)])
def test_an_interrupted_search_goes_on_unless_its_job_was_stopped(
    supervisor: Supervisor, ray: JobServer, status: str, goes_on: bool
) -> None:
    begin(supervisor, submit(supervisor)).append(
        fact("interrupted", reason="SIGTERM", best=None), commit=True
    )
    ray.end("raysearch-own-1", status)
    supervisor.tend()
    assert (len(ray.jobs) == 2) == goes_on


@pytest.mark.parametrize("state", ["finished", "stopped"])
def test_a_search_that_has_ended_is_not_begun_again(
    supervisor: Supervisor, ray: JobServer, state: str
) -> None:
    begin(supervisor, submit(supervisor)).append(fact(state, reason="", best=None), commit=True)
    ray.end("raysearch-own-1", "SUCCEEDED", 0)
    supervisor.tend()
    assert record(supervisor, "own-1").over == state and len(ray.jobs) == 1


def test_a_search_that_nobody_drives_can_be_given_up(
    supervisor: Supervisor, ray: JobServer
) -> None:
    name = submit(supervisor)
    begin(supervisor, name)
    said = supervisor.let_be(name)
    assert said == "own-1 is not driven now, and its driver is not started again"
    assert ray.jobs["raysearch-own-1"]["status"] == "STOPPED"
    supervisor.tend()
    assert len(ray.jobs) == 1 and supervisor.let_be(name) is None


def test_a_search_that_was_deleted_is_forgotten(supervisor: Supervisor, ray: JobServer) -> None:
    name = submit(supervisor)
    supervisor.settings().folder(name).rmdir()
    ray.jobs.clear()
    supervisor.tend()
    assert not ray.jobs and supervisor.driven(name) is None and not supervisor.waiting()


def test_a_search_that_was_renamed_goes_on_under_its_name(
    supervisor: Supervisor, ray: JobServer
) -> None:
    submit(supervisor, name="own")
    begin(supervisor, "own").close()
    ray.end("raysearch-own", "FAILED", 137)
    assert rename("own", "mine", supervisor.settings()) == ""
    supervisor.tend()
    assert [one.name for one in supervisor.known] == ["mine"]
    assert supervisor.driven("own") is None and supervisor.waiting() == []
    found = supervisor.known.read("mine")
    assert found is not None and found.restarts == 1 and found.asked().name == "mine"
    assert ray.jobs[found.jobs[-1]]["entrypoint"].split()[-2] == "mine"
    assert submit(supervisor, name="own") == "own"  # another one, under the name that is free
    supervisor.tend()
    assert sorted(one.name for one in supervisor.known) == ["mine", "own"]


def test_status_says_how_many_slots_a_search_waits_for(supervisor: Supervisor) -> None:
    name = submit(supervisor, name="mine")
    begin(supervisor, name)
    row = {"search": label_of(supervisor.settings().folder(name)), "wants": 6, "granted": 2}
    (supervisor.state / "broker.json").write_text(json.dumps({"searches": [row]}))
    assert (
        "slots: 2 of the 6 that it could use" in supervisor_text(["status", name], supervisor).text
    )
    (supervisor.state / "broker.json").write_text(json.dumps({"searches": [{**row, "granted": 6}]}))
    assert "slots" not in supervisor_text(["status", name], supervisor).text


LIVE = Machine(4, 0, 8 << 30)
CLUSTER = """
max_workers: 3
head_node_type: head
available_node_types:
  head: {resources: {CPU: 4}, max_workers: 0}
  small: {resources: {CPU: 4}, max_workers: 1}
  large: {resources: {CPU: 16, GPU: 2, memory: 1000}, max_workers: 2}
  unknown: {resources: {}, max_workers: 5}
"""


def test_nodes_that_the_autoscaler_may_add_count_without_those_that_live(tmp_path: Path) -> None:
    file = tmp_path / "ray_bootstrap_config.yaml"
    file.write_text(CLUSTER)
    large = Machine(16, 2, 1000)
    assert to_come([LIVE], file) == [LIVE, large, large]
    assert to_come([LIVE, LIVE, large], file) == [large]
    assert to_come([LIVE], tmp_path / "none") == []
