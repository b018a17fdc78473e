"""The ends of trials that were run, and how they are counted: infeasible ones have not failed."""

from __future__ import annotations

from collections.abc import Mapping

WITHOUT_VALUE = ("failed", "infeasible")
"""They failed; or, infeasible, ran out of memory or diverged: their configuration is at fault."""
ENDED = ("complete", "pruned", *WITHOUT_VALUE)


def ends(counts: Mapping[str, int]) -> dict[str, int]:
    """How many trials ended in each of these ways, none left out, of the counts of all states."""
    return {state: counts.get(state, 0) for state in ENDED}


def lost(counts: Mapping[str, int]) -> str:
    """`35 failed, 2 infeasible`, or `0 failed`: infeasible ones are named where there are any."""
    infeasible = counts.get("infeasible", 0)
    return f"{counts.get('failed', 0)} failed" + (f", {infeasible} infeasible" * bool(infeasible))
