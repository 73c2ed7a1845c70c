"""Nodes that do just what a test of the launcher or the supervisor needs. Each takes a `NodeContext`."""

import os
import signal
from typing import Any

from tfquarl.core import errors


def server(context: Any) -> None:
    """Says an address and waits for the stop signal."""
    context.sender.send("ready", address="localhost:1")
    context.stop.wait()


def collector(context: Any) -> None:
    """Reports 10 more environment steps every few milliseconds until it is stopped."""
    steps = 0
    while not context.stop.wait(0.005):
        steps += 10
        context.sender.write(f"collect/{context.index}", steps, {"Metrics/EnvironmentSteps": steps})


def learner(context: Any) -> None:
    """Waits; at its end says that version 7 was its last."""
    context.sender.write("train", 3, {"Losses/loss": 0.5})
    context.stop.wait()
    context.sender.send("finished", version=7, train_step=30)


def evaluator(context: Any) -> None:
    """Judges version 7 with a confirmed mean return of 480."""
    context.sender.send("evaluation", version=7, confirmed=True, quantized={"mean_return": 480.0})
    context.stop.wait()


def idle(context: Any) -> None:
    """Waits for the stop signal."""
    context.stop.wait()


def stubborn(context: Any) -> None:
    """Never ends by itself, whatever it is asked."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    context.sender.send("ready", address="localhost:1")
    while True:
        signal.pause()


def failing(context: Any) -> None:
    """Raises an error of the user's kind."""
    raise errors.TaskError("environment 'x' has no action 'y'")


def crashing(context: Any) -> None:
    """Dies without a word."""
    os.kill(os.getpid(), signal.SIGKILL)
