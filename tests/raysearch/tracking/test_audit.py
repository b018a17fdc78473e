"""The audit finds each kind of damage that is planted, and none where there is none."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from raysearch.events.log import Store
from raysearch.events.schema import Asked
from raysearch.results.view import SearchView
from raysearch.tracking.consumer import sync
from raysearch.tracking.findings import audit
from raysearch.tracking.mlflow.address import client_of
from tests.raysearch.events import streams
from tests.raysearch.tracking.kept import Kept

pytestmark = pytest.mark.slow


class State(Enum):
    """As Optuna's."""

    COMPLETE = 1
    PRUNED = 2
    FAIL = 3
    RUNNING = 4


@dataclass
class StudyTrial:
    """A trial as the Optuna study has it."""

    number: int
    params: dict[str, Any]
    state: State
    values: list[float] | None
    intermediate_values: dict[int, float]


@dataclass
class Scene:
    """A finished search in all four places."""

    store: Store
    folder: Path
    uri: str
    study: list[StudyTrial]

    def findings(self) -> list[str]:
        found = audit(self.store, "one", self.folder, self.uri, self.study)  # pyright: ignore[reportArgumentType]
        return [str(one) for one in found]

    def run(self, trial: int | None) -> str:
        client = client_of(self.uri)
        experiment = client.get_experiment_by_name("ssl/by_hand")
        assert experiment is not None
        role = "search" if trial is None else "trial"
        where = f"tags.`raysearch.role` = '{role}'"
        if trial is not None:
            where += f" AND tags.`raysearch.trial` = '{trial}'"
        return client.search_runs([experiment.experiment_id], where)[0].info.run_id

    def sql(self, database: str, statement: str, *values: Any) -> None:
        connection = sqlite3.connect(database.removeprefix("sqlite:///"))
        changed = connection.execute(statement, values).rowcount
        connection.commit()
        connection.close()
        assert changed > 0


STATES = {"complete": State.COMPLETE, "pruned": State.PRUNED, "failed": State.FAIL}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Kept:
    """A finished search in a store and in MLflow."""
    folder = tmp_path_factory.mktemp("audited") / "all"
    folder.mkdir()
    shutil.copy(migrated, folder / "mlflow.db")
    store = Store(f"sqlite:///{folder / 'events.db'}")
    streams.search(store, "one", folder / "one")
    sync(store, "one", f"sqlite:///{folder / 'mlflow.db'}", folder / "one")
    return Kept(folder)


@pytest.fixture
def scene(kept: Kept) -> Scene:
    kept.restore()
    store, folder = Store(f"sqlite:///{kept.folder / 'events.db'}"), kept.folder / "one"
    tracking = f"sqlite:///{kept.folder / 'mlflow.db'}"
    view = SearchView.read(store, "one")
    study = []
    for event in store.events("one", kinds=[Asked]):
        trial = view.trials[event.trial or 0]
        runs = view.trials[trial.duplicate_of] if trial.duplicate_of is not None else trial
        state = runs.state
        params = event.body.plain()["params"]
        told = STATES.get(state, State.PRUNED)
        curve = {step: values[0] for step, _, values, _ in runs.reports if values}
        study.append(StudyTrial(trial.number, params, told, trial.values, curve))
    return Scene(store, folder, tracking, study)


def test_an_mlflow_that_is_away_is_one_sentence(scene: Scene) -> None:
    scene.uri = "http://127.0.0.1:1"
    with pytest.raises(ConnectionError, match="http://127.0.0.1:1' cannot be reached"):
        scene.findings()


def test_an_undamaged_search_has_no_finding(scene: Scene) -> None:
    assert scene.findings() == []


def delete_run(scene: Scene) -> None:
    client_of(scene.uri).delete_run(scene.run(1))


def test_what_waits_in_a_search_whose_time_was_up_is_no_finding(scene: Scene) -> None:
    statement = "UPDATE events SET body = json_set(body, '$.reason', ?) WHERE kind = 'finished'"
    scene.sql(scene.store.url, statement, "its time was up")
    untell(scene)
    assert not any("is not told" in one for one in scene.findings())


def delete_parent(scene: Scene) -> None:
    client_of(scene.uri).delete_run(scene.run(None))


def double_run(scene: Scene) -> None:
    client = client_of(scene.uri)
    run = client.get_run(scene.run(1))
    client.create_run(run.info.experiment_id, tags=dict(run.data.tags))


def alter_metric(scene: Scene) -> None:
    statement = "UPDATE metrics SET value = 0.123 WHERE run_uuid = ? AND key = ? AND step = 2"
    scene.sql(scene.uri, statement, scene.run(1), "val/accuracy")


def double_metric(scene: Scene) -> None:
    client_of(scene.uri).log_metric(scene.run(1), "val/accuracy", 0.9, timestamp=1, step=2)


def drop_metric(scene: Scene) -> None:
    statement = "DELETE FROM metrics WHERE run_uuid = ? AND key = ? AND step = 3"
    scene.sql(scene.uri, statement, scene.run(1), "val/accuracy")


def add_step(scene: Scene) -> None:
    client_of(scene.uri).log_metric(scene.run(1), "val/accuracy", 0.9, timestamp=1, step=99)


def alter_objective(scene: Scene) -> None:
    statement = "UPDATE metrics SET value = 0.99 WHERE run_uuid = ? AND key = ?"
    scene.sql(scene.uri, statement, scene.run(1), "objective/val_accuracy")


def alter_state(scene: Scene) -> None:
    client_of(scene.uri).set_tag(scene.run(2), "raysearch.state", "complete")


def alter_status(scene: Scene) -> None:
    client_of(scene.uri).set_terminated(scene.run(4), "FINISHED")


def alter_parameter(scene: Scene) -> None:
    statement = "UPDATE params SET value = '99' WHERE run_uuid = ? AND key = ?"
    scene.sql(scene.uri, statement, scene.run(1), "model.layers")


def drop_parameter(scene: Scene) -> None:
    statement = "DELETE FROM params WHERE run_uuid = ? AND key = ?"
    scene.sql(scene.uri, statement, scene.run(1), "model.layers")


def another_parent(scene: Scene) -> None:
    client_of(scene.uri).set_tag(scene.run(1), "mlflow.parentRunId", "somebody")


def alter_winner(scene: Scene) -> None:
    client_of(scene.uri).set_tag(scene.run(None), "raysearch.best_trial", "0")


def alter_search_state(scene: Scene) -> None:
    client_of(scene.uri).set_tag(scene.run(None), "raysearch.state", "running")


def alter_search_status(scene: Scene) -> None:
    client_of(scene.uri).set_terminated(scene.run(None), "FAILED")


def drop_search_value(scene: Scene) -> None:
    statement = "DELETE FROM metrics WHERE run_uuid = ? AND key = ? AND step = 1"
    scene.sql(scene.uri, statement, scene.run(None), "search/trial_value")


def alter_search_best(scene: Scene) -> None:
    statement = "UPDATE metrics SET value = 1 WHERE run_uuid = ? AND key = ? AND step = 0"
    scene.sql(scene.uri, statement, scene.run(None), "search/best")


def drop_artifact(scene: Scene) -> None:
    run = scene.run(5)
    next(scene.folder.parent.glob(f"mlartifacts/**/{run}/artifacts/checkpoint/*.pt")).unlink()


def drop_figure(scene: Scene) -> None:
    run = scene.run(1)
    next(scene.folder.parent.glob(f"mlartifacts/**/{run}/artifacts/figures/*.png")).unlink()


def drop_event(scene: Scene) -> None:
    scene.sql(scene.store.url, "DELETE FROM events WHERE seq = 7")


def tell_twice(scene: Scene) -> None:
    log = scene.store.log("one")
    streams.tell(log, 1, "complete", 0.54 * (1 - 0.5**4), "0001/attempt-1/checkpoints/x")
    scene.sql(scene.store.url, "UPDATE cursors SET seq = ?", log.last)


def untell(scene: Scene) -> None:
    scene.sql(scene.store.url, "UPDATE events SET kind = 'lost' WHERE kind = 'told' AND trial = 1")


def not_written(scene: Scene) -> None:
    scene.sql(scene.store.url, "UPDATE cursors SET seq = 5")


def drop_checkpoint(scene: Scene) -> None:
    (scene.folder / "0005/attempt-1/checkpoints/step-00000004.pt").unlink()


def cut_checkpoint(scene: Scene) -> None:
    (scene.folder / "0000/attempt-1/checkpoints/step-00000004.pt").write_bytes(b"")


def flip_checkpoint(scene: Scene) -> None:
    (scene.folder / "0005/attempt-1/checkpoints/step-00000003.pt").write_text("5 2")


def leave_kept(scene: Scene) -> None:
    path = scene.folder / "0002/attempt-1/kept/00000002"
    path.mkdir(parents=True)


def leave_checkpoint(scene: Scene) -> None:
    path = scene.folder / "0002/attempt-1/checkpoints"
    path.mkdir(exist_ok=True)
    (path / "step-00000002.pt").touch()


def unknown_attempt(scene: Scene) -> None:
    (scene.folder / "0001/attempt-7").mkdir()


def study_state(scene: Scene) -> None:
    scene.study[4].state = State.COMPLETE


def study_value(scene: Scene) -> None:
    scene.study[1].values = [0.1]


def study_params(scene: Scene) -> None:
    scene.study[1].params = {**scene.study[1].params, "model.layers": 77}


def study_lacks(scene: Scene) -> None:
    scene.study.pop(3)


def study_has_more(scene: Scene) -> None:
    scene.study.append(StudyTrial(40, {}, State.COMPLETE, [1.0], {}))


def study_curve(scene: Scene) -> None:
    scene.study[1].intermediate_values[2] = 0.77


def study_curve_of_a_duplicate(scene: Scene) -> None:
    scene.study[6].intermediate_values.clear()


def study_pruned(scene: Scene) -> None:
    scene.study[2].state = State.COMPLETE


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (delete_run, "trial 1: mlflow: 0 runs"),
        (double_run, "trial 1: mlflow: 2 runs"),
        (delete_parent, "search: mlflow: 0 parent runs"),
        (alter_metric, "trial 1: mlflow: metric val/accuracy at step 2 is 0.123"),
        (double_metric, "trial 1: mlflow: metric val/accuracy has 2 points at step 2"),
        (drop_metric, "trial 1: mlflow: metric val/accuracy lacks step 3"),
        (add_step, "trial 1: mlflow: metric val/accuracy has step 99, the events do not"),
        (alter_objective, "trial 1: mlflow: metric objective/val_accuracy at step 4 is 0.99"),
        (alter_state, "trial 2: mlflow: state complete, events say pruned"),
        (alter_status, "trial 4: mlflow: status FINISHED, events say failed"),
        (alter_parameter, "trial 1: mlflow: parameter model.layers 99"),
        (drop_parameter, "trial 1: mlflow: parameter model.layers is missing"),
        (another_parent, "trial 1: mlflow: is not a child of the search's run"),
        (alter_winner, "search: mlflow: raysearch.best_trial of the search's run is 0"),
        (alter_search_state, "search: mlflow: raysearch.state of the search's run is running"),
        (alter_search_status, "search: mlflow: status of the search's run is FAILED"),
        (drop_search_value, "search: mlflow: metric search/trial_value lacks step 1"),
        (alter_search_best, "search: mlflow: metric search/best at step 0 is 1.0"),
        (drop_artifact, "trial 5: mlflow: artifact checkpoint/step-00000004.pt is missing"),
        (drop_figure, "trial 1: mlflow: artifact figures/confusion.png is missing"),
        (drop_event, "search: events: 7 to 7 are missing"),
        (tell_twice, "trial 1: events: told twice"),
        (untell, "trial 1: events: the search is finished, it is not told"),
        (not_written, "search: mlflow:"),
        (drop_checkpoint, "trial 5: folders: best checkpoint"),
        (
            cut_checkpoint,
            "trial 0: folders: checkpoint 0000/attempt-1/checkpoints/step-00000004.pt",
        ),
        (flip_checkpoint, "trial 5: folders: checkpoint 0005/attempt-1/checkpoints/step-00000003"),
        (leave_kept, "trial 2: folders: 0002/attempt-1/kept/00000002 of a pruned trial was not"),
        (leave_checkpoint, "trial 2: folders: 0002/attempt-1/checkpoints/step-00000002.pt"),
        (unknown_attempt, "trial 1: folders: 0001/attempt-7 belongs to no attempt"),
        (study_state, "trial 4: study: state COMPLETE, events say failed"),
        (study_pruned, "trial 2: study: state COMPLETE, events say pruned"),
        (study_curve, "trial 1: study: curve {1:"),
        (study_curve_of_a_duplicate, "trial 6: study: curve {}, events say {1: "),
        (study_value, "trial 1: study: values [0.1]"),
        (study_params, "trial 1: study: parameters"),
        (study_lacks, "trial 3: study: is missing"),
        (study_has_more, "trial 40: study: is there, the events do not know it"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_planted_damage_is_found(scene: Scene, damage: Callable[[Scene], None], words: str) -> None:
    damage(scene)
    found = scene.findings()
    assert any(one.startswith(words) for one in found), found
