"""Slots of a cluster: fair, in gangs, within limits, without waste, and without needless moves."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from raysearch.driver.fair_share import Claim, Node, fits, grant, shares

CASES = range(100)


def claim(search: str, wants: int, runs: int = 0, user: str = "", **other: float) -> Claim:
    """A search of a user of its own, unless one is named; `z` came later than `a`."""
    since = other.pop("since", float(ord(search[0])))
    return Claim(search, user or f"user-{search}", wants, runs, since=since, **other)  # type: ignore[arg-type]


def some(seed: int, *, uniform: bool = False) -> tuple[list[Node], list[Claim], int | None]:
    """A small cluster, a few searches of up to three users, and perhaps a limit."""
    draw = random.Random(seed)
    nodes = [Node(draw.randint(1, 4), draw.randint(0, 2)) for _ in range(draw.randint(1, 3))]
    claims = [
        Claim(
            name,
            draw.choice("uvw"),
            wants=draw.randint(0, 6),
            runs=draw.randint(0, 3),
            priority=draw.randint(0, 1),
            since=draw.randint(0, 3),
            workers=1 if uniform else draw.choice([1, 1, 2]),
            cpus=1 if uniform else draw.choice([1, 1, 2]),
            gpus=0 if uniform else draw.choice([0, 0, 0.5, 1]),
        )
        for name in "abcd"[: draw.randint(1, 4)]
    ]
    return nodes, claims, draw.choice([None, None, 1, 3])


def fits_somehow(nodes: list[Node], counts: list[tuple[Claim, int]]) -> bool:
    """Tries every way to put workers on nodes; GPUs as Ray counts them, a part within one."""
    workers = [c for c, count in counts for _ in range(count * c.workers)]

    def put(index: int, cpus: list[float], gpus: list[list[float]]) -> bool:
        if index == len(workers):
            return True
        need = workers[index]
        for node in range(len(nodes)):
            if cpus[node] < need.cpus:
                continue
            free = [device for device, left in enumerate(gpus[node]) if left >= min(need.gpus, 1)]
            count = max(int(need.gpus), 1) if need.gpus else 0
            for devices in itertools.combinations(free, count):
                cpus[node] -= need.cpus
                for device in devices:
                    gpus[node][device] -= min(need.gpus, 1)
                if put(index + 1, cpus, gpus):
                    return True
                cpus[node] += need.cpus
                for device in devices:
                    gpus[node][device] += min(need.gpus, 1)
        return False

    return put(0, [node.cpus for node in nodes], [[1.0] * node.gpus for node in nodes])


def of_user(claims: list[Claim], given: dict[str, int], user: str) -> int:
    return sum(given[c.search] for c in claims if c.user == user)


def test_a_search_that_is_alone_gets_all_that_it_can_use() -> None:
    assert shares([Node(4), Node(4)], [claim("a", 20)]) == {"a": 8}
    assert shares([Node(4), Node(4)], [claim("a", 3)]) == {"a": 3}


def test_equal_users_share_equally_however_many_searches_they_have() -> None:
    claims = [claim("a", 9, user="u"), claim("b", 9, user="v"), claim("c", 9, user="v")]
    assert shares([Node(8)], claims) == {"a": 4, "b": 2, "c": 2}


def test_what_one_cannot_use_is_for_the_others() -> None:
    assert shares([Node(8)], [claim("a", 1), claim("b", 9), claim("c", 2)]) == {
        "a": 1,
        "b": 5,
        "c": 2,
    }


def test_the_scarcest_resource_counts() -> None:
    """By CPUs alone a would get four trials."""
    claims = [claim("a", 9, cpus=1, gpus=1), claim("b", 9, cpus=2)]
    assert shares([Node(6, 4)], claims) == {"a": 2, "b": 2}


def test_a_higher_priority_is_served_first() -> None:
    assert shares([Node(4)], [claim("a", 9), claim("b", 3, priority=1)]) == {"a": 1, "b": 3}


def test_a_group_gets_places_for_all_its_workers_or_none() -> None:
    claims = [claim("a", 9, runs=1), claim("b", 9, workers=3)]
    assert shares([Node(2), Node(2)], claims) == {"a": 1, "b": 1}
    assert shares([Node(2)], [claim("b", 9, workers=3)]) == {"b": 0}


def test_no_worker_spans_two_nodes_and_no_part_of_a_gpu_two_gpus() -> None:
    assert shares([Node(3), Node(3)], [claim("a", 9, cpus=2)]) == {"a": 2}
    assert shares([Node(9, 2)], [claim("a", 9, gpus=0.6)]) == {"a": 2}
    assert shares([Node(9, 2)], [claim("a", 9, gpus=0.5)]) == {"a": 4}


def test_large_workers_are_placed_first_so_that_small_ones_fill_what_is_left() -> None:
    claims = [claim("a", 2, cpus=1), claim("b", 1, cpus=3)]
    assert shares([Node(3), Node(2)], claims) == {"a": 2, "b": 1}


def test_of_equals_the_earlier_goes_first_but_takes_nothing_that_runs() -> None:
    assert shares([Node(3)], [claim("a", 9), claim("b", 9)]) == {"a": 2, "b": 1}
    assert shares([Node(3)], [claim("a", 9, runs=1), claim("b", 9, runs=2)]) == {"a": 1, "b": 2}


def test_a_new_search_of_one_user_takes_nothing_from_an_equal_user() -> None:
    claims = [claim("a", 9, 2, "u"), claim("b", 9, 1, "v"), claim("c", 9, 0, "v")]
    assert shares([Node(3)], claims)["a"] == 2


def test_one_that_has_starved_goes_before_its_equals() -> None:
    small, large = claim("a", 9, runs=4), claim("b", 1, cpus=4)
    assert shares([Node(4)], [small, large]) == {"a": 4, "b": 0}
    assert shares([Node(4)], [small, replace(large, starved=True)]) == {"a": 0, "b": 1}


@pytest.mark.parametrize("seed", CASES)
def test_what_is_given_can_be_placed(seed: int) -> None:
    nodes, claims, limit = some(seed)
    given = shares(nodes, claims, limit)
    assert fits_somehow(nodes, [(c, given[c.search]) for c in claims])
    assert all(given[c.search] <= c.wants for c in claims)


@pytest.mark.parametrize("seed", CASES)
def test_no_trial_waits_for_which_there_is_room(seed: int) -> None:
    nodes, claims, limit = some(seed)
    given = shares(nodes, claims, limit)
    for c in claims:
        more = [(other, given[other.search] + (other is c)) for other in claims]
        limited = limit is not None and of_user(claims, given, c.user) >= limit
        assert given[c.search] == c.wants or limited or not fits(nodes, more)


@pytest.mark.parametrize("seed", CASES)
def test_without_groups_no_way_to_place_one_more_is_overlooked(seed: int) -> None:
    nodes, claims, limit = some(seed, uniform=True)
    given = shares(nodes, claims, limit)
    for c in claims:
        more = [(other, given[other.search] + (other is c)) for other in claims]
        limited = limit is not None and of_user(claims, given, c.user) >= limit
        assert given[c.search] == c.wants or limited or not fits_somehow(nodes, more)


@pytest.mark.parametrize("seed", CASES)
def test_no_user_has_more_than_the_limit(seed: int) -> None:
    nodes, claims, limit = some(seed)
    given = shares(nodes, claims, limit)
    assert limit is None or all(of_user(claims, given, user) <= limit for user in "uvw")


@pytest.mark.parametrize("seed", CASES)
def test_nobody_waits_while_an_equal_has_more_than_one_trial_more(seed: int) -> None:
    nodes, claims, limit = some(seed, uniform=True)
    given = shares(nodes, claims, limit)
    for c, other in itertools.permutations(claims, 2):
        if c.priority != other.priority or given[c.search] == c.wants:
            continue
        if c.user == other.user:
            assert given[other.search] <= given[c.search] + 1
        elif limit is None or of_user(claims, given, c.user) < limit:
            level = [one for one in claims if one.priority == c.priority]
            has, least = of_user(level, given, other.user), of_user(level, given, c.user)
            assert has <= least + 1


@pytest.mark.parametrize("seed", CASES)
def test_the_lower_take_nothing_from_the_higher(seed: int) -> None:
    nodes, claims, _ = some(seed)
    above = [c for c in claims if c.priority]
    given = shares(nodes, claims)
    alone = shares(nodes, above)
    assert all(given[c.search] >= alone[c.search] for c in above)


@pytest.mark.parametrize("seed", CASES)
def test_a_higher_priority_never_gives_less(seed: int) -> None:
    nodes, claims, limit = some(seed, uniform=True)
    given = shares(nodes, claims, limit)
    raised = [replace(claims[0], priority=claims[0].priority + 1), *claims[1:]]
    assert shares(nodes, raised, limit)[claims[0].search] >= given[claims[0].search]


@pytest.mark.parametrize("seed", CASES)
def test_once_given_nothing_moves(seed: int) -> None:
    nodes, claims, limit = some(seed)
    given = shares(nodes, claims, limit)
    settled = [replace(c, runs=given[c.search]) for c in claims]
    assert shares(nodes, settled, limit) == given
    assert shares(nodes, list(reversed(settled)), limit) == given


@pytest.mark.parametrize("seed", CASES)
def test_on_the_way_no_more_is_granted_than_there_is_and_all_is_reached(seed: int) -> None:
    nodes, claims, limit = some(seed)
    before = shares(nodes, [replace(c, wants=4) for c in claims[:1]])
    held = {c.search: before.get(c.search, 0) for c in claims}
    due = shares(nodes, claims, limit)
    draw = random.Random(seed)
    for _ in range(4):
        for c in draw.sample(claims, len(claims)):
            held[c.search] = grant(nodes, claims, due, held, c.search, limit)
            assert fits_somehow(nodes, [(one, held[one.search]) for one in claims])
    assert held == due
