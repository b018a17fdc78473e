"""Each line of the table of failures."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from raysearch.errors import BadSetting
from raysearch.study.failures import KINDS, Failures, parse_limit, traceback_digest, verdict


@dataclass(frozen=True)
class Failed:
    kind: str
    checkpoint_step: int | None = None


def again(*history: Failed, shared: bool = False) -> bool:
    return verdict(history[-1].kind, history=history, shared=shared).again


@pytest.mark.parametrize("kind", ["host_lost", "killed", "silent"])
def test_a_loss_from_outside_is_tried_again_three_times_without_a_new_checkpoint(kind: str) -> None:
    lost = Failed(kind, 10)
    assert all(again(*[lost] * count) for count in (1, 2, 3))
    judged = verdict(kind, history=[lost] * 4)
    assert (judged.again, judged.state, judged.constraint) == (False, "failed", 0)


@pytest.mark.parametrize("kind", ["host_lost", "killed", "silent"])
def test_a_new_checkpoint_gives_three_more_tries(kind: str) -> None:
    before, after = [Failed(kind, None)] * 3, [Failed(kind, 20)] * 3
    assert again(*before, *after)
    assert not again(*before, *after, Failed(kind, 20))


def test_losses_of_both_kinds_count_together() -> None:
    assert not again(*[Failed("killed", 10), Failed("host_lost", 10)] * 2)


@pytest.mark.parametrize("kind", ["exception", "exit", "signal", "hang"])
def test_an_error_of_its_own_is_tried_again_once(kind: str) -> None:
    assert again(Failed(kind, 10))
    judged = verdict(kind, history=[Failed(kind, 10), Failed(kind, 20)])
    assert (judged.again, judged.state, judged.constraint) == (False, "failed", 0)


def test_errors_of_different_kinds_count_together_and_losses_do_not() -> None:
    assert not again(Failed("exception"), Failed("hang"))
    assert again(Failed("killed"), Failed("killed"), Failed("exception"))
    assert again(Failed("exception"), Failed("killed"))


def test_out_of_memory_is_tried_again_alone_if_it_shared_its_node() -> None:
    judged = verdict("memory", history=[Failed("memory")], shared=True)
    assert (judged.again, judged.alone) == (True, True)


@pytest.mark.parametrize(
    ("history", "shared"),
    [([Failed("memory")], False), ([Failed("memory"), Failed("memory")], True)],
)
def test_out_of_memory_alone_or_twice_is_infeasible(history: list[Failed], shared: bool) -> None:
    judged = verdict("memory", history=history, shared=shared)
    assert (judged.again, judged.state, judged.constraint) == (False, "infeasible", 1)


@pytest.mark.parametrize("shared", [False, True])
def test_a_diverged_trial_is_infeasible_at_once(shared: bool) -> None:
    judged = verdict("diverged", history=[Failed("diverged")], shared=shared)
    assert (judged.again, judged.state, judged.constraint) == (False, "infeasible", 1)


@pytest.mark.parametrize("kind", KINDS)
def test_every_verdict_has_a_reason_and_a_state_or_another_try(kind: str) -> None:
    judged = verdict(kind, history=[Failed(kind)])
    assert judged.reason and judged.again == (judged.state is None)


def test_an_unknown_kind_names_those_there_are() -> None:
    with pytest.raises(LookupError, match="must be one of host_lost, killed, .* got 'tired'"):
        verdict("tired", history=[Failed("exception")])


TRACEBACK = """Traceback (most recent call last):
  File "/home/a/runs/s/0007/attempt-1/x.py", line 3, in run
    model(batch)
RuntimeError: <Thing at 0x7f00aa> of process 123 failed in /tmp/tmpabc
"""


@pytest.mark.parametrize(
    ("ended", "stops"),
    [
        (["a"] * 9, ""),
        (["a"] * 10, "the first 10 trials all failed alike"),
        (["a"] * 9 + ["b"], ""),
        ([None] + ["a"] * 9, ""),
        ([None] * 10 + ["a"] * 10, ""),
        ([None] * 9 + ["a"] * 10, ""),
        ([None] * 9 + ["a", "b"] * 5 + ["c"], "11 of the last 20 trials failed"),
        (["a", None] * 10, ""),
        (["a"] * 8 + [None] + ["b"] * 11, "19 of the last 20 trials failed"),
    ],
)
def test_a_search_stops_for_its_first_ten_or_most_of_its_last_twenty(
    ended: list[str | None], stops: str
) -> None:
    failures = Failures()
    said = ""
    for one in ended:
        assert said == "", "it did not stop before"
        failures.add(one)
        said = failures.too_many()
    assert said == stops


@pytest.mark.parametrize(
    ("limit", "failed", "ended", "stops"),
    [
        ("5", 5, 5, False),
        ("5", 6, 6, True),
        ("0", 1, 50, True),
        ("20%", 2, 10, False),
        ("20%", 3, 10, True),
        ("20%", 9, 9, False),
        ("100%", 30, 30, False),
        ("0%", 1, 10, True),
    ],
)
def test_a_limit_is_a_number_of_trials_or_a_share_of_them(
    limit: str, failed: int, ended: int, stops: bool
) -> None:
    failures = Failures(parse_limit(limit), ["a"] * failed + [None] * (ended - failed))
    assert bool(failures.too_many()) is stops


@pytest.mark.parametrize("text", ["", "-1", "1.5", "101%", "many", "5 %", "1e3", "nan%"])
def test_a_limit_that_is_neither_is_refused(text: str) -> None:
    with pytest.raises(BadSetting, match="--max-failures must be a number of trials such as 5"):
        parse_limit(text)


def test_a_digest_looks_at_no_more_of_a_long_word_than_of_a_short_one() -> None:
    long = TRACEBACK + "ValueError: " + "/0001" * 50_000
    assert traceback_digest(long) == traceback_digest(long[: len(TRACEBACK)] + long[-20_000:])


def test_a_traceback_is_equal_but_for_addresses_attempts_and_processes() -> None:
    other = TRACEBACK.replace("0007/attempt-1", "0011/attempt-2").replace("123", "4567")
    other = other.replace("0x7f00aa", "0x7f11bb").replace("tmpabc", "tmpxyz")
    assert traceback_digest(other) == traceback_digest(TRACEBACK)
    assert traceback_digest(TRACEBACK.replace("line 3", "line 4")) != traceback_digest(TRACEBACK)


def test_a_full_disk_stops_the_search_and_costs_the_trial_nothing() -> None:
    judged = verdict("full", history=[Failed("exception"), Failed("full"), Failed("full")])
    assert judged.again
    assert judged.stop_search == "no space is left on the disk; make some, and resume"


def test_an_end_that_asks_for_another_start_costs_no_try() -> None:
    asked = [Failed("again", None)] * 1000
    assert again(*asked, Failed("exception", None)) and again(*asked)
    assert not again(*asked, Failed("again", None))
