"""Tests of tfquarl.replay.n_step: a table of small stories, and every story against plain sums."""

import dataclasses

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from tfquarl.replay import n_step
from tfquarl.replay import transition

LAYOUT = transition.TransitionLayout(observation_size=1, action_size=1)
GAMMA = 0.5


@dataclasses.dataclass(frozen=True)
class Story:
    """Episodes and the rows that they give.

    Observation t of an episode is t, action t is 10 t. An episode is its rewards and how it ends: 't' terminated, 'l' at the time
    limit (truncated), 'b' both at once, '-' not (broken off or still going on). A row is (observation, action, reward, discount,
    next observation); `rows` are those that each step gave, in order.
    """

    n: int
    episodes: list[tuple[list[float], str]]
    rows: list[list[tuple[float, float, float, float, float]]]


STORIES = {
    "one step, going on": Story(1, [([4], "-")], [[(0, 0, 4, 1, 1)]]),
    "one step, terminated": Story(1, [([4], "t")], [[(0, 0, 4, 0, 1)]]),
    "one step, time limit": Story(1, [([4], "l")], [[(0, 0, 4, 1, 1)]]),
    "both at once is a termination": Story(1, [([4], "b")], [[(0, 0, 4, 0, 1)]]),
    "single steps": Story(1, [([4, 8], "t")], [[(0, 0, 4, 1, 1)], [(1, 10, 8, 0, 2)]]),
    "the first window waits for its n steps": Story(3, [([4, 8], "-")], [[], []]),
    "a full window, going on": Story(3, [([4, 8, 16], "-")], [[], [], [(0, 0, 4 + 4 + 4, 0.25, 3)]]),
    "windows overlap": Story(2, [([4, 8, 16], "-")], [[], [(0, 0, 8, 0.5, 2)], [(1, 10, 16, 0.5, 3)]]),
    "terminated: the last windows are shorter and do not bootstrap": Story(
        3,
        [([4, 8, 16, 32], "t")],
        [[], [], [(0, 0, 12, 0.25, 3)], [(1, 10, 24, 0, 4), (2, 20, 32, 0, 4), (3, 30, 32, 0, 4)]],
    ),
    "time limit: the last windows are shorter and bootstrap, each from its own distance": Story(
        3,
        [([4, 8, 16, 32], "l")],
        [[], [], [(0, 0, 12, 0.25, 3)], [(1, 10, 24, 0.25, 4), (2, 20, 32, 0.5, 4), (3, 30, 32, 1, 4)]],
    ),
    "an episode shorter than the window": Story(5, [([4, 8], "t")], [[], [(0, 0, 8, 0, 2), (1, 10, 8, 0, 2)]]),
    "an episode shorter than the window, time limit": Story(
        5, [([4, 8], "l")], [[], [(0, 0, 8, 0.5, 2), (1, 10, 8, 1, 2)]]
    ),
    "an episode just as long as the window": Story(2, [([4, 8], "t")], [[], [(0, 0, 8, 0, 2), (1, 10, 8, 0, 2)]]),
    "no window crosses into the next episode": Story(
        2,
        [([4, 8], "l"), ([16, 32], "t")],
        [[], [(0, 0, 8, 0.5, 2), (1, 10, 8, 1, 2)], [], [(0, 0, 32, 0, 2), (1, 10, 32, 0, 2)]],
    ),
    "an episode that is broken off loses its open windows": Story(
        2, [([4, 8, 16], "-"), ([32], "t")], [[], [(0, 0, 8, 0.5, 2)], [(1, 10, 16, 0.5, 3)], [(0, 0, 32, 0, 1)]]
    ),
}


def play(
    accumulator: n_step.NStepAccumulator, episodes: list[tuple[list[float], str]]
) -> list[list[tuple[float, ...]]]:
    """Rows of each step."""
    given = []
    for rewards, end in episodes:
        accumulator.start(np.float32([0]))
        for t, reward in enumerate(rewards):
            is_last = t == len(rewards) - 1
            rows = accumulator.add(
                10 * t, reward, np.float32([t + 1]), is_last and end in "tb", is_last and end in "lb"
            )
            given.append([tuple(row.tolist()) for row in rows])
    return given


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_story(story: Story):
    assert play(n_step.NStepAccumulator(LAYOUT, story.n, GAMMA), story.episodes) == story.rows


BLOCKS = {
    "a block of full windows": Story(
        2, [([4, 8, 16, 32], "-")], [[], [], [(0, 0, 8, 0.5, 2), (1, 10, 16, 0.5, 3)], []]
    ),
    "an episode's end gives what has gathered": Story(
        2, [([4, 8], "l"), ([16], "t")], [[], [(0, 0, 8, 0.5, 2), (1, 10, 8, 1, 2)], [(0, 0, 16, 0, 1)]]
    ),
}


@pytest.mark.parametrize("story", BLOCKS.values(), ids=BLOCKS)
def test_blocks_of_two(story: Story):
    assert play(n_step.NStepAccumulator(LAYOUT, story.n, GAMMA, steps_per_block=2), story.episodes) == story.rows


def test_an_episode_that_is_broken_off_leaves_its_full_windows_to_the_next_start():
    accumulator = n_step.NStepAccumulator(LAYOUT, 2, GAMMA, steps_per_block=10)
    assert play(accumulator, [([4, 8, 16], "-")]) == [[], [], []]
    assert accumulator.start(np.float32([0])).tolist() == [[0, 0, 8, 0.5, 2], [1, 10, 16, 0.5, 3]]


def test_full_windows_are_taken_once_and_open_ones_go_on():
    accumulator = n_step.NStepAccumulator(LAYOUT, 2, GAMMA, steps_per_block=10)
    play(accumulator, [([4, 8], "-")])
    assert accumulator.take().tolist() == [[0, 0, 8, 0.5, 2]]
    assert accumulator.take().tolist() == []
    rows = accumulator.add(20, 16.0, np.float32([3]), True, False)
    assert rows.tolist() == [[1, 10, 16, 0, 3], [2, 20, 16, 0, 3]]


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(
    steps_per_block=strategies.integers(1, 9),
    n=strategies.integers(1, 7),
    gamma=strategies.sampled_from([0.0, 0.5, 0.99, 1.0]),
    episodes=strategies.lists(
        strategies.tuples(
            strategies.lists(strategies.integers(-100, 100), min_size=1, max_size=20), strategies.sampled_from("tl")
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_every_step_of_every_episode_gives_one_window(
    steps_per_block: int, n: int, gamma: float, episodes: list[tuple[list[float], str]]
):
    accumulator = n_step.NStepAccumulator(LAYOUT, n, gamma, steps_per_block)
    given = [row for rows in play(accumulator, episodes) for row in rows]
    expected = []
    for rewards, end in episodes:
        for t in range(len(rewards)):
            k = min(n, len(rewards) - t)
            total = sum(gamma**i * rewards[t + i] for i in range(k))
            is_cut = t + k == len(rewards) and end == "t"
            expected.append((t, 10 * t, total, 0.0 if is_cut else gamma ** (k - 1), t + k))
    np.testing.assert_allclose(given, expected, rtol=1e-6)


def test_vector_actions_and_wide_observations():
    layout = transition.TransitionLayout(observation_size=2, action_size=3)
    accumulator = n_step.NStepAccumulator(layout, 1, GAMMA)
    accumulator.start(np.float32([1, 2]))
    rows = accumulator.add(np.float32([3, 4, 5]), 6.0, np.float32([9, 8]), False, False)
    assert rows.tolist() == [[1, 2, 3, 4, 5, 6, 1, 9, 8]]
    assert rows.dtype == np.float32


def test_what_it_was_given_may_be_reused():
    accumulator = n_step.NStepAccumulator(LAYOUT, 2, GAMMA)
    observation, action = np.float32([0]), np.float32([7])
    accumulator.start(observation)
    observation[:], rows = 1, None
    accumulator.add(action, 4, observation, False, False)
    observation[:], action[:] = 2, 8
    rows = accumulator.add(action, 8, observation, False, False)
    observation[:] = 99
    assert rows.tolist() == [[0, 7, 8, 0.5, 2]]


def test_rows_hold_until_the_next_call():
    accumulator = n_step.NStepAccumulator(LAYOUT, 1, GAMMA)
    accumulator.start(np.float32([0]))
    first = accumulator.add(0, 1, np.float32([1]), False, False)
    assert first.tolist() == [[0, 0, 1, 1, 1]]


@pytest.mark.parametrize("had_an_episode", [False, True], ids=["before the first", "after the last"])
def test_step_without_an_episode(had_an_episode: bool):
    accumulator = n_step.NStepAccumulator(LAYOUT, 1, GAMMA)
    if had_an_episode:
        play(accumulator, [([1], "t")])
    with pytest.raises(ValueError, match=r"call start\(\) first"):
        accumulator.add(0, 0.0, np.float32([0]), False, False)


@pytest.mark.parametrize(("n", "gamma"), [(0, 0.5), (1, -0.1), (1, 1.1)])
def test_refuses(n: int, gamma: float):
    with pytest.raises(ValueError, match="needs 1 or more, and a value in"):
        n_step.NStepAccumulator(LAYOUT, n, gamma)
