"""Tests of tfquarl.replay.observation_tap, with real servers."""

from collections.abc import Callable
import itertools
import threading

import numpy as np
import pytest
import reverb

from tests.replay import conftest
from tfquarl.core import deadline
from tfquarl.core import errors
from tfquarl.replay import observation_tap
from tfquarl.replay import replay_config
from tfquarl.replay import server_calls
from tfquarl.replay import tables
from tfquarl.replay import transition

LAYOUT = conftest.LAYOUT
CONFIG = replay_config.ReplayConfig(observation_every=3, observation_block=2, observation_blocks=64)
Serve = Callable[[replay_config.ReplayConfig], reverb.Client]


def tap(
    client: reverb.Client,
    num_steps: int,
    step_sec: Callable[[int], float] = lambda t: 0.1,
    num_environments: int = 1,
) -> None:
    now = 0.0
    sink = observation_tap.ObservationTap(client, LAYOUT, CONFIG, num_environments, clock=lambda: now)
    for t in range(num_steps):
        now += step_sec(t)
        sink.add(np.float32([t, -t]))
    sink.close()


def blocks(client: reverb.Client) -> set[tuple[float, ...]]:
    """First features of all blocks, as good as surely."""
    return {tuple(item.value[:, 0].tolist()) for item in server_calls.sample(client, tables.OBSERVATIONS, 200)}


def test_keeps_every_observation_at_first_then_every_third(serve: Serve):
    client = serve(CONFIG)
    tap(client, 20)
    # Four eager blocks, then 8, 11, 14, ...
    assert blocks(client) == {(0, 1), (2, 3), (4, 5), (6, 7), (8, 11), (14, 17)}


def test_keeps_fewer_while_steps_are_fast(serve: Serve):
    client = serve(CONFIG)
    tap(client, 80, lambda t: 0.001 if t < 40 else 0.1)
    eager = {(0, 1), (2, 3), (4, 5), (6, 7)}
    # A block should take 0.1 s: the next ones' observations come 3, 6 and 12 steps after each other, from step 40 on 6 and 3 again.
    assert blocks(client) - eager == {(8, 11), (17, 23), (35, 47), (53, 56), (59, 62), (65, 68), (71, 74)}


def test_keeps_as_many_of_a_collector_that_is_held_back_between_bursts(serve: Serve):
    client = serve(CONFIG)
    tap(client, 60, lambda t: 0.2 if t % 4 == 0 else 0.0)  # twenty steps a second, four at once
    # None fewer than of one that takes 0.05 s a step: 8, 11, ... 59.
    assert len(blocks(client)) == 4 + 9


@pytest.mark.parametrize(("num_environments", "stride"), [(2, 5), (3, 4), (4, 5), (8, 9)])
def test_shows_each_environment_in_turn(serve: Serve, num_environments: int, stride: int):
    client = serve(CONFIG)
    tap(client, 100, num_environments=num_environments)
    later = sorted(t for block in blocks(client) for t in block if t >= 8)
    assert {after - before for before, after in itertools.pairwise(later)} == {stride}
    assert {int(t) % num_environments for t in later} == set(range(num_environments))


def test_refuses_what_is_not_finite(serve: Serve):
    sink = observation_tap.ObservationTap(serve(CONFIG), LAYOUT, CONFIG)
    with pytest.raises(errors.NumericalError, match=r"observation\[0\] is nan"):
        sink.add(np.float32([np.nan, 0]))


def test_calibration_and_parity_never_share_an_observation(serve: Serve):
    client = serve(CONFIG)
    tap(client, 300)
    seen: tuple[set[float], set[float]] = (set(), set())
    for _ in range(3):
        pool = observation_tap.ObservationPool(client, LAYOUT, CONFIG)
        for purpose, observations in enumerate((pool.calibration(), pool.held_out())):
            assert observations.dtype == np.float32 and observations.shape[1] == 2
            seen[purpose].update(observations[:, 0].tolist())
    assert seen[0] and seen[1] and not seen[0] & seen[1]


def test_one_block_is_enough_for_both(serve: Serve):
    client = serve(CONFIG)
    tap(client, 2)
    pool = observation_tap.ObservationPool(client, LAYOUT, CONFIG, deadline_sec=5.0)
    assert (pool.calibration().tolist(), pool.held_out().tolist()) == ([[0, 0]], [[1, -1]])


def test_gives_at_most_as_many_as_asked(serve: Serve):
    client = serve(CONFIG)
    tap(client, 300)
    pool = observation_tap.ObservationPool(client, LAYOUT, CONFIG, num_observations=5)
    assert len(pool.calibration()) <= 5 and len(pool.held_out()) <= 5


def test_remembers_no_more_blocks_than_the_table_holds(serve: Serve, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(observation_tap, "_REFRESH_SEC", 0.0)
    client = serve(CONFIG)
    pool = observation_tap.ObservationPool(client, LAYOUT, CONFIG, num_observations=1000)
    for _ in range(3):
        tap(client, 300)
        # Half of a block of two.
        assert len(pool.calibration()) <= CONFIG.observation_blocks


def test_waits_for_the_first_observations(serve: Serve):
    client = serve(CONFIG)
    pool = observation_tap.ObservationPool(client, LAYOUT, CONFIG)
    found: list[np.ndarray] = []
    thread = threading.Thread(target=lambda: found.extend([pool.calibration(), pool.held_out()]))
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    tap(client, 100)
    thread.join(20)
    assert len(found) == 2


def test_goes_on_with_what_it_has_when_the_server_is_silent(serve: Serve, monkeypatch: pytest.MonkeyPatch):
    client = serve(CONFIG)
    tap(client, 300)
    pool = observation_tap.ObservationPool(client, LAYOUT, CONFIG, num_observations=5)
    pool.calibration()
    monkeypatch.setattr(observation_tap, "_REFRESH_SEC", 0.0)

    def silent(*args: object) -> None:
        raise errors.RemoteTimeoutError("sampling observations: no answer within 10 s")

    monkeypatch.setattr(pool._caller, "call", silent)
    assert len(pool.calibration()) > 0


def test_stop_signal_ends_the_wait(serve: Serve):
    stop = threading.Event()
    pool = observation_tap.ObservationPool(serve(CONFIG), LAYOUT, CONFIG, stop=stop)
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(deadline.StoppedError):
        pool.calibration()


def test_no_observations_within_the_deadline(serve: Serve):
    pool = observation_tap.ObservationPool(serve(CONFIG), LAYOUT, CONFIG, deadline_sec=0.1)
    with pytest.raises(errors.RemoteTimeoutError, match="are collectors running"):
        pool.held_out()


@pytest.mark.parametrize("end", [observation_tap.ObservationTap, observation_tap.ObservationPool])
def test_refuses_blocks_of_another_environment(serve: Serve, end: Callable[..., object]):
    with pytest.raises(errors.ConfigError, match=r"needs float32\[2, 5\]"):
        end(serve(CONFIG), transition.TransitionLayout(5, 1), CONFIG)


def test_a_dead_server_drops_blocks_and_does_not_block(server_process: conftest.ServerProcess):
    sink = observation_tap.ObservationTap(reverb.Client(server_process.address), LAYOUT, CONFIG)
    server_process.kill()
    for t in range(600):
        sink.add(np.float32([t, t]))
    sink.close()
