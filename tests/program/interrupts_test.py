"""Tests of `tfquarl.program.interrupts`."""

import signal

import pytest

from tfquarl.program import interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_becomes_an_answer(number):
    with interrupts.Interrupts() as interrupted:
        assert not interrupted()
        signal.raise_signal(number)
        assert interrupted()


def test_the_third_one_ends_the_program_at_once():
    with interrupts.Interrupts() as interrupted:
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert interrupted()


def test_handlers_are_as_before_afterwards():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with interrupts.Interrupts():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_a_closed_terminal_is_none_under_nohup():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupts.raised(), interrupts.Interrupts() as interrupted:
            signal.raise_signal(signal.SIGHUP)
            assert not interrupted()
        with interrupts.raised():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
