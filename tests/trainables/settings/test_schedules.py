"""Settings of schedules: what has no effect in which."""

from __future__ import annotations

from typing import Any

import pytest

from trainables.settings.schedules import HalfLives, Schedule


@pytest.mark.parametrize(
    ("values", "void"),
    [
        ({"kind": "cosine"}, {"half_life"}),
        ({"kind": "linear"}, {"half_life"}),
        ({"kind": "constant"}, {"half_life", "floor"}),
        ({"kind": "exponential"}, set()),
    ],
)
def test_only_what_a_kind_has_counts(values: dict[str, Any], void: set[str]) -> None:
    assert Schedule(**values).void() == void


def test_without_a_warm_up_there_is_no_first_rate() -> None:
    assert HalfLives(warm_up=0).void() == {"first"} and HalfLives(warm_up=1).void() == set()
