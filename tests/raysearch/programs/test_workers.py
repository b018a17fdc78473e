"""Programs of several workers: under torchrun, heard once, stopped together, ended together."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from raysearch import Program
from raysearch.driver.resources import Machine, in_one_piece, resources, trial_of
from raysearch.errors import BadSetting
from raysearch.programs.command_line import CommandLine, command_line, environment
from raysearch.programs.endings import ended
from raysearch.sweeps.program import PROGRAM
from raysearch.sweeps.sweep import Metric, Resources, Sweep
from raysearch.trial.child import Child, start_server, stop_server
from raysearch.trial.job import Job, Message
from raysearch.trial.process_tree import alive
from raysearch.trial.session import PRELOAD
from tests.raysearch.specs import make_spec

ROOT = str(Path(__file__).parents[3])
TORCHRUN = "torchrun --standalone --nproc-per-node {workers} train.py"
OBJECTIVE = [{"name": "loss", "direction": "minimize", "reduce": "last"}]
RATE = 0.1

TRAIN = """
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

import raysearch

dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
torch.manual_seed(rank)  # the weights are those of rank 0, and the data comes from a file
model = DistributedDataParallel(torch.nn.Linear(3, 1).double())
x, y = torch.load("set.pt")
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(1, 9):
    loss = (model(x[rank::size])[:, 0] - y[rank::size]).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    whole = loss.detach().clone()
    dist.all_reduce(whole)
    raysearch.report(epoch, {"loss": whole.item() / size})
    if raysearch.should_stop():
        print(f"rank {rank} leaves after {epoch}")
        break
dist.destroy_process_group()
"""
WAIT = """
import os, signal, sys, time
import raysearch

rank = int(os.environ["RANK"])
if "leaves" in sys.argv[1]:
    signal.signal(signal.SIGTERM, lambda *_: (open(f"left-{rank}", "w").close(), os._exit(0)))
open(f"{rank}.pid", "w").write(str(os.getpid()))
while not all(os.path.exists(f"{each}.pid") for each in range(2)):
    time.sleep(0.01)
raysearch.report(1, {"loss": 1.0})
if rank == 1 and "killed" in sys.argv[1]:
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setenv(PRELOAD, "")
    start_server("worker-tests", 1, PROGRAM, [ROOT])
    yield
    stop_server()
    patch.undo()


def job_of(folder: Path, script: str, values: dict[str, Any]) -> Job:
    (folder / "code").mkdir()
    (folder / "code/train.py").write_text(script)
    program = Program(TORCHRUN, folder=folder / "code", grace=20)
    return Job(
        "worker-tests",
        str(folder / "search"),
        0,
        1,
        PROGRAM,
        program(values).to_json(),
        str(folder / "search/0000/attempt-1"),
        objectives=OBJECTIVE,
        paths=[ROOT],
        own_workers=2,
        grace=20,
    )


def until(child: Child, kind: str, stop_at: int | None = None) -> list[Message]:
    """What an attempt says, to its first message of a kind."""
    messages = list[Message]()
    while not messages or messages[-1]["kind"] not in (kind, "end"):
        message = child.next(1.0)
        if message is not None:
            messages.append(message)
            if message["kind"] == "report" != kind:
                child.answer(stop=message["step"] == stop_at)
    return messages


def alone(x: torch.Tensor, y: torch.Tensor, epochs: int) -> list[float]:
    """The losses of the same training in one process: full-batch gradient descent."""
    torch.manual_seed(0)
    model, losses = torch.nn.Linear(3, 1).double(), list[float]()
    for _ in range(epochs):
        loss = (model(x)[:, 0] - y).square().mean()
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for one, gradient in zip(model.parameters(), gradients, strict=True):
                one -= RATE * gradient
    return losses


@pytest.mark.slow
def test_two_processes_report_once_as_one_would_and_leave_together(
    server: None, tmp_path: Path
) -> None:
    job = job_of(tmp_path, TRAIN, {})
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(1)).double()
    y = x @ torch.tensor([1.0, -2.0, 0.5]).double()
    torch.save((x, y), tmp_path / "code/set.pt")
    messages = until(Child(job), "end", stop_at=5)
    reports = [one for one in messages if one["kind"] == "report"]
    assert [one["step"] for one in reports] == [1, 2, 3, 4, 5], job.log.read_text()
    assert [one["metrics"]["loss"] for one in reports] == pytest.approx(alone(x, y, 5), rel=1e-12)
    left = re.findall(r"rank (\d) leaves after (\d)", job.log.read_text())
    assert sorted(left) == [("0", "5"), ("1", "5")]


@pytest.mark.slow
@pytest.mark.kill
@pytest.mark.parametrize("how", ["killed", "leaves"])
def test_of_two_processes_none_lives_on(server: None, how: str, tmp_path: Path) -> None:
    job = job_of(tmp_path, WAIT, {"how": how})
    child, work = Child(job), Path(job.folder) / "work"
    assert until(child, "report")[-1]["kind"] == "report", job.log.read_text()
    child.answer(stop=False)
    ranks = [int((work / f"{rank}.pid").read_text()) for rank in range(2)]
    if how == "killed":
        end = until(child, "end")[-1]
        assert (end["outcome"], end["message"][:27]) == ("killed", "worker 1 ended by SIGKILL: ")
    else:
        child.kill()  # as one that is pruned
        assert [(work / f"left-{rank}").exists() for rank in range(2)] == [True, True]
    deadline = time.monotonic() + 20
    while any(map(alive, ranks)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [alive(pid) for pid in ranks] == [False, False]


SAID = """
[rank1]: Traceback (most recent call last):
[rank0]: Traceback (most recent call last):
[rank1]:   File "train.py", line 8, in <module>
[rank0]:   File "train.py", line 6, in <module>
[rank1]: ValueError: bad value
[rank0]: RuntimeError: Connection closed by peer
E1130 12:00:00 17 torch/distributed/elastic/multiprocessing/api.py:1002] failed (exitcode: {code}) \
local_rank: 1 (pid: 42) of binary: python
Traceback (most recent call last):
  File "torch/distributed/run.py", line 1138, in main
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
"""


@pytest.mark.parametrize(
    ("code", "again_on", "kind", "message"),
    [
        (1, [], "exception", "ValueError: bad value"),
        (3, [], "exception", "ValueError: bad value (exit code 3 of worker 1)"),
        (-9, [], "killed", "worker 1 ended by SIGKILL: ValueError: bad value"),
        (124, [124], "again", "exit code 124 of worker 1, which asks for another start"),
    ],
)
def test_the_worker_that_failed_first_says_why(
    code: int, again_on: list[int], kind: str, message: str
) -> None:
    lines = SAID.format(code=code).strip().splitlines()
    failure = ended(1, lines, {"again_on": again_on}, False)
    assert (failure.kind, failure.message) == (kind, message)


def test_a_trial_takes_what_all_workers_of_a_program_need_on_one_machine() -> None:
    need = Resources(cpus=2, gpus=0.5, workers=4)
    assert in_one_piece(need, PROGRAM) == Resources(cpus=8, gpus=2)
    assert in_one_piece(need, "elsewhere:Training") is need
    with pytest.raises(BadSetting, match=r"whole or below 1, got 3 × 0.5 = 1.5"):
        in_one_piece(Resources(gpus=0.5, workers=3), PROGRAM)
    spec = make_spec(experiment=PROGRAM, workers=2, cpus=1.0, gpus=1.0)
    assert trial_of(spec) == Resources(cpus=2, gpus=2)


def test_workers_of_a_program_do_not_spread_over_nodes() -> None:
    small, large = Machine(4, 1, 8 << 30), Machine(8, 4, 16 << 30)
    sweep = Sweep(
        "groups",
        lambda trial: None,  # pyright: ignore[reportArgumentType]
        metrics=(Metric("loss", "minimize"),),
        resources=Resources(cpus=2, gpus=1, workers=2),
    )
    cluster = Machine.cluster([small, large])
    found = resources(sweep, cluster, experiment=PROGRAM)
    assert (found["concurrent"], found["workers"], found["gpus"]) == (2, 2, 1)
    assert found["threads"] == 2  # of each worker: 8 CPUs for two trials of two workers
    with pytest.raises(BadSetting, match="on one node"):
        resources(sweep, Machine.cluster([small, small]), experiment=PROGRAM)
    assert resources(sweep, Machine.cluster([small, small]))["concurrent"] == 1


def test_the_place_of_workers_is_that_of_a_value_of_this_name() -> None:
    def words(values: dict[str, Any]) -> list[str]:
        config = Program("run --n {workers}", name="run")(values).to_json()
        facts = config.pop("program")
        known = {name: value for name, value in config.items() if name != "seed"}
        line = command_line(known, 0, facts, checkpoint=None, config=Path("x"), workers=3)
        return line.words

    assert words({}) == ["run", "--n", "3"]
    assert words({"workers": 8}) == ["run", "--n", "8"]


def test_a_launcher_of_our_own_process_is_none_of_a_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    found = environment(CommandLine(["run"]), {"python": None}, Path("t"), Path("p"))
    assert not {"RANK", "WORLD_SIZE"} & found.keys() and "RANK" in os.environ
