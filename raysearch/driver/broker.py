"""The broker of slots: a named actor that each driver on a cluster asks how many trials it may run.

What it knows is soft: drivers say it again every second, so its death loses nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from raysearch.driver.autoscaler import to_come
from raysearch.driver.cluster import NAMESPACE, connect, living
from raysearch.driver.fair_share import Claim, Node, grant, shares
from raysearch.errors import Unreachable

BROKER = "raysearch-broker"
"""The name of the actor, in the namespace of all drivers."""
EXPIRES = 10.0
"""Seconds of silence after which the broker forgets a driver."""
CAREFUL = 3.0
"""Seconds after its start in which nobody gets more than it has: all have spoken twice by then."""
STARVES = 600.0
"""Seconds after which a search that has no trial at all goes before equals that run."""
_LOOK_EVERY = 2.0
_LONG = 0.05
_REST = 5
"""If shares take `_LONG` seconds to compute, at least five times as long passes until the next."""


@dataclass
class _Known:
    """What a driver said last and was told: `holds` trials at most, until it speaks again."""

    claim: Claim
    name: str
    heard: float
    holds: int
    granted: int
    without_since: float


class Ledger:
    """Claims of searches and what they were granted; its clock is given, and it knows no Ray.

    Args:
        nodes: what the cluster has now.
        user_limit: how many trials one user may run at once.
        now: the monotonic clock.
    """

    def __init__(
        self,
        nodes: Callable[[], list[Node]],
        user_limit: int | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.user_limit = user_limit
        self._nodes, self._now = nodes, now
        self._known: dict[str, _Known] = {}
        self._began = now()
        self._asked: tuple[Any, ...] = ()
        self._due: dict[str, int] = {}
        self._next = 0.0

    def report(self, message: Mapping[str, Any]) -> int:
        """Takes in what a driver says; returns how many trials it may run.

        `said` has the fields of a `Claim`, the `name` of its search, and the grant that it `has`:
        it may still start so many before it hears the answer.
        """
        now = self._now()
        self._expire(now)
        fields = {key: value for key, value in message.items() if key not in ("name", "has")}
        claim = Claim(**fields)
        before = self._known.get(claim.search)
        known = _Known(claim, message["name"], now, max(claim.runs, message["has"]), 0, now)
        if before is not None and not claim.runs and claim.wants:
            known.without_since = before.without_since
        self._known[claim.search] = known
        nodes, claims = self._nodes(), self._claims(now)
        due = self._shares(nodes, claims)
        held = {search: one.holds for search, one in self._known.items()}
        granted = grant(nodes, claims, due, held, claim.search, self.user_limit)
        if now - self._began < CAREFUL:
            granted = min(granted, known.holds)
        known.granted, known.holds = granted, max(known.holds, granted)
        return granted

    def withdraw(self, search: str) -> None:
        """A driver has ended: its places are free."""
        self._known.pop(search, None)

    def describe(self) -> dict[str, Any]:
        """The cluster, and a row for each search: whose it is, what it wants, runs and has."""
        self._expire(self._now())
        nodes = self._nodes()
        rows = [
            {
                "search": one.claim.search,
                "name": one.name,
                "user": one.claim.user,
                "priority": one.claim.priority,
                "wants": one.claim.wants,
                "runs": one.claim.runs,
                "granted": one.granted,
                "workers": one.claim.workers,
                "cpus": one.claim.cpus,
                "gpus": one.claim.gpus,
            }
            for one in sorted(
                self._known.values(), key=lambda one: (-one.claim.priority, one.claim.since)
            )
        ]
        return {
            "cpus": sum(node.cpus for node in nodes),
            "gpus": sum(node.gpus for node in nodes),
            "user_limit": self.user_limit,
            "searches": rows,
        }

    def _shares(self, nodes: list[Node], claims: list[Claim]) -> dict[str, int]:
        """What is due to each: computed anew when something has changed, unless that takes long."""
        asked, began = (tuple(nodes), tuple(claims), self.user_limit), time.perf_counter()
        if asked != self._asked and began > self._next:
            self._asked, self._due = asked, shares(nodes, claims, self.user_limit)
            took = time.perf_counter() - began
            self._next = began + took * _REST if took > _LONG else 0.0
        return {claim.search: self._due.get(claim.search, 0) for claim in claims}

    def _claims(self, now: float) -> list[Claim]:
        return [
            replace(one.claim, starved=now - one.without_since > STARVES)
            for one in self._known.values()
        ]

    def _expire(self, now: float) -> None:
        for search in [s for s, one in self._known.items() if now - one.heard > EXPIRES]:
            del self._known[search]


class Broker:
    """The actor around a `Ledger`: it sees what the cluster has."""

    def __init__(self, user_limit: int | None = None) -> None:
        self._seen: tuple[float, list[Node]] = (0.0, [])
        self._ledger = Ledger(self._nodes, user_limit)

    def report(self, message: dict[str, Any]) -> int:
        """How many trials this search may run at once."""
        return self._ledger.report(message)

    def withdraw(self, search: str) -> None:
        """This search has no driver any more."""
        self._ledger.withdraw(search)

    def describe(self) -> dict[str, Any]:
        """The cluster and its searches, as a table."""
        return self._ledger.describe()

    def limit_users(self, user_limit: int | None) -> None:
        """How many trials one user may run at once."""
        self._ledger.user_limit = user_limit

    def _nodes(self) -> list[Node]:
        """The nodes that live, and those that the autoscaler may add: for them grants must ask."""
        now = time.monotonic()
        if not self._seen[1] or now - self._seen[0] > _LOOK_EVERY:
            here = living()
            all_nodes = [*here, *to_come(here)]
            self._seen = (now, [Node(node.cpus, node.gpus) for node in all_nodes])
        return self._seen[1]


def get_or_create(user_limit: int | None = None) -> Any:
    """The broker of the cluster that this process has joined; made if there is none.

    It lives on the head, takes no CPU, and outlives whoever made it; Ray starts it again.
    """
    import ray

    return (
        ray.remote(Broker)
        .options(
            name=BROKER,
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            max_restarts=-1,
            max_task_retries=-1,
            num_cpus=0,
            resources={"node:__internal_head__": 0.001},
        )
        .remote(user_limit)
    )


def ensure(ray_address: str, user_limit: int | None = None) -> None:
    """Sees to it that the cluster at this address has a broker that answers, with this limit.

    Raises:
        ConnectionError: there is no cluster there, or the broker does not answer.
    """
    import ray
    from ray.exceptions import RayError

    connect(ray_address)
    try:
        ray.get(get_or_create(user_limit).limit_users.remote(user_limit), timeout=30)
    except RayError as error:
        reason = str(error).strip().splitlines()[0]
        raise Unreachable(f"the broker on {ray_address} does not answer: {reason}") from None


def describe(ray_address: str) -> dict[str, Any]:
    """What the broker of the cluster at this address says of its searches.

    Raises:
        ConnectionError: there is no cluster there, no broker, or it does not answer.
    """
    import ray
    from ray.exceptions import RayError

    connect(ray_address)
    try:
        broker: Any = ray.get_actor(BROKER, namespace=NAMESPACE)
        return ray.get(broker.describe.remote(), timeout=5)
    except (ValueError, RayError) as error:
        reason = str(error).strip().splitlines()[0]
        raise Unreachable(f"the broker on {ray_address} does not answer: {reason}") from None
