"""Splits of examples that keep together what was taken together."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence


def grouped(keys: Sequence[Sequence[str]]) -> list[int]:
    """The number of the group of each example; those that share a key are in one, and so on."""
    parent = list(range(len(keys)))

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    first: dict[str, int] = {}
    for number, own in enumerate(keys):
        for key in own:
            one, other = root(number), root(first.setdefault(key, number))
            parent[max(one, other)] = min(one, other)
    return [root(number) for number in range(len(keys))]


def divided(
    groups: Sequence[int], labels: Sequence[str], shares: Mapping[str, float], seed: int
) -> list[str]:
    """The split of each example, by name; whole groups, with about the same share of each label.

    Groups with the rarest labels come first, among equals in an order drawn by `seed`; each goes
    where most is missing of what is in it, in shares of what is to be there: all is a function of
    the arguments, in any process. As iterative stratification (Sechidis et al. 2011), for groups.
    """
    total = Counter(labels)
    inside: dict[int, Counter[str]] = {}
    for group, label in zip(groups, labels, strict=True):
        inside.setdefault(group, Counter())[label] += 1
    order = sorted(
        inside, key=lambda one: (min(total[label] for label in inside[one]), drawn(seed, one))
    )
    have: dict[str, Counter[str]] = {name: Counter() for name in shares}
    where: dict[int, str] = {}
    for group in order:
        own = inside[group]

        def missing(name: str, own: Counter[str] = own) -> float:
            """How much of it this split still lacks: 1 for each example of an empty one."""
            wanted = {label: shares[name] * total[label] for label in own}
            shortfalls = (1 - have[name][label] / wanted[label] for label in own)
            return sum(
                count * shortfall for count, shortfall in zip(own.values(), shortfalls, strict=True)
            )

        where[group] = max(shares, key=missing)
        have[where[group]] += own
    return [where[group] for group in groups]


def drawn(seed: int, *what: object) -> str:
    """A place in a random order, a function of the seed and of what it is the place of."""
    return hashlib.sha256("/".join(map(str, (seed, *what))).encode()).hexdigest()
