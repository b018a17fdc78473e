"""Ray Tune's Searcher and TrialScheduler, which pass its questions on to the conductor."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Collection
from typing import Any, Protocol

from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

_ENDING = 1.0
"""Seconds to wait for the end of hosts while no trial lives; then Tune is asked again."""
_IDLE = 2.0
"""Seconds that a free host waits for another one that starts, before it takes its trial."""


class Conductor(Protocol):
    """Who decides: hands out attempts, hears their news, and says when all is over."""

    def next_attempt(self) -> dict[str, Any] | None:
        """`{"trial", "attempt", "job"}` of an attempt to start now, or None for "not now"."""
        ...

    def hear(self, trial: int, attempt: int, messages: list[dict[str, Any]]) -> list[str] | None:
        """Takes in news of an attempt; None: go on; a list: it ends, delete these checkpoints."""
        ...

    def begins(self, trial: int, attempt: int) -> None:
        """A host has this attempt now."""
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
    """

    def __init__(self, conductor: Conductor, decisions: Decisions) -> None:
        super().__init__()
        self._conductor, self._decisions = conductor, decisions

    def suggest(self, trial_id: str) -> Any:
        """An attempt, None for "not now", or the end. The end is final: not while one lives.

        While nothing lives, Tune asks for nothing else: so this must see requests and clocks too.
        """
        self._conductor.tick()
        attempt = self._conductor.next_attempt()
        if attempt is None and self._conductor.over:
            return Searcher.FINISHED
        if attempt is None:
            self._decisions.rest()
        else:
            self._decisions.waiting.append(attempt)
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
        return (type(self), (None, None))


class Decisions(TrialScheduler):
    """Tune's view of our decisions on each result of a host, and of which host runs what.

    Tune binds each of its trials to the host that it starts for it, which may take a minute, while
    others pass it by. Hosts are alike: the one that is ready first takes the attempt that has been
    `waiting` for longest, whichever it was asked for.
    """

    _supports_buffered_results = False
    _controller: Any = None
    _idle_since: float | None = None

    def __init__(self, conductor: Conductor) -> None:
        super().__init__()
        self._conductor = conductor
        self.waiting: deque[dict[str, Any]] = deque()
        self._begun: dict[str, tuple[int, int]] = {}

    def begin(self, trial: Trial) -> None:
        """The host of this trial is ready; Tune has not asked anything of it yet."""
        attempt = self.waiting.popleft()
        number = self._begun[trial.trial_id] = (attempt["trial"], attempt["attempt"])
        host = trial.temporary_state.ray_actor
        if host is not None and number != (trial.config["trial"], trial.config["attempt"]):
            host.reset_config.remote(attempt)
        self._conductor.begins(*number)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Passes on the news. Before a STOP the host is told to end the attempt: Tune would not."""
        messages = json.loads(result["messages"])
        number, attempt = self._begun[trial.trial_id]
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
        """A host was lost, perhaps while it started: nothing else reaches Tune as an error."""
        number = self._begun.get(trial.trial_id)
        if number is None:
            attempt = self.waiting.pop()  # the newest one: the others have waited for longer
            number = (attempt["trial"], attempt["attempt"])
        self._conductor.lost(*number)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """A pending trial without a host; Tune gives it a free one, or starts one for it."""
        self._conductor.tick()
        self._controller = vars(tune_controller).get("_tune_controller", tune_controller)
        live: Collection[Trial] = tune_controller.get_live_trials()
        pending = [trial for trial in live if trial.status == Trial.PENDING]
        if not pending:
            self._give_back()
            return None
        self._conductor.is_idle(self._controller._actor_manager.num_total_actors)
        hosts, resetting = self._controller._trial_to_actor, self._controller._resetting_trials
        without = [trial for trial in pending if trial not in hosts]
        starting = [trial for trial in pending if trial in hosts and trial not in resetting]
        is_late = self._is_late(starting)
        return next(iter(without or (starting if is_late else ())), None)

    def _is_late(self, starting: list[Trial]) -> bool:
        """Whether a free host is to take what another one is started for, which ends that one.

        At once, as Tune would, is too soon: where trials are short, no host would ever be ready.
        """
        for trial in starting:
            self._controller._resources_to_pending_trials[trial.placement_group_factory].discard(
                trial
            )
        now = time.monotonic()
        is_free = starting and self._controller._actor_cache.num_cached_objects
        self._idle_since = (self._idle_since or now) if is_free else None
        return self._idle_since is not None and now - self._idle_since > _IDLE

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


class Begin(Callback):
    """Hands each host its attempt when it is ready."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Before Tune asks anything of the host."""
        self._decisions.begin(trial)

    def __reduce__(self) -> tuple[Any, ...]:
        """As above."""
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
