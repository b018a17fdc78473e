"""Which host runs what: the attempt that has waited longest goes to the host that is ready."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial

from raysearch.driver import tune as bridge
from raysearch.driver.tune import Decisions, Suggestions
from raysearch.trial.job import Job
from tests.raysearch.driver.stage import Stage
from tests.raysearch.searches.sweeps import chain_grid


class Tune:
    """What of Tune's loop the decisions see: its trials, with their hosts, and hosts set free."""

    def __init__(self, folder: Path) -> None:
        self.stage = Stage(folder, chain_grid)
        self.stage.conductor.study.prepare(3)
        self.decisions = Decisions(self.stage.conductor)
        self.suggestions = Suggestions(self.stage.conductor, self.decisions)
        self.trials: list[Any] = []
        self.told: list[Job] = []
        self._trial_to_actor: dict[Any, str] = {}
        self._resetting_trials: set[Any] = set()
        self._resources_to_pending_trials: dict[str, set[Any]] = defaultdict(set)
        self._actor_cache = SimpleNamespace(num_cached_objects=0)
        self._actor_manager = SimpleNamespace(num_total_actors=0)

    def get_live_trials(self) -> list[Any]:
        return self.trials

    def suggest(self) -> Any:
        """The next of Tune's trials."""
        name = str(len(self.trials))
        host = SimpleNamespace(
            reset_config=SimpleNamespace(
                remote=lambda config: self.told.append(Job.read(config["job"]))
            ),
            end_attempt=SimpleNamespace(remote=lambda delete: None),
        )
        config = self.suggestions.suggest(name)
        trial = _Trial(name, config, SimpleNamespace(ray_actor=host))
        self._resources_to_pending_trials["one"].add(trial)
        self.trials.append(trial)
        return trial

    def choose(self) -> Any:
        return self.decisions.choose_trial_to_run(self)

    def end(self, trial: Any) -> str:
        """The attempt that this trial runs has ended."""
        end = json.dumps([{"kind": "end", "outcome": "host_lost", "message": ""}])
        return self.decisions.on_trial_result(self, trial, {"messages": end})


@dataclass(eq=False)
class _Trial:
    """One of Tune's trials, as far as the decisions look."""

    trial_id: str
    config: dict[str, Any]
    temporary_state: Any
    status: str = Trial.PENDING
    placement_group_factory: str = "one"


def test_the_host_that_is_ready_first_takes_what_has_waited_longest(tmp_path: Path) -> None:
    tune = Tune(tmp_path)
    first, second = tune.suggest(), tune.suggest()
    tune.decisions.begin(second)
    assert [job.trial for job in tune.told] == [0]
    tune.decisions.begin(first)
    assert [job.trial for job in tune.told] == [0, 1]
    assert tune.end(second) == "STOP" and set(tune.stage.conductor._live) == {1}


def test_a_host_that_starts_is_kept_while_another_one_is_free_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tune = Tune(tmp_path)
    first, second = tune.suggest(), tune.suggest()
    tune._trial_to_actor[first] = "starting"
    tune._actor_cache.num_cached_objects = 1
    assert tune.choose() is second, "it has no host, and takes the free one"
    assert tune._resources_to_pending_trials["one"] == {second}
    tune.trials.remove(second)
    assert tune.choose() is None
    monkeypatch.setattr(bridge, "_IDLE", 0.0)
    assert tune.choose() is first, "nobody else takes the free one"
    tune._resetting_trials.add(first)
    assert tune.choose() is None


def test_a_host_lost_while_it_starts_costs_the_newest_attempt(tmp_path: Path) -> None:
    tune = Tune(tmp_path)
    first, second = tune.suggest(), tune.suggest()
    tune.decisions.on_trial_error(tune, first)
    assert set(tune.stage.conductor._live) == {0}
    tune.decisions.begin(second)
    tune.decisions.on_trial_error(tune, second)
    assert not tune.stage.conductor._live and not tune.decisions.waiting


def test_the_time_of_a_trial_begins_with_its_host(tmp_path: Path) -> None:
    tune = Tune(tmp_path)
    trial = tune.suggest()
    live = tune.stage.conductor._live[0]
    live.begun = 0.0
    tune.decisions.begin(trial)
    assert live.begun > 0
