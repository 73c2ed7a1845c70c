"""Tests of `tfquarl.metrics.progress`."""

import dataclasses
import errno
import io
import itertools
import os

import pytest
from rich import console as rich_console

from tfquarl.core import errors
from tfquarl.metrics import names
from tfquarl.metrics import progress
from tfquarl.metrics import progress_state

_VIEW = progress_state.ProgressView(
    elapsed_sec=35.2,
    env_steps=12345,
    num_env_steps=50000,
    env_steps_per_sec=2310.4,
    train_steps=3086,
    train_steps_per_sec=7.75,
    int8_return=187.25,
    best_int8_return=203.0,
    float32_return=190.0,
    collectors_waiting=0.4,
    learner_waiting=0.0,
    policy_version=42,
    policy_age_sec=0.31,
    eta_sec=3725.0,
    processes={"server": "runs", "learner": "waits for data"},
)


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class _Closed(io.StringIO):
    """A stream that can be written to until `error` is set."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal
        self.error: int | None = None

    def isatty(self) -> bool:
        return self._is_terminal

    def write(self, text: str) -> int:
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        return super().write(text)


@pytest.mark.parametrize("is_terminal", [False, True], ids=["plain", "live"])
def test_a_closed_terminal_is_no_failure(monkeypatch, is_terminal):
    monkeypatch.setenv("TERM", "xterm")
    stream, clock = _Closed(is_terminal), _Clock()
    with progress.ProgressDisplay("dqn", 100, stream, clock) as display:
        stream.error = errno.EIO
        clock.now = 10.0
        display.tick()
        display.message("a line")


def test_a_full_disk_under_the_display_is_told():
    stream = _Closed(is_terminal=False)
    stream.error = errno.ENOSPC
    with pytest.raises(errors.StorageError, match="writing to the console failed: No space left"):
        progress.ProgressDisplay("dqn", 100, stream, _Clock()).message("a line")


def test_where_stdout_is_closed_nothing_is_shown(monkeypatch):
    monkeypatch.setattr(progress.sys, "stdout", None)
    with progress.ProgressDisplay("dqn", 100) as display:
        display.message("a line")


def _text(renderable, width):
    console = rich_console.Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


@pytest.mark.parametrize(
    "seconds, expected",
    [(0, "0:00"), (65, "1:05"), (59.6, "1:00"), (7205, "2:00:05"), (None, "--"), (float("inf"), "--")],
    ids=str,
)
def test_duration(seconds, expected):
    assert progress.duration(seconds) == expected


def test_plain_line_holds_every_figure():
    assert progress.plain_line(_VIEW) == (
        "0:35 env steps 12,345/50,000 (24.7%) 2,310/s, 40% waiting | train steps 3,086 7.8/s, 0% waiting | "
        "return int8 187.2 (best 203.0), float32 190.0 | policy 42, 0.3 s old | ETA 1:02:05"
    )


def test_small_returns_are_told_in_digits_that_matter():
    view = dataclasses.replace(_VIEW, int8_return=-0.015034, best_int8_return=-0.0125, float32_return=None)

    assert "| return int8 -0.01503 (best -0.0125), float32 -- |" in progress.plain_line(view)


def test_plain_line_of_a_run_that_has_just_begun():
    view = progress_state.ProgressState(100, _Clock()).view()

    assert progress.plain_line(view) == (
        "0:00 env steps 0/100 (0.0%) --/s | train steps 0 --/s | return not judged yet | policy none yet | ETA --"
    )


def test_what_the_end_waits_for_stands_in_the_place_of_the_time_to_go():
    view = dataclasses.replace(_VIEW, awaited="judging the last policy")

    assert progress.plain_line(view).endswith("| policy 42, 0.3 s old | judging the last policy")
    assert "0:35 elapsed, judging the last policy" in _text(progress.panel("x", view), width=80)


def test_panel_holds_every_figure():
    drawn = _text(progress.panel("dqn_cartpole_int8", _VIEW), width=80)

    for part in [
        "dqn_cartpole_int8",
        "0:35 elapsed, 1:02:05 to go",
        "12,345 / 50,000 (24.7%)  2,310/s, 40% waiting",
        "3,086",
        "7.8/s, 0% waiting",
        "int8 187.2 (best 203.0), float32 190.0",
        "42, 0.3 s old",
        "server runs, learner waits for data",
    ]:
        assert part in drawn


def test_panel_does_not_grow_with_the_number_of_processes_or_a_narrow_terminal():
    view = progress_state.ProgressState(100, _Clock()).view()
    crowded = progress_state.ProgressState(100, _Clock())
    for i in range(64):
        crowded.set_process(f"collector_{i}", "runs")

    lines = _text(progress.panel("x", crowded.view()), width=60).splitlines()
    assert len(lines) == len(_text(progress.panel("x", view), width=120).splitlines())
    assert max(map(len, lines)) <= 60


def test_without_a_terminal_there_is_a_line_every_five_seconds_and_one_at_the_end(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    clock, stream = _Clock(), io.StringIO()
    with progress.ProgressDisplay("x", 100, stream, clock) as display:
        for second in range(12):
            clock.now = float(second)
            display.update("collect/0", second, {names.POLICY_VERSION: 1})
            display.tick()
            display.tick()

    lines = stream.getvalue().splitlines()
    assert [line.split(" (")[0] for line in lines] == [
        "0:05 env steps 5/100",
        "0:10 env steps 10/100",
        "0:11 env steps 11/100",
    ]
    assert "\x1b" not in stream.getvalue()


def test_a_message_is_a_line_of_its_own():
    stream = io.StringIO()
    with progress.ProgressDisplay("x", 100, stream, _Clock()) as display:
        display.message("run directory: runs/[a]")

    assert stream.getvalue().splitlines()[0] == "run directory: runs/[a]"


def test_a_terminal_is_redrawn_at_most_four_times_a_second(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    clock, stream = _Clock(), _Terminal()
    sizes = []
    with progress.ProgressDisplay("x", 100, stream, clock) as display:
        for clock.now in [0.1, 0.2, 0.25, 0.3, 0.49, 0.5]:
            display.update("collect/0", 77, {})
            display.tick()
            sizes.append(len(stream.getvalue()))
        display.message("note [1]")

    assert [later > earlier for earlier, later in itertools.pairwise(sizes)] == [False, True, False, False, True]
    assert "77 / 100" in stream.getvalue()
    assert "note [1]" in stream.getvalue()


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = _Terminal()
    with progress.ProgressDisplay("x", 100, stream, _Clock()):
        pass

    assert stream.getvalue().startswith("0:00 env steps 0/100")
    assert "\x1b" not in stream.getvalue()
