"""The one display of a run on the console: live where there is a terminal, a plain line now and then where there is none."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import errno
import math
import os
import sys
import time
import types
from typing import TextIO

from rich import console as rich_console
from rich import live
from rich import progress_bar
from rich import table
from rich import text

from tfquarl.core import files
from tfquarl.metrics import progress_state
from tfquarl.metrics import return_text

_REDRAW_SEC = 0.25
_LINE_SEC = 5.0


class ProgressDisplay:
    """Shows how a run goes on.

    with ProgressDisplay('dqn_cartpole_int8', num_env_steps=50_000) as display:
        display.update(group, step, values)  # for each row of metrics
        display.tick()  # as often as one likes
    """

    def __init__(
        self,
        title: str,
        num_env_steps: int,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.perf_counter,
        max_wall_time_sec: float | None = None,
    ) -> None:
        """Prepares the display; nothing is drawn before it is entered.

        Args:
          title: name of the experiment.
          num_env_steps: the budget, >= 1.
          stream: where to draw; stdout if None, and nowhere if that is closed.
          clock: seconds, never going back.
          max_wall_time_sec: from now on, after which the run ends in any case; None never.
        """
        self._title = title
        self._clock = clock
        self._state = progress_state.ProgressState(num_env_steps, clock, max_wall_time_sec)
        self._stream = stream or sys.stdout or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
        console = rich_console.Console(file=self._stream, highlight=False)
        is_live = self._stream.isatty() and not console.is_dumb_terminal  # not rich's FORCE_COLOR: a file stays plain
        self._live = live.Live(console=console, auto_refresh=False) if is_live else None
        self._interval_sec = _REDRAW_SEC if is_live else _LINE_SEC
        self._drawn_sec = clock()

    def update(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Takes a row of metrics; draws nothing."""
        self._state.update(group, step, values)

    def set_process(self, name: str, state: str) -> None:
        """Says what a process does now, e.g. 'learner' 'waits for data'; draws nothing."""
        self._state.set_process(name, state)

    def set_awaited(self, what: str) -> None:
        """Says what the end of the run waits for, e.g. 'judging the last policy'; it stands in the place of the time to go."""
        self._state.set_awaited(what)

    def tick(self) -> None:
        """Draws if it is time to: at most 4 times a second, or a plain line every 5 seconds."""
        if self._clock() - self._drawn_sec >= self._interval_sec:
            self._draw()

    def message(self, line: str) -> None:
        """Shows one line that stays, above the display."""
        with _terminal_may_be_closed():
            if self._live:
                self._live.console.print(line, markup=False, soft_wrap=True)
            else:
                self._write_line(line)

    def __enter__(self) -> "ProgressDisplay":
        if self._live:
            with _terminal_may_be_closed():
                self._live.start()
            self._draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self._draw()
        if self._live:
            with _terminal_may_be_closed():
                self._live.stop()

    def _draw(self) -> None:
        self._drawn_sec = self._clock()
        view = self._state.view()
        with _terminal_may_be_closed():
            if self._live:
                self._live.update(panel(self._title, view), refresh=True)
            else:
                self._write_line(plain_line(view))

    def _write_line(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


@contextlib.contextmanager
def _terminal_may_be_closed() -> Iterator[None]:
    """Nobody looks then, which is no reason for a run to fail: it ends in order by SIGHUP, or goes on under nohup.

    Raises:
      StorageError: it is a file on a full disk, or a pipe whose reader has gone.
    """
    with files.storage_errors("writing to the console"):
        try:
            yield
        except OSError as error:
            if error.errno != errno.EIO:
                raise


def plain_line(view: progress_state.ProgressView) -> str:
    """The view as one line of plain text."""
    parts = [
        f"{duration(view.elapsed_sec)} env steps {view.env_steps:,}/{view.num_env_steps:,} ({view.fraction:.1%})"
        f" {_rate(view.env_steps_per_sec, view.collectors_waiting)}",
        f"train steps {view.train_steps:,} {_rate(view.train_steps_per_sec, view.learner_waiting)}",
        f"return {_returns(view)}",
        f"policy {_policy(view)}",
        view.awaited or f"ETA {duration(view.eta_sec)}",
    ]
    return " | ".join(parts)


def panel(title: str, view: progress_state.ProgressView) -> table.Table:
    """The view for a terminal: a bar, and one row per subject."""
    grid = table.Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    env_rate = _rate(view.env_steps_per_sec, view.collectors_waiting)
    grid.add_row("", progress_bar.ProgressBar(total=view.num_env_steps, completed=view.env_steps, width=50))
    grid.add_row("env steps", f"{view.env_steps:,} / {view.num_env_steps:,} ({view.fraction:.1%})  {env_rate}")
    grid.add_row("train steps", f"{view.train_steps:,}  {_rate(view.train_steps_per_sec, view.learner_waiting)}")
    grid.add_row("return", _returns(view))
    grid.add_row("policy", _policy(view))
    states = ", ".join(f"{name} {state}" for name, state in view.processes.items())
    layout = table.Table.grid()
    to_come = view.awaited or f"{duration(view.eta_sec)} to go"
    layout.add_row(_line(f"{title}  {duration(view.elapsed_sec)} elapsed, {to_come}", "bold"))
    layout.add_row(grid)
    layout.add_row(_line(states, "dim"))
    return layout


def duration(seconds: float | None) -> str:
    """'1:05' for 65 seconds, '2:00:05' for 7205; '--' for None."""
    if seconds is None or not math.isfinite(seconds):
        return "--"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _line(line: str, style: str) -> text.Text:
    """One line that is cut, not wrapped, where the terminal is narrow."""
    return text.Text(line, style=style, no_wrap=True, overflow="ellipsis")


def _rate(per_sec: float | None, waiting: float | None) -> str:
    number = "--" if per_sec is None else f"{per_sec:,.0f}" if per_sec >= 10 else f"{per_sec:.1f}"
    return f"{number}/s" if waiting is None else f"{number}/s, {waiting:.0%} waiting"


def _returns(view: progress_state.ProgressView) -> str:
    if view.int8_return is None:
        return "not judged yet"
    int8, best, float32 = map(return_text.of, (view.int8_return, view.best_int8_return, view.float32_return))
    return f"int8 {int8} (best {best}), float32 {float32}"


def _policy(view: progress_state.ProgressView) -> str:
    if view.policy_version is None:
        return "none yet"
    age = "" if view.policy_age_sec is None else f", {view.policy_age_sec:.1f} s old"
    return f"{view.policy_version}{age}"
