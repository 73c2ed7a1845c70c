"""Tests of core/repeater.py."""

import threading

from tfquarl.core import repeater


def test_it_repeats_until_the_block_ends_and_can_be_opened_again() -> None:
    calls, third = [], threading.Event()

    def action() -> None:
        """Tells of the third call of each block."""
        calls.append(threading.current_thread().name)
        if len(calls) == 3:
            third.set()

    repeated = repeater.Repeater(action, 0.001, "looks")
    assert not repeated.is_open
    for _ in range(2):
        calls.clear()
        third.clear()
        with repeated:
            assert repeated.is_open and third.wait(30)
        assert not repeated.is_open
        assert calls[0] == "looks" and "looks" not in [thread.name for thread in threading.enumerate()]


def test_the_end_of_the_block_ends_a_long_pause() -> None:
    called = threading.Event()
    with repeater.Repeater(called.set, 1e6, "looks"):
        assert called.wait(30)
