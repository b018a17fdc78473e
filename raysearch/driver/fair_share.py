"""Slots of a cluster for each search: strict priority, then fair shares; pure, no Ray."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

_PARTS = 10_000
"""Ray counts resources in ten-thousandths; whole numbers add up without error."""


class Node(NamedTuple):
    """A node of the cluster: what it has for trials."""

    cpus: float
    gpus: int = 0


@dataclass(frozen=True)
class Claim:
    """What one search asks for.

    A trial has so many `workers`, each with `cpus` and `gpus` on one node; `wants` trials could run
    now, `runs` do. `since` is when its driver began (seconds): of equals the earlier goes first.
    `starved` is one that has waited long for its first trial.
    """

    search: str
    user: str
    wants: int
    runs: int = 0
    priority: int = 0
    since: float = 0.0
    workers: int = 1
    cpus: float = 1.0
    gpus: float = 0.0
    starved: bool = False


def shares(
    nodes: Sequence[Node], claims: Iterable[Claim], user_limit: int | None = None
) -> dict[str, int]:
    """How many trials each search may run at once.

    A claim of higher priority is served before all lower ones. Within a priority the next trial
    goes to the user with the smallest dominant share (the largest part that the user's trials of
    this priority take of all CPUs or of all GPUs), and of that user's searches to the one with the
    smallest; as long as its workers all find places on nodes, and the user has fewer than
    `user_limit` trials. Of equals, one that has starved goes first, then one that already runs its
    next trial, then the earlier: so equals never take places from one another.

    Returns:
        The number of trials by search; all of them together fit on the nodes.
    """
    ordered = sorted(claims, key=lambda claim: (-claim.priority, claim.since, claim.search))
    given = {claim.search: 0 for claim in ordered}
    places = _Places(nodes)
    grown = True
    while grown:  # a second round changes nothing, but for anomalies of first fit
        before = sum(given.values())
        for priority in dict.fromkeys(claim.priority for claim in ordered):
            level = [claim for claim in ordered if claim.priority == priority]
            _fill(level, ordered, given, places, user_limit)
        grown = sum(given.values()) > before
        places.forget()
    return given


def grant(
    nodes: Sequence[Node],
    claims: Sequence[Claim],
    due: Mapping[str, int],
    held: Mapping[str, int],
    search: str,
    user_limit: int | None = None,
) -> int:
    """How many trials a search may run now, on its way to what is `due` (from `shares`).

    Fewer than it holds at once: it lets the surplus save and end. More only when the places are
    free, which others may `hold` for a while longer.
    """
    own = next(claim for claim in claims if claim.search == search)
    now = {claim.search: held.get(claim.search, 0) for claim in claims}
    others = sum(now[c.search] for c in claims if c.user == own.user and c.search != search)
    for number in range(due[search], min(now[search], due[search]), -1):
        if user_limit is not None and others + number > user_limit:
            continue
        wanted = {**now, search: number}
        below = all(wanted[name] <= due[name] for name in wanted)
        if below or fits(nodes, [(claim, wanted[claim.search]) for claim in claims]):
            return number
    return min(now[search], due[search])


def fits(nodes: Sequence[Node], counts: Iterable[tuple[Claim, int]]) -> bool:
    """Whether so many trials of each find places, by first fit of the largest workers first."""
    places = _Places(nodes)
    return all(places.add(claim) for claim, count in counts for _ in range(count))


def _fill(
    level: Sequence[Claim],
    claims: Sequence[Claim],
    given: dict[str, int],
    places: _Places,
    user_limit: int | None,
) -> None:
    """Gives the claims of one priority one trial after the other."""
    open_claims = list(level)
    while open_claims := [claim for claim in open_claims if given[claim.search] < claim.wants]:
        best = _next(open_claims, level, given, places)
        has = sum(given[claim.search] for claim in claims if claim.user == best.user)
        allowed = user_limit is None or has < user_limit
        if allowed and places.add(best):
            given[best.search] += 1
        else:
            open_claims.remove(best)


def _next(
    open_claims: Sequence[Claim], level: Sequence[Claim], given: Mapping[str, int], places: _Places
) -> Claim:
    """Whose turn it is: of users, and of the searches of one, that with the smallest share."""

    def turn(asking: Sequence[Claim], all_claims: Sequence[Claim]) -> tuple[Any, ...]:
        share = sum(places.part(claim, given[claim.search]) for claim in all_claims)
        has = sum(given[claim.search] for claim in all_claims)
        runs = sum(min(claim.runs, claim.wants) for claim in all_claims)
        first = min((claim.since, claim.search) for claim in asking)
        starved = any(claim.starved and not given[claim.search] for claim in asking)
        return (round(share, 9), not starved, has >= runs, first)  # equals must not differ by bits

    def of(user: str, among: Sequence[Claim]) -> list[Claim]:
        return [claim for claim in among if claim.user == user]

    users = sorted({claim.user for claim in open_claims})
    user = min(users, key=lambda name: turn(of(name, open_claims), of(name, level)))
    return min(of(user, open_claims), key=lambda claim: turn([claim], [claim]))


class _Places:
    """The nodes, and the workers that have found a place on one of them."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        self._cpus = sum(node.cpus for node in nodes)
        self._gpus = sum(node.gpus for node in nodes)
        self._placed: list[Claim] = []
        self._refused: set[tuple[int, float, float]] = set()
        self._free = self._empty()

    def part(self, claim: Claim, trials: int) -> float:
        """The dominant share of so many trials: 0 to 1 if they fit."""
        workers = trials * claim.workers
        cpus = workers * claim.cpus / self._cpus if self._cpus else 0.0
        gpus = workers * claim.gpus / self._gpus if self._gpus else 0.0
        return max(cpus, gpus)

    def add(self, claim: Claim) -> bool:
        """Places a trial, with all its workers or none; if need be all others are placed anew.

        What was refused once is refused as long as nothing is `forgotten`: placing takes time.
        """
        shape = (claim.workers, claim.cpus, claim.gpus)
        if shape in self._refused:
            return False
        if not _place(self._free, claim):
            free = self._empty()
            largest = sorted([*self._placed, claim], key=lambda one: (-one.gpus, -one.cpus))
            if not self._is_enough(claim) or not all(_place(free, one) for one in largest):
                self._refused.add(shape)
                return False
            self._free = free
        self._placed.append(claim)
        return True

    def forget(self) -> None:
        """Lets what was refused be tried again."""
        self._refused.clear()

    def _is_enough(self, claim: Claim) -> bool:
        """Whether all that is left together would do."""
        cpus = sum(node.cpus for node in self._free)
        gpus = sum(sum(node.gpus) for node in self._free)
        wanted = claim.workers * claim.cpus * _PARTS, claim.workers * claim.gpus * _PARTS
        return cpus + 1 > wanted[0] and gpus + 1 > wanted[1]

    def _empty(self) -> list[_Free]:
        return [_Free(round(node.cpus * _PARTS), [_PARTS] * node.gpus) for node in self._nodes]


@dataclass
class _Free:
    """What is left on a node, in ten-thousandths: of its CPUs, and of each GPU."""

    cpus: int
    gpus: list[int]

    def takes(self, cpus: int, gpus: int) -> list[int] | None:
        """Takes in a worker if there is room: whole GPUs, or a part of one; says of which."""
        if cpus > self.cpus:
            return None
        devices = max(gpus // _PARTS, 1) if gpus else 0
        part = min(gpus, _PARTS)
        found = [index for index, free in enumerate(self.gpus) if free >= part][:devices]
        if len(found) < devices:
            return None
        self.cpus -= cpus
        for index in found:
            self.gpus[index] -= part
        return found


def _place(free: list[_Free], claim: Claim) -> bool:
    """Finds a node for each worker of a trial, the first that has room; or for none of them."""
    cpus, gpus = round(claim.cpus * _PARTS), round(claim.gpus * _PARTS)
    taken: list[tuple[_Free, list[int]]] = []
    for node in free:
        while len(taken) < claim.workers and (found := node.takes(cpus, gpus)) is not None:
            taken.append((node, found))
        if len(taken) == claim.workers:
            return True
    for node, found in taken:
        node.cpus += cpus
        for index in found:
            node.gpus[index] += min(gpus, _PARTS)
    return False
