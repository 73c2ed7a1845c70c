"""Tests of tfquarl/experiments/worker.py."""

import multiprocessing.context
import os
import signal

import pytest

from tfquarl.core import errors
from tfquarl.experiments import alternation
from tfquarl.experiments import worker


class _Arm:
    """Made in the process of a worker."""

    def __init__(self, count: int) -> None:
        if count < 0:
            raise errors.ConfigError("count is negative")
        self._count = count

    def run(self, duration_sec: float) -> alternation.Slice:
        return alternation.Slice(self._count, duration_sec, 0.0)

    def cores(self) -> list[int]:
        return sorted(os.sched_getaffinity(0))

    def fail(self) -> None:
        raise KeyError("the reason")


@pytest.fixture(scope="module")
def context() -> multiprocessing.context.ForkServerContext:
    return worker.make_context()


def test_arm_works_in_another_process_on_its_core(context: multiprocessing.context.ForkServerContext):
    core = min(os.sched_getaffinity(0))
    with worker.Worker(context, frozenset({core}), _Arm, 7) as arm:
        assert arm.run(0.5) == alternation.Slice(7, 0.5, 0.0)
        assert arm.call("cores") == [core]
        assert arm.pid != os.getpid()


def test_two_can_work_at_once(context: multiprocessing.context.ForkServerContext):
    cores = frozenset(os.sched_getaffinity(0))
    with worker.Worker(context, cores, _Arm, 1) as one, worker.Worker(context, cores, _Arm, 2) as other:
        one.begin("run", 0.5)
        assert other.run(0.5).count == 2
        assert one.finish().count == 1


def test_an_arm_that_cannot_be_made_says_why(context: multiprocessing.context.ForkServerContext):
    with (
        worker.Worker(context, frozenset(os.sched_getaffinity(0)), _Arm, -1) as arm,
        pytest.raises(errors.NodeFailedError, match="count is negative"),
    ):
        arm.run(1.0)


def test_a_method_that_raises_says_why(context: multiprocessing.context.ForkServerContext):
    with (
        worker.Worker(context, frozenset(os.sched_getaffinity(0)), _Arm, 1) as arm,
        pytest.raises(errors.NodeFailedError, match="KeyError: 'the reason'"),
    ):
        arm.call("fail")


def test_a_process_that_dies_is_an_error(context: multiprocessing.context.ForkServerContext):
    with worker.Worker(context, frozenset(os.sched_getaffinity(0)), _Arm, 1) as arm:
        arm.wait_until_ready()
        os.kill(arm.pid, signal.SIGKILL)
        with pytest.raises(errors.NodeFailedError, match="died"):
            arm.run(1.0)


def test_cores_are_split_where_there_are_two():
    available = frozenset(os.sched_getaffinity(0))
    cores = worker.Cores.one_and_the_rest()
    assert len(cores.measured) == 1 and cores.measured | cores.beside == available
    assert len(available) == 1 or not cores.measured & cores.beside
    assert worker.Cores.all() == worker.Cores(available, available)
