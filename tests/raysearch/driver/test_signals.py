"""A signal that comes while no search runs ends a driver in order."""

from __future__ import annotations

import signal

import pytest

from raysearch.driver.signals import Signalled, deferred, heard, unchanged


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_does_not_tear_down_what_the_first_one_ends(number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Signalled), heard():
        try:
            with unchanged():
                signal.raise_signal(number)
        finally:
            assert signal.getsignal(number) == signal.SIG_IGN
    assert signal.getsignal(number) == before


def test_the_handler_that_ray_installs_is_undone_and_its_exit_is_a_signal() -> None:
    with heard():
        ours = signal.getsignal(signal.SIGTERM)
        with pytest.raises(Signalled, match="SIGTERM"), unchanged():
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            raise SystemExit(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) == ours


def test_a_signal_waits_for_the_end_of_what_it_must_not_interrupt() -> None:
    done: list[str] = []
    with pytest.raises(Signalled, match="SIGHUP"), heard(), deferred():
        signal.raise_signal(signal.SIGHUP)
        done.append("all of it")
    assert done == ["all of it"]


def test_where_nobody_waits_for_the_signal_ray_exits_as_it_does() -> None:
    with pytest.raises(SystemExit) as error, unchanged():
        raise SystemExit(signal.SIGTERM)
    assert error.value.code == signal.SIGTERM
