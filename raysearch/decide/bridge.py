"""Our decisions as Ray Tune's Searcher and TrialScheduler: a thin shell, thought is elsewhere."""

from __future__ import annotations

import json
from typing import Any, Protocol

from ray.tune import Stopper
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher


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

    def __init__(self, conductor: Conductor) -> None:
        super().__init__()
        self._conductor = conductor

    def suggest(self, trial_id: str) -> Any:
        """An attempt, None for "not now", or the end. The end is final: not while one lives.

        While nothing lives, Tune asks for nothing else: so this must see requests and clocks too.
        """
        self._conductor.tick()
        attempt = self._conductor.next_attempt()
        if attempt is None and self._conductor.over:
            return Searcher.FINISHED
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

    def __init__(self, conductor: Conductor) -> None:
        super().__init__()
        self._conductor = conductor

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Passes on the news. Before a STOP the host is told to end the attempt: Tune would not."""
        messages = json.loads(result["messages"])
        delete = self._conductor.hear(trial.config["trial"], trial.config["attempt"], messages)
        actor = trial.temporary_state.ray_actor
        if delete is None:
            if self._conductor.pausing and actor is not None:
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
        for trial in tune_controller.get_live_trials():
            if trial.status == Trial.PENDING:
                return trial
        return None

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
