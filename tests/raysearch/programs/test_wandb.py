"""What stands for W&B in a program: the steps are W&B's, and nothing that it calls is missing."""

from __future__ import annotations

import ast
import json
import os
import struct
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import raysearch.reporting
from raysearch.programs.shims.files import shim_files


class Program:
    """Runs Python code as the program of a trial; says what it reported."""

    def __init__(self, folder: Path) -> None:
        self.path, self.trial, self.work = folder / "path", folder / "trial", folder / "work"
        for name, content in shim_files().items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_bytes(content)
        own = Path(raysearch.reporting.__file__).read_bytes()
        (self.path / "raysearch.py").write_bytes(own)
        self.trial.mkdir()
        self.work.mkdir()
        self.error = ""

    def run(self, code: str, **config: Any) -> list[tuple[int, dict[str, float]]]:
        (self.trial / "config.json").write_text(json.dumps(config))
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            cwd=self.work,
            env={**os.environ, "PYTHONPATH": str(self.path), "RAYSEARCH_TRIAL": str(self.trial)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        self.error = done.stderr
        messages = self.trial / "messages.jsonl"
        lines = messages.read_text().splitlines() if messages.exists() else []
        assert all(json.loads(line)["source"] in ("wandb", "mlflow") for line in lines)
        return [(said["step"], said["metrics"]) for said in map(json.loads, lines)]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


LOGGED = """
    run.log({"a": 1, "n": {"b": 2}, "word": "0.5"})
    run.log({"a": 2}, commit=False)
    run.log({"c": 3})
    run.log({"a": 3}, step=10)
    run.log({"b": 4}, step=10)
    run.log({"a": 5.0}, step=11)
    run.log({"z": 1.0}, step=4)
    run.log({"q": 1}, step=12, commit=True)
    run.log({"q": 2})
    run.log({"r": 3}, step=13)
"""


def steps(reports: list[tuple[int, dict[str, float]]]) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    for step, metrics in reports:
        found.setdefault(step, {}).update(metrics)
    return found


def test_steps_are_those_of_wandb(program: Program) -> None:
    found = program.run("import wandb\nrun = wandb.init()" + textwrap.dedent(LOGGED))
    assert steps(found) == {
        0: {"a": 1.0, "n.b": 2.0},
        1: {"a": 2.0, "c": 3.0},
        10: {"a": 3.0, "b": 4.0},
        11: {"a": 5.0},
        12: {"q": 1.0},
        13: {"q": 2.0},
    }
    assert "step 4 is less than step 11" in program.error


REAL = """
import wandb
settings = wandb.Settings(x_disable_stats=True, x_disable_meta=True, console="off", silent=True)
run = wandb.init(mode="offline", project="p", settings=settings)
"""


def history(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The records of what was logged in an offline file of W&B, which is a log of LevelDB."""
    record_type: Any = import_module("wandb.proto.wandb_internal_pb2").Record

    data, place, part = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        part += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or its last part
            record, part = record_type.FromString(part), b""
            if record.WhichOneof("record_type") == "history":
                yield (
                    record.history.step.num,
                    {
                        ".".join(item.nested_key) or item.key: json.loads(item.value_json)
                        for item in record.history.item
                    },
                )


@pytest.mark.slow
def test_wandb_itself_records_the_same(program: Program, tmp_path: Path) -> None:
    found = steps(program.run("import wandb\nrun = wandb.init()" + textwrap.dedent(LOGGED)))
    code = REAL + textwrap.dedent(LOGGED) + "run.finish()"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    (path,) = tmp_path.glob("wandb/offline-run*/*.wandb")
    theirs = {
        step: {
            name: value
            for name, value in values.items()
            if not name.startswith("_") and not isinstance(value, str)
        }
        for step, values in history(path)
    }
    assert {step: values for step, values in theirs.items() if values} == found


def test_what_is_logged_again_in_a_step_waits_for_its_end_from_then_on(program: Program) -> None:
    found = program.run("""
        import wandb
        wandb.init()
        for epoch in range(3):
            for batch in range(4):
                wandb.log({"loss": epoch + batch / 10}, step=epoch)
        wandb.log({"x": float("nan")}, step=7)
    """)
    assert found[:3] == [(0, {"loss": 0.0}), (1, {"loss": 1.3}), (2, {"loss": 2.3})]
    assert found[3][0] == 7 and found[3][1]["x"] != found[3][1]["x"]


def test_a_metric_may_be_the_step_of_others(program: Program) -> None:
    found = program.run("""
        import wandb
        run = wandb.init()
        wandb.define_metric("epoch")
        run.define_metric("val/*", step_metric="epoch")
        run.define_metric("val/special", step_metric=wandb.define_metric("other"))
        for epoch in (3, 6):
            run.log({"val/acc": epoch / 10, "val/special": 1, "loss": 2.5, "epoch": epoch})
    """)
    assert [(s, m["val/acc"]) for s, m in found if "val/acc" in m] == [(3, 0.3), (6, 0.6)]
    assert [s for s, m in found if "loss" in m] == [0, 1]
    assert [s for s, m in found if "val/special" in m] == [0, 1]  # nobody logged `other`


def test_the_configuration_has_the_parameters_of_the_trial(program: Program) -> None:
    (program.work / "config-defaults.yaml").write_text("depth:\n  value: 4\nlr:\n  value: 9\n")
    program.run(
        """
        import argparse, wandb
        from wandb import config
        run = wandb.init(config={"lr": 5, "opt": {"lr": 7, "kind": "sgd"}, "x": 3})
        assert wandb.config is config is run.config
        assert (config.lr, config["opt"], config.x) == (0.1, {"lr": 0.3, "kind": "sgd"}, 3)
        assert config.depth == 4
        config.lr = 8
        config.update(argparse.Namespace(x=4, lr=1))
        config.update({"y": 5}, allow_val_change=True)
        assert (config.lr, config.x, config.get("y"), "z" in config) == (0.1, 4, 5, False)
        assert sorted(dict(config)) == sorted(config.keys())
        assert getattr(config, "nothing", None) is None
        """,
        **{"lr": 0.1, "opt.lr": 0.3},
    )


def test_an_agent_calls_its_function_once_with_these_parameters(program: Program) -> None:
    found = program.run(
        """
        import wandb
        def train():
            with wandb.init(project="p") as run:
                run.log({"lr": wandb.config.lr})
        sweep = wandb.sweep({"method": "random"}, project="p")
        wandb.agent(sweep, function=train, count=20)
        assert wandb.run is None
        """,
        lr=0.25,
    )
    assert found == [(0, {"lr": 0.25})]


def test_what_stands_in_the_summary_is_reported_at_the_end(program: Program) -> None:
    found = program.run("""
        import wandb
        run = wandb.init()
        wandb.log({"acc": 0.5})
        wandb.summary["best"] = 0.5
        run.summary.update({"best": 0.75, "acc": 0.5, "text": "x"})
        assert run.summary["acc"] == wandb.summary.acc == 0.5
    """)
    assert found == [(0, {"acc": 0.5}), (0, {"best": 0.75})]


def test_a_resumed_program_counts_on_from_its_checkpoint(program: Program) -> None:
    (program.trial / "resume.json").write_text('{"checkpoint": "x", "step": 4}')
    assert program.run("import wandb\nwandb.init()\nwandb.log({'a': 1})") == [(5, {"a": 1.0})]


def test_nothing_that_a_program_calls_is_missing(program: Program) -> None:
    found = program.run("""
        import importlib.metadata, importlib.util, sys
        assert importlib.util.find_spec("wandb") and importlib.metadata.version("wandb")
        import wandb
        from wandb.sdk.lib import RunDisabled
        from wandb.wandb_run import Run
        from wandb.integration.keras import WandbMetricsLogger
        assert wandb.login(key="x") and wandb.run is None
        run = wandb.init(settings=wandb.Settings(start_method="fork"), mode="online")
        assert isinstance(run, Run) and not isinstance(run, RunDisabled) and wandb.run is run
        wandb.watch([], log="all"); wandb.alert("a", text="b"); run.alert(title="c")
        assert wandb.save("model.pt") == ["model.pt"]
        table = wandb.Table(columns=["a"], data=[[1]]); table.add_data(2)
        assert table.data == [[1], [2]]
        artifact = wandb.Artifact("model", type="model", metadata={"a": 1})
        artifact.add_file("model.pt")
        with artifact.new_file("x") as file: file.write("y")
        run.log_artifact(artifact); wandb.log_artifact(artifact)
        wandb.log({"i": wandb.Image([[0]]), "h": wandb.Histogram([1]), "t": table, "v": 1})
        wandb.log({"plot": wandb.plot.line(table, "a", "a"), "list": [1, 2]})
        open(run.dir + "/weights", "w").close()
        try: raise wandb.errors.CommError("x")
        except wandb.errors.CommError: pass
        try: wandb.use_artifact("data:latest")
        except RuntimeError as error: assert "data:latest" in str(error)
        for _ in range(9): wandb.Nonsense(1).method()[2].more
        for _ in range(9): run.nonsense(3)
        WandbMetricsLogger().on_epoch_end(4, {"loss": 0.5})
        wandb.finish()
    """)
    assert found == [(0, {"v": 1.0}), (2, {"epoch/loss": 0.5, "epoch/epoch": 4.0})]
    assert program.error.count("wandb.Nonsense") == program.error.count("run.nonsense") == 1


def test_names_that_w_and_b_draws_are_texts(program: Program) -> None:
    program.run("""
        import json, random
        import wandb, wandb.util
        from wandb.sdk.lib.runid import generate_id
        random.seed(0)
        state = random.getstate()
        drawn = {wandb.util.generate_id(), generate_id(), wandb.util.generate_id(length=8)}
        assert len(drawn) == 3 and {len(name) for name in drawn} == {8}
        assert all(name.isalnum() for name in json.loads(json.dumps(sorted(drawn))))
        assert len(generate_id(12)) == 12 and random.getstate() == state
        wandb.init(id=wandb.util.generate_id()).finish()
    """)


def test_the_process_of_another_rank_and_a_fork_say_nothing(program: Program) -> None:
    found = program.run("""
        import os, wandb
        run = wandb.init()
        run.summary["x"] = 1
        pid = os.fork()
        if pid == 0:
            import sys; sys.exit(0)
        os.waitpid(pid, 0)
        os.environ["RANK"] = "1"
        run.log({"a": 1})
        os.environ["RANK"] = "0"
    """)
    assert found == [(0, {"x": 1.0})]


def test_another_sitecustomize_is_executed(program: Program, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "sitecustomize.py").write_text("import sys; sys.theirs = 3")
    path = os.pathsep.join([str(program.path), str(tmp_path / "other")])
    code = "import sys; print(sys.theirs)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True
    )
    assert done.stdout == b"3\n"


@pytest.mark.slow
def test_event_files_are_flushed_every_few_seconds(program: Program) -> None:
    program.run("""
        from tensorboard.summary.writer import event_file_writer
        got = []
        event_file_writer._AsyncWriter = lambda writer, size, seconds: got.append(seconds)
        for seconds in ({}, {"flush_secs": 1}):
            try: event_file_writer.EventFileWriter("logs", **seconds)
            except AttributeError: pass  # nobody writes
        assert got == [2.0, 1], got
    """)


@pytest.mark.slow
def test_mlflow_says_what_it_logs(program: Program) -> None:
    found = program.run("""
        import mlflow
        mlflow.set_tracking_uri("sqlite:///own.db")
        with mlflow.start_run():
            for step in range(3):
                mlflow.log_metric("a", step / 2)
                mlflow.log_metrics({"b": step, "c": 1.5}, step=10 * step)
    """)
    assert steps(found) == {
        **{0: {"a": 0.0, "b": 0.0, "c": 1.5}, 1: {"a": 0.5}, 2: {"a": 1.0}},
        **{10: {"b": 1.0, "c": 1.5}, 20: {"b": 2.0, "c": 1.5}},
    }
    assert (program.work / "own.db").exists()


@pytest.mark.parametrize("name", [name for name in shim_files() if name.endswith(".py")])
def test_what_programs_import_is_python_3_8_and_of_the_standard_library(name: str) -> None:
    tree = ast.parse(shim_files()[name], feature_version=(3, 8))
    found = {
        alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    found |= {
        str(node.module).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and not node.level
    }
    assert found <= sys.stdlib_module_names
