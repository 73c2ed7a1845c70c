"""Tests of tfquarl.replay.n_step: a table of small stories, and every story against plain sums."""

import dataclasses

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.replay import n_step
from tfquarl.replay import transition

LAYOUT = transition.TransitionLayout(observation_size=1, action_size=1)
GAMMA = 0.5


@dataclasses.dataclass(frozen=True)
class Story:
    """Episodes and the rows that they give.

    Observation t of an episode is t, action t is 10 t. An episode is its rewards and how it ends: 't' terminated, 'l' at the time
    limit (truncated), 'b' both at once, '-' not (broken off or still going on). A row is (observation, action, reward, discount,
    next observation); `rows` are those of the blocks that each step completed, in order.
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


class Rig:
    """A gatherer whose blocks become rows at once."""

    def __init__(self, n: int, gamma: float = GAMMA, block_size: int = 1, layout: transition.TransitionLayout = LAYOUT):
        self.gatherer = n_step.StepGatherer(n, block_size, self.take)
        self._maker = n_step.WindowMaker(layout, n, gamma)
        self.rows: list[tuple[float, ...]] = []

    def take(self) -> None:
        rows = self._maker.make(n_step.Steps([self.gatherer]))
        assert rows.dtype == np.float32
        self.rows += [tuple(row.tolist()) for row in rows]

    def given(self) -> list[tuple[float, ...]]:
        """The rows since the last look."""
        rows, self.rows = self.rows, []
        return rows

    def play(self, episodes: list[tuple[list[float], str]]) -> list[list[tuple[float, ...]]]:
        """Rows of each step."""
        given = []
        for rewards, end in episodes:
            self.gatherer.start(np.float32([0]))
            for t, reward in enumerate(rewards):
                is_last = t == len(rewards) - 1
                observation = np.float32([t + 1])
                self.gatherer.add(10 * t, reward, observation, is_last and end in "tb", is_last and end in "lb")
                given.append(self.given())
        return given


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_story(story: Story):
    assert Rig(story.n).play(story.episodes) == story.rows


BLOCKS = {
    "a block of full windows": Story(
        2, [([4, 8, 16, 32], "-")], [[], [], [(0, 0, 8, 0.5, 2), (1, 10, 16, 0.5, 3)], []]
    ),
    "a block goes on across an episode's end": Story(
        2,
        [([4], "l"), ([16, 32], "-")],
        [[], [], [(0, 0, 4, 1, 1), (0, 0, 32, 0.5, 2)]],
    ),
    "an episode's end may complete more than a block": Story(
        2, [([4, 8, 16], "t"), ([32], "t")], [[], [], [(0, 0, 8, 0.5, 2), (1, 10, 16, 0, 3), (2, 20, 16, 0, 3)], []]
    ),
    "of an episode that is broken off only the full windows count": Story(
        2, [([4, 8], "-"), ([16], "t")], [[], [], [(0, 0, 8, 0.5, 2), (0, 0, 16, 0, 1)]]
    ),
}


@pytest.mark.parametrize("story", BLOCKS.values(), ids=BLOCKS)
def test_blocks_of_two(story: Story):
    assert Rig(story.n, block_size=2).play(story.episodes) == story.rows


def test_full_windows_are_taken_once_and_open_ones_go_on():
    rig = Rig(2, block_size=10)
    rig.play([([4], "t"), ([4, 8], "-")])
    rig.take()
    assert rig.given() == [(0, 0, 4, 0, 1), (0, 0, 8, 0.5, 2)]
    rig.take()
    assert rig.given() == []
    rig.gatherer.add(20, 16.0, np.float32([3]), True, False)
    rig.take()
    assert rig.given() == [(1, 10, 16, 0, 3), (2, 20, 16, 0, 3)]


def test_a_smaller_block_is_complete_sooner():
    rig = Rig(2, block_size=10)
    rig.play([([4, 8, 16], "-")])
    rig.gatherer.set_block_size(3)
    rig.gatherer.add(30, 32.0, np.float32([4]), False, False)
    assert rig.given() == [(0, 0, 8, 0.5, 2), (1, 10, 16, 0.5, 3), (2, 20, 32, 0.5, 4)]


def test_windows_of_several_environments_are_made_together():
    gatherers = [n_step.StepGatherer(2, 10, lambda: None) for _ in range(3)]
    for k, gatherer in enumerate(gatherers):
        gatherer.start(np.float32([k]))
        for t in range(1, 4):
            gatherer.add(np.float32([t]), 10.0 * k, np.float32([k + 0.1 * t]), t == 2 and k == 1, False)
            if t == 2 and k == 1:
                gatherer.start(np.float32([7]))
    rows = n_step.WindowMaker(LAYOUT, 2, GAMMA).make(n_step.Steps(gatherers))
    expected = [
        (0, 1, 0, 0.5, 0.2),
        (0.1, 2, 0, 0.5, 0.3),
        (1, 1, 15, 0, 1.2),
        (1.1, 2, 10, 0, 1.2),
        (2, 1, 30, 0.5, 2.2),
        (2.1, 2, 30, 0.5, 2.3),
    ]
    np.testing.assert_allclose(rows, expected, rtol=1e-6)
    assert n_step.WindowMaker(LAYOUT, 2, GAMMA).make(n_step.Steps(gatherers)).shape == (0, 5)


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(
    block_size=strategies.integers(1, 20),
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
    block_size: int, n: int, gamma: float, episodes: list[tuple[list[float], str]]
):
    rig = Rig(n, gamma, block_size)
    blocks = [rows for rows in rig.play(episodes) if rows]
    assert all(len(rows) >= block_size for rows in blocks)
    rig.take()
    given = [row for rows in [*blocks, rig.given()] for row in rows]
    expected = []
    for rewards, end in episodes:
        for t in range(len(rewards)):
            k = min(n, len(rewards) - t)
            total = sum(gamma**i * rewards[t + i] for i in range(k))
            is_cut = t + k == len(rewards) and end == "t"
            expected.append((t, 10 * t, total, 0.0 if is_cut else gamma ** (k - 1), t + k))
    np.testing.assert_allclose(given, expected, rtol=1e-6)


@pytest.mark.parametrize("n", [1, 3])
def test_vector_actions_and_wide_observations(n: int):
    rig = Rig(n, layout=transition.TransitionLayout(observation_size=2, action_size=3))
    rig.gatherer.start(np.float32([1, 2]))
    rig.gatherer.add(np.float32([3, 4, 5]), 6.0, np.float32([9, 8]), False, True)
    assert rig.given() == [(1, 2, 3, 4, 5, 6, 1, 9, 8)]


@pytest.mark.parametrize("had_an_episode", [False, True], ids=["before the first", "after the last"])
def test_step_without_an_episode(had_an_episode: bool):
    rig = Rig(1)
    if had_an_episode:
        rig.play([([1], "t")])
    with pytest.raises(ValueError, match=r"call start\(\) first"):
        rig.gatherer.add(0, 0.0, np.float32([0]), False, False)


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("action", "reward", "observation", "message"),
    [
        pytest.param(0, 0.0, [NAN], r"observation\[0\] is nan", id="observation"),
        pytest.param(0, NAN, [5], "reward is nan", id="reward"),
        pytest.param(0, np.float64(INFINITY), [5], "reward is inf", id="infinite reward"),
        pytest.param(
            0, -2e30, [5], r"reward is -2e\+30, needs a number within \+-1e\+30", id="infinite as a sum of float32"
        ),
        pytest.param(np.float32([INFINITY]), 0.0, [5], r"action\[0\] is inf", id="action"),
    ],
)
def test_refuses_a_step_and_goes_on(action: object, reward: float, observation: list[float], message: str):
    rig = Rig(2)
    rig.gatherer.start(np.float32([3]))
    with pytest.raises(errors.NumericalError, match=message):
        rig.gatherer.add(action, reward, np.float32(observation), False, False)
    rig.gatherer.add(1, 4.0, np.float32([5]), True, False)
    assert rig.given() == [(3, 1, 4, 0, 5)]


def test_refuses_a_first_observation():
    with pytest.raises(errors.NumericalError, match=r"the first observation\[0\] is inf"):
        Rig(1).gatherer.start(np.float32([INFINITY]))


@pytest.mark.parametrize(("n", "block_size"), [(0, 1), (1, 0)])
def test_gatherer_refuses(n: int, block_size: int):
    with pytest.raises(ValueError, match="both need 1 or more"):
        n_step.StepGatherer(n, block_size, lambda: None)


@pytest.mark.parametrize(("n", "gamma"), [(0, 0.5), (1, -0.1), (1, 1.1)])
def test_maker_refuses(n: int, gamma: float):
    with pytest.raises(ValueError, match="needs 1 or more, and a value in"):
        n_step.WindowMaker(LAYOUT, n, gamma)
