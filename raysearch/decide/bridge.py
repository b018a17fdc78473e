"""Our decisions as Ray Tune's Searcher and TrialScheduler: a thin shell, thought is elsewhere."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Protocol

from ray.tune import Stopper
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

_ENDING = 1.0
"""Seconds to wait for the end of hosts while no trial lives; then Tune is asked again."""


class Conductor(Protocol):
    """Who decides: hands out attempts, hears their news, and says when all is over."""

    def next_attempt(self) -> dict[str, Any] | None:
        """`{"trial", "attempt", "job"}` of an attempt to start now, or None for "not now"."""
        ...

    def hear(self, trial: int, attempt: int, messages: list[dict[str, Any]]) -> list[str] | None:
        """Takes in news of an attempt; None: go on; a list: it ends, delete these checkpoints."""
        ...

    def lost(self, trial: int, attempt: int) -> None:
        """The host of this attempt is gone."""
        ...

    def leaves(self, trial: int, attempt: int) -> bool:
        """Whether to ask this attempt, once, to save and end."""
        ...

    def is_idle(self, hosts: int) -> bool:
        """Whether hosts without a trial, of so many in all, are of no use now."""
        ...

    def tick(self) -> None:
        """Called in each round of Tune's loop, about ten times a second."""
        ...

    @property
    def pausing(self) -> bool:
        """Whether all that lives is to save a checkpoint and end."""
        ...

    @property
    def over(self) -> bool:
        """Whether nothing lives and nothing is left to start."""
        ...

    @property
    def halted(self) -> bool:
        """Whether everything must end now."""
        ...


class Suggestions(Searcher):
    """Tune's view of what to run next: each suggestion is one attempt at one of our trials.

    Tune deep-copies, flattens and prints a suggestion, so it carries a number and a line of JSON.
    `rest` is called when there is nothing to start.
    """

    def __init__(self, conductor: Conductor, rest: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._conductor, self._rest = conductor, rest

    def suggest(self, trial_id: str) -> Any:
        """An attempt, None for "not now", or the end. The end is final: not while one lives.

        While nothing lives, Tune asks for nothing else: so this must see requests and clocks too.
        """
        self._conductor.tick()
        attempt = self._conductor.next_attempt()
        if attempt is None and self._conductor.over:
            return Searcher.FINISHED
        if attempt is None:
            self._rest()
        return attempt

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: `Decisions` has heard of it."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the events are the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the events are the state."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Tune pickles its parts for a restore that we do not use: only the class goes."""
        return (type(self), (None,))


class Decisions(TrialScheduler):
    """Tune's view of our decisions on each result of a host."""

    _supports_buffered_results = False
    _controller: Any = None

    def __init__(self, conductor: Conductor) -> None:
        super().__init__()
        self._conductor = conductor

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Passes on the news. Before a STOP the host is told to end the attempt: Tune would not."""
        messages = json.loads(result["messages"])
        number, attempt = trial.config["trial"], trial.config["attempt"]
        delete = self._conductor.hear(number, attempt, messages)
        actor = trial.temporary_state.ray_actor
        if delete is None:
            leaves = self._conductor.pausing or self._conductor.leaves(number, attempt)
            if leaves and actor is not None:
                actor.pause_attempt.remote()
            return TrialScheduler.CONTINUE
        if actor is not None:
            actor.end_attempt.remote(delete)
        return TrialScheduler.STOP

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """A host was lost: nothing else reaches Tune as an error."""
        self._conductor.lost(trial.config["trial"], trial.config["attempt"])

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The oldest pending trial."""
        self._conductor.tick()
        self._controller = vars(tune_controller).get("_tune_controller", tune_controller)
        for trial in tune_controller.get_live_trials():
            if trial.status == Trial.PENDING:
                self._conductor.is_idle(self._controller._actor_manager.num_total_actors)
                return trial
        self._give_back()
        return None

    def rest(self) -> None:
        """While no trial lives Tune handles no event: without this, idle hosts would stay."""
        if self._controller is None or self._controller.get_live_trials():
            return
        self._give_back()
        actors, deadline = self._controller._actor_manager, time.monotonic() + _ENDING
        while self._controller._stopping_actors and time.monotonic() < deadline:
            actors.next(timeout=0.1)
        self._conductor.is_idle(actors.num_total_actors)

    def _give_back(self) -> None:
        """Ends hosts that are kept without a trial, if others may want what they hold.

        Tune keeps them as long as it has trials, with all their resources.
        """
        idle = self._conductor.is_idle(self._controller._actor_manager.num_total_actors)
        if idle and self._controller._actor_cache.num_cached_objects:
            self._controller._cleanup_cached_actors(force_all=True)

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Nothing to do."""

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Nothing to do: its last result has said it."""

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Nothing to do."""

    def debug_string(self) -> str:
        """A line for Tune's own display, which is off."""
        return "raysearch"

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the events are the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the events are the state."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Tune pickles its parts for a restore that we do not use: only the class goes."""
        return (type(self), (None,))


class Halt(Stopper):
    """Ends the whole run when the conductor says so."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Single trials end by decisions, never here."""
        return False

    def stop_all(self) -> bool:
        """Whether everything must end now."""
        return self._conductor.halted

    def __reduce__(self) -> tuple[Any, ...]:
        """As above."""
        return (type(self), (None,))
