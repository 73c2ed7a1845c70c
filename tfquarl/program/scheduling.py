"""How Linux shares a core among the threads of one process."""

import contextlib
import os


def prefer_throughput() -> None:
    """Lets threads that wake up wait for their turn instead of interrupting each other; for this thread and those that it starts.

    A writer's burst of transitions wakes Reverb's and gRPC's threads with its first row. On the collector's own core they would
    interrupt it, send that row alone, and again for each of the following ones, so that a burst becomes many messages.
    What it costs is latency, of which nobody asks anything here. Where the system has no such thing, nothing happens.
    """
    with contextlib.suppress(AttributeError, PermissionError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
