"""The slots of a search on a cluster: how many the broker grants, and who leaves if it is fewer."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from raysearch.driver.broker import BROKER, get_or_create
from raysearch.driver.cluster import NAMESPACE
from raysearch.driver.live_trial import LiveTrial
from raysearch.driver.resources import trial_of
from raysearch.sweeps.search_spec import SearchSpec
from raysearch.trial.job import label_of

_ASK_EVERY = 1.0
_ASK_OFTEN = 0.3
"""Seconds between two questions while the search waits for a slot, or others wait for its."""
_SILENT = 5.0
"""Seconds without an answer after which nothing new is started: well before the grant expires."""
_GIVES_UP = 60.0
"""Seconds without an answer after which a search of which nothing runs any more ends."""
_TELLS = 4.0
"""Seconds in which the broker has seen that a node is gone, and a driver has heard of it."""
_SHY = 60.0
"""Seconds in which an attempt that has begun is expected to say something."""
_DRY = 5.0
"""Seconds in which a study that has nothing to propose may still be computing something."""


class Slots:
    """How many trials of a search may run at once, and which of them leave when they are too many.

    `grant` is None where the search has its machine for itself. `hosts` is how many of Ray Tune's
    actors are alive: idle ones hold their resources, and those that end do until they have ended.
    `problem` says what is wrong if nobody grants anything.
    """

    def __init__(self, concurrent: int, grant: int | None = None) -> None:
        self.concurrent, self.grant, self.hosts = concurrent, grant, 0
        self.problem = ""
        self._spoke: dict[int, int] = {}
        self._asked: dict[int, int] = {}
        self._left: dict[int, int] = {}
        self._dry_since: float | None = None
        self._lost_at = -math.inf
        self._left_over = 0

    @property
    def limit(self) -> int:
        """How many trials may run at once."""
        if self.grant is None:
            return self.concurrent
        limit = min(self.concurrent, self.grant)
        return min(limit, self._left_over) if time.monotonic() - self._lost_at < _TELLS else limit

    def lost(self, running: int) -> None:
        """The host of a trial is gone, and with it perhaps a node: so many others still live.

        Its place is not taken again before the broker has seen what is left; otherwise a trial that
        runs would have to leave for one that cannot start.
        """
        self._lost_at, self._left_over = time.monotonic(), running

    def asked_study(self, *, found: bool) -> None:
        """Whether the study had something to propose just now."""
        self._dry_since = None if found else self._dry_since or time.monotonic()

    @property
    def dry(self) -> bool:
        """Whether the study has had nothing to propose for a while."""
        return self._dry_since is not None and time.monotonic() - self._dry_since > _DRY

    def wants(self, known: int, *, over: bool) -> int:
        """How many trials could run now, of which so many are `known`: they run or wait."""
        return min(known if over or self.dry else self.concurrent, self.concurrent)

    def spoke(self, live: LiveTrial) -> None:
        """This attempt has said something: it can be asked to leave, and hears it."""
        self._spoke[live.number] = live.attempt

    def must_leave(self, live: LiveTrial, running: Collection[LiveTrial]) -> bool:
        """Whether to ask this attempt, once, to save and end: more run than the grant.

        The attempts that began last leave first, so that what is nearly done is done; one that has
        just begun is waited for, until it can hear. One that left before stays until it has a newer
        checkpoint than then: each attempt gets on. Evaluations stay: they are short, and have
        nothing to go on from.
        """
        staying = [one for one in running if not self.has_asked(one)]
        surplus = max(len(staying) - self.limit, 0)
        able = [one for one in staying if self._can_leave(one)]
        able.sort(key=lambda one: one.begun or 0.0, reverse=True)
        chosen = any(one is live for one in able[:surplus])
        if not chosen or not self._hears(live):
            return False
        self._asked[live.number] = live.attempt
        return True

    def has_asked(self, live: LiveTrial) -> bool:
        """Whether this attempt was asked to save and end."""
        return self._asked.get(live.number) == live.attempt

    def left(self, live: LiveTrial) -> None:
        """This attempt has saved and ended."""
        self._left[live.number] = _saved(live)

    def _can_leave(self, live: LiveTrial) -> bool:
        if live.role is not None or live.evaluates is not None or live.settled is not None:
            return False
        got_on = live.number not in self._left or _saved(live) > self._left[live.number]
        return got_on and (self._hears(live) or time.monotonic() - (live.begun or 0) < _SHY)

    def _hears(self, live: LiveTrial) -> bool:
        return self._spoke.get(live.number) == live.attempt


def _saved(live: LiveTrial) -> int:
    """The step of the newest checkpoint; -1 if there is none."""
    return live.last.step if live.last is not None else -1


class BrokerClient:
    """A thread that tells the broker every second what a search could use, and hears its grant.

    Args:
        slots: where the grant goes.
        spec: of the search: whose it is, what a trial needs.
        folder: of the search; two searches of one name in two folders are two.
        state: how many trials the search wants now, and how many run.
        since: when its driver began (seconds): of equals the earlier goes first.
        find: finds the broker, or makes it.
    """

    def __init__(
        self,
        slots: Slots,
        spec: SearchSpec,
        folder: Path,
        state: Callable[[], tuple[int, int]],
        since: float,
        find: Callable[[], Any] = lambda: _found(),
    ) -> None:
        self._slots, self._state, self._find = slots, state, find
        need = trial_of(spec)
        self._says: dict[str, Any] = {
            "search": label_of(folder),
            "name": spec.search,
            "user": spec.user,
            "priority": spec.priority,
            "since": since,
            "workers": need.workers,
            "cpus": need.cpus,
            "gpus": need.gpus,
        }
        self._broker: Any = None
        self._answered = time.monotonic()
        slots.grant = 0

    def run(self, ended: threading.Event) -> None:
        """Asks until the search has ended, and then gives back all that it had."""
        while not ended.is_set():
            wants, runs = self._state()
            self._ask(wants, runs)
            grant = self._slots.grant or 0
            ended.wait(_ASK_OFTEN if runs > grant or (wants and not grant) else _ASK_EVERY)
        with suppress(Exception):  # the grant expires by itself
            self._broker.withdraw.remote(self._says["search"])

    def _ask(self, wants: int, runs: int) -> None:
        import ray

        slots = self._slots
        says = {**self._says, "wants": wants, "runs": runs, "has": slots.grant or 0}
        try:
            if self._broker is None:
                self._broker = self._find()
            slots.grant = int(ray.get(self._broker.report.remote(says), timeout=_SILENT / 2))
            self._answered = time.monotonic()
            slots.problem = ""
        except Exception as error:  # whatever it is: the broker is found or made, and asked again
            self._broker = None
            self._miss(runs, error)

    def _miss(self, runs: int, error: Exception) -> None:
        """No answer: what runs goes on, nothing new is started; in the end there is a problem."""
        silence = time.monotonic() - self._answered
        if silence > _SILENT:
            self._slots.grant = min(self._slots.grant or 0, runs)
        if silence > _GIVES_UP:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            self._slots.problem = (
                f"the cluster has no {BROKER} that answers, for {silence:.0f} s: {reason}"
            )


def _found() -> Any:
    """The broker; made if there is none, so that a cluster needs no service for it."""
    import ray

    try:
        return ray.get_actor(BROKER, namespace=NAMESPACE)
    except ValueError:
        return get_or_create()
